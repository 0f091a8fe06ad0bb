"""The ports of endpoints by their names, and the hints that say for which Nodes endpoints are."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.requirements import kubernetes, right
from kubechain.conditions import endpoint_ports, timeouts
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, service_manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, OTHER_PORT

claim = ClaimDecorator("concepts/services-networking/endpoint-slices/", level="full")


@claim(
    "CHAIN-ENDPOINTS-140",
    spec="concepts/services-networking/service/#multi-port-services",
    upstream="Service, endpoints with multiple ports",
    requires=[right("delete", "pods")],
)
def test_pods_are_listed_at_the_ports_that_they_have(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service with several named ports MUST list each Pod at those that it has, as Pods come and go."""
    name = create(chain, service_manifests.named_ports("split", {"one": 81, "two": 82})).name
    first = create(chain, manifests.web_pod_at("first", chain.image, name, "one", CONTAINER_PORT))
    at_first = first, "one", CONTAINER_PORT
    eventually(chain.objects, endpoint_ports.at_ports(name, at_first), within=timeouts.PODS_READY)
    second = create(chain, manifests.web_pod_at("second", chain.image, name, "two", OTHER_PORT))
    at_second = second, "two", OTHER_PORT
    eventually(chain.objects, endpoint_ports.at_ports(name, at_first, at_second), within=timeouts.PODS_READY)
    actions.delete(chain, first)
    eventually(chain.objects, endpoint_ports.at_ports(name, at_second), within=timeouts.DELETION)
    actions.delete(chain, second)
    eventually(chain.objects, endpoint_ports.at_ports(name), within=timeouts.DELETION)


# PreferSameNode (KEP-3015) is stable since Kubernetes 1.35.
@claim(
    "CHAIN-ENDPOINTS-150",
    spec="concepts/services-networking/service/#traffic-distribution",
    requires=[kubernetes(35)],
    premises=premises.ZONELESS,
)
def test_endpoints_are_hinted_for_their_node(chain: Chain, create: Create, eventually: Eventually) -> None:
    """Each endpoint of a Service with trafficDistribution PreferSameNode MUST have a hint for its own Node."""
    name = create(chain, service_manifests.with_policy("hinted", trafficDistribution="PreferSameNode")).name
    chain.require_listed(name)
    eventually(chain.objects, endpoint_ports.hints_for_own_node(name))
