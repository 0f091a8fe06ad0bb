"""The Service as the API server completes it."""

from fixtures.claims import Link, claim
from fixtures.conditions import endpoints
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain
from fixtures.workload.gates import SERVICE_UP
from fixtures.workload.manifests import CONTAINER_PORT, SERVICE_PORT, WEB

SERVICE = "concepts/services-networking/service/"


@claim(
    "CHAIN-SERVICE-010",
    link=Link.SERVICE,
    spec=SERVICE + "#type-nodeport",
    upstream="Service, change type, ExternalName to NodePort",
    opens=True,
)
def test_cluster_ip_and_node_port_are_allocated(chain: Chain, eventually: Eventually) -> None:
    """A Service of type NodePort MUST be given a clusterIP and a nodePort."""
    eventually(chain.objects, SERVICE_UP, within=deadlines.CONTROLLER)


@claim("CHAIN-SERVICE-020", link=Link.SERVICE, spec=SERVICE + "#type-nodeport", needs=["kind"])
def test_node_port_lies_in_the_default_range(chain: Chain, eventually: Eventually) -> None:
    """A nodePort MUST be allocated from the default range 30000-32767 where no other range was configured."""
    eventually(chain.objects, endpoints.node_port_between(WEB, 30000, 32767), within=deadlines.CONTROLLER)


@claim("CHAIN-SERVICE-030", link=Link.SERVICE, spec=SERVICE + "#defining-a-service")
def test_selector_and_ports_are_kept(chain: Chain, eventually: Eventually) -> None:
    """A Service MUST keep its selector, port and targetPort as they were written."""
    wanted = {"spec.selector": {"app": WEB}}
    ports = {"port": SERVICE_PORT, "targetPort": CONTAINER_PORT, "protocol": "TCP"}
    eventually(chain.objects, endpoints.service_has(WEB, wanted, port=ports), within=deadlines.CONTROLLER)


@claim("CHAIN-SERVICE-040", link=Link.SERVICE, spec="reference/networking/virtual-ips/#traffic-policies")
def test_defaults(chain: Chain, eventually: Eventually) -> None:
    """A Service that says nothing of it MUST have no session affinity and send traffic to the whole cluster."""
    wanted = {
        "spec.sessionAffinity": "None",
        "spec.internalTrafficPolicy": "Cluster",
        "spec.externalTrafficPolicy": "Cluster",
        "spec.ipFamilyPolicy": "SingleStack",
    }
    eventually(chain.objects, endpoints.service_has(WEB, wanted), within=deadlines.CONTROLLER)
