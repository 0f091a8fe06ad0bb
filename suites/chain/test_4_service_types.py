"""Services that change their type and then answer, those of a load balancer, and those of several ports and addresses."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EXEC, NODE_PORTS, NODE_REQUESTS, right
from kubechain.conditions import pods, services
from kubechain.conditions.http import all_welcome, every_backend, only_from
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, service_manifests, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, OTHER_PORT, WELCOME
from kubechain.workload.service_manifests import CLUSTER_IP, NODE_PORT, TWO_PORTS
from kubechain.workload.urls import url

claim = ClaimDecorator("concepts/services-networking/service/", level="full")

TYPES = "#publishing-services-service-types"
HEALTH = "tasks/access-application-cluster/create-external-load-balancer/#preserving-the-client-source-ip"
# Addresses for documentation (RFC 5737): nobody has them.
INGRESS, OTHER_INGRESS = "192.0.2.10", "192.0.2.11"


@claim(
    "CHAIN-SERVICE-160",
    spec=TYPES,
    upstream="Service, change type, ExternalName to ClusterIP",
    after=[Link.ENDPOINTS, Link.CLUSTERIP],
    requires=[right("patch", "services"), EXEC],
    premises=premises.REACHED,
)
def test_external_name_that_becomes_cluster_ip_answers(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service of type ExternalName that is changed to ClusterIP MUST be answered by its Pods at its clusterIP."""
    name = create(chain, service_manifests.external("to-cluster-ip")).name
    actions.service(chain, service_manifests.serving(CLUSTER_IP), name)
    eventually(chain.objects, services.allocated(name, cluster_ip=True, node_port=False))
    eventually(sources.pages_inside(chain, chain.client, url(chain.address(name))), all_welcome(WELCOME))


@claim(
    "CHAIN-SERVICE-170",
    spec=TYPES,
    upstream="Service, change type, ExternalName to NodePort",
    after=[Link.ENDPOINTS, Link.NODEPORT],
    requires=[right("patch", "services"), NODE_REQUESTS],
    premises=premises.NODE_PORTS,
)
def test_external_name_that_becomes_node_port_answers(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service of type ExternalName that is changed to NodePort MUST be answered by its Pods at the nodePort of every Node."""
    name = create(chain, service_manifests.external("to-node-port")).name
    actions.service(chain, service_manifests.serving(NODE_PORT), name)
    eventually(chain.objects, services.allocated(name, cluster_ip=True, node_port=True))
    port = services.node_port(chain.present("Service", name))
    eventually(sources.pages_at_nodes(chain, port), chain.among_nodes(all_welcome(WELCOME)))


@claim(
    "CHAIN-SERVICE-180",
    spec="#services-without-selectors",
    upstream="EndpointSlice, multiple IPs, multiple ports",
    after=[Link.ENDPOINTS, Link.CLUSTERIP],
    requires=[EXEC, right("create", "endpointslices"), right("delete", "endpointslices")],
    premises=[*premises.REACHED, *premises.SPREAD],
)
def test_given_endpoints_of_several_ports_and_addresses(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service without a selector MUST lead each port to all addresses of the EndpointSlices of that port, and to no other."""
    first, second = TWO_PORTS
    name = create(chain, service_manifests.without_selector(service_manifests.two_port_service("slices"))).name
    other = create(chain, manifests.web_pod_at("elsewhere", chain.image, "elsewhere", "http", OTHER_PORT)).name
    eventually(chain.objects, pods.ready(other))
    addresses = [chain.pod_address(pod) for pod in chain.pods]
    create(chain, service_manifests.endpoint_slice(name, *addresses, port=CONTAINER_PORT, port_name=first))
    address = chain.pod_address(chain.present("Pod", other))
    create(chain, service_manifests.endpoint_slice(name, address, port=OTHER_PORT, port_name=second))
    at_first, at_second = (url(chain.address(name), port) for port in TWO_PORTS.values())
    eventually(sources.backends_inside(chain, chain.client, at_first), every_backend(chain.pod_names, WELCOME))
    eventually(sources.repeated(chain, chain.client, at_second, sources.ROUND), only_from(other))


@claim(
    "CHAIN-SERVICE-190",
    spec="#field-spec-ports",
    after=[Link.ENDPOINTS, Link.CLUSTERIP],
    requires=[EXEC],
    premises=[*premises.REACHED, *premises.SPREAD],
)
def test_named_target_port_is_that_of_each_pod(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A targetPort that is a name MUST lead to the port that each Pod has under this name, though the numbers differ."""
    service = create(chain, service_manifests.named_ports("mixed", {"http": 80}))
    ports = {"usual": CONTAINER_PORT, "unusual": OTHER_PORT}
    for name, port in ports.items():
        create(chain, manifests.web_pod_at(name, chain.image, service.name, "http", port))
    eventually(chain.objects, pods.exactly_ready({"app": service.name}, len(ports)))
    backends = sources.backends_inside(chain, chain.client, url(chain.address(service.name)))
    eventually(backends, every_backend(frozenset(ports), WELCOME))


@claim("CHAIN-SERVICE-200", spec=HEALTH, requires=[NODE_PORTS, right("patch", "services")])
def test_health_check_node_port_is_allocated(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service of type LoadBalancer MUST have a healthCheckNodePort as long as its externalTrafficPolicy is Local."""
    balanced = service_manifests.load_balancer("balanced", externalTrafficPolicy="Local")
    # Without a port, the API server takes what it has made of the Service for invalid.
    name = actions.accepted(lambda: create(chain, balanced)).name
    eventually(chain.objects, services.health_check_port(name, allocated=True))
    actions.service(chain, {"externalTrafficPolicy": "Cluster"}, name)
    eventually(chain.objects, services.health_check_port(name, allocated=False))


@claim(
    "CHAIN-SERVICE-210",
    spec="reference/kubernetes-api/service-resources/service-v1/",
    upstream="Service, complete ServiceStatus lifecycle",
    requires=[right("patch", "services/status"), right("update", "services/status")],
)
def test_address_of_a_load_balancer_can_be_written(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The address of a load balancer that is written to the status of its Service, by patch or update, MUST be stored."""
    service = create(chain, service_manifests.load_balancer("addressed"))
    patched = actions.patch_status(chain, service, {"loadBalancer": {"ingress": [{"ip": INGRESS}]}})
    eventually(chain.objects, services.ingress_is(service.name, INGRESS))
    actions.replace_status(chain, patched, {"loadBalancer": {"ingress": [{"ip": OTHER_INGRESS}]}})
    eventually(chain.objects, services.ingress_is(service.name, OTHER_INGRESS))
