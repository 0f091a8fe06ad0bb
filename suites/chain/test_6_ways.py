"""Ways to the Pods of a Service: by policy, affinity and preference, to the last one, for large bodies, at external addresses."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EXEC, NODE_REQUESTS, OWN_CLUSTER, SLEEP_ACTION, TWO_NODES, kubernetes, right
from kubechain.conditions import endpoints, timeouts
from kubechain.conditions.http import all_status, all_welcome, came_back, every_backend, one_backend, only_from
from kubechain.conditions.services import node_port
from kubechain.observe.protocols import Consistently, Eventually
from kubechain.workload import actions, beside_node_ports, manifests, service_manifests, sources, unpromised
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, WELCOME
from kubechain.workload.placement import client_node, other_node, ready_on_its_node
from kubechain.workload.urls import url

claim = ClaimDecorator("reference/networking/virtual-ips/", level="full")

SERVICE = "concepts/services-networking/service/"
# Random answers of two backends are all of one with a probability below one in 10^17.
MANY = 60
# Longer than the claim needs, and shorter than the grace period of 30 s.
ENDING_SECONDS = 20


@claim(
    "CHAIN-CLUSTERIP-050",
    spec="concepts/services-networking/service-traffic-policy/#using-service-internal-traffic-policy",
    requires=[TWO_NODES, EXEC],
    premises=premises.SPREAD,
)
def test_internal_traffic_policy_local_stays_on_the_node(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With internalTrafficPolicy Local a Pod MUST be answered by the Pods of its own Node alone."""
    name = create(chain, service_manifests.with_policy("local-inside", app="local-inside", internalTrafficPolicy="Local")).name
    # One on each of two Nodes: the scheduler may put all Pods of a Deployment on one, where each is of the same Node.
    nodes = {"web-here": client_node(chain), "web-there": other_node(chain)}
    for pod, node in nodes.items():
        create(chain, manifests.on_node(manifests.web_pod_at(pod, chain.image, name, "http", CONTAINER_PORT), node))
    inside = {pod: ready_on_its_node(chain, pod) for pod in nodes}
    eventually(chain.objects, endpoints.slices_list_exactly(name, {"app": name}, CONTAINER_PORT, len(nodes)))
    at = url(chain.address(name))
    for place, near in ((chain.client, "web-here"), (inside["web-there"], "web-there")):
        eventually(sources.pages_inside(chain, place, at), all_welcome(WELCOME))
        eventually(sources.repeated(chain, place, at, MANY), only_from(near))


@claim(
    "CHAIN-CLUSTERIP-130",
    spec="#session-affinity",
    upstream="Service, ClusterIP type, session affinity to None",
    requires=[EXEC, right("patch", "services")],
    premises=[*premises.REACHED, *premises.SPREAD[1:]],
)
def test_session_affinity_can_be_switched_on(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service whose sessionAffinity is changed from None to ClientIP MUST answer one client by one Pod."""
    name = create(chain, service_manifests.with_policy("loose", sessionAffinity="None")).name
    chain.require_listed(name)
    at = url(chain.address(name))
    eventually(sources.backends_inside(chain, chain.client, at), every_backend(chain.pod_names, WELCOME))
    actions.service(chain, {"sessionAffinity": "ClientIP"}, name)
    unpromised.require_sticky(chain, eventually, sources.repeated(chain, chain.client, at, MANY), chain.client)


@claim(
    "CHAIN-CLUSTERIP-140",
    spec="concepts/services-networking/#the-kubernetes-network-model",
    requires=[TWO_NODES, EXEC],
    premises=premises.REACHED,
)
def test_large_body_crosses_nodes(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A body of many packets that a Pod sends to one on another Node, by its Service, MUST come back unchanged."""
    service = create(chain, service_manifests.service(name="far", app="far"))
    pod = manifests.on_node(manifests.tcp_echo("far", chain.client_image, chain.family), other_node(chain))
    ready_on_its_node(chain, create(chain, pod).name)
    eventually(sources.echoed_bodies(chain, chain.client, chain.address(service.name)), came_back())


@claim(
    "CHAIN-CLUSTERIP-150",
    spec=SERVICE + "#traffic-distribution",
    # A preference may be met otherwise: this is how kube-proxy does it.
    requires=[OWN_CLUSTER, TWO_NODES, EXEC, kubernetes(35)],
    premises=[*premises.SPREAD[:1], *premises.ZONELESS],
)
def test_same_node_is_preferred(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With trafficDistribution PreferSameNode kube-proxy MUST lead a Pod to those of its Node, and without any to all others."""
    name = create(chain, service_manifests.with_policy("near", app="near", trafficDistribution="PreferSameNode")).name
    at = url(chain.address(name))
    # First there is none on the Node of the client.
    nodes = {"web-there": other_node(chain), "web-here": client_node(chain)}
    for pod, node in nodes.items():
        create(chain, manifests.on_node(manifests.web_pod_at(pod, chain.image, name, "http", CONTAINER_PORT), node))
        ready_on_its_node(chain, pod)
        eventually(sources.pages_inside(chain, chain.client, at), all_welcome(WELCOME))
        eventually(sources.repeated(chain, chain.client, at, MANY), only_from(pod))


@claim(
    "CHAIN-CLUSTERIP-160",
    spec="#traffic-to-terminating-endpoints",
    requires=[OWN_CLUSTER, EXEC, SLEEP_ACTION, right("delete", "pods")],
)
def test_last_pod_serves_while_it_ends(chain: Chain, create: Create, eventually: Eventually, consistently: Consistently) -> None:
    """While the only Pod of a Service ends and still serves, kube-proxy MUST lead to it."""
    service = create(chain, service_manifests.service(name="last", app="last"))
    pod = create(chain, manifests.ending_pod("last", chain.image, ENDING_SECONDS))
    pages = sources.pages_inside(chain, chain.client, url(chain.address(service.name)))
    eventually(pages, all_welcome(WELCOME), within=timeouts.PODS_READY)
    actions.delete(chain, pod)
    ending = endpoints.endpoint_is(service.name, pod.uid, ready=False, serving=True, terminating=True)
    eventually(chain.objects, ending)
    consistently(pages, all_welcome(WELCOME), during=timeouts.PROXY_SYNC)


@claim(
    "CHAIN-NODEPORT-080",
    spec="#session-affinity",
    upstream="Service, NodePort type, session affinity to ClientIP",
    requires=[NODE_REQUESTS, EXEC],
    premises=premises.NODE_PORTS,
)
def test_session_affinity_of_the_node_port(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With sessionAffinity ClientIP one client MUST be answered by one Pod at the nodePort of each Node."""
    sticky = service_manifests.with_policy("sticky-outside", kind=service_manifests.NODE_PORT, sessionAffinity="ClientIP")
    service = create(chain, sticky)
    chain.require_listed(service.name)
    for address in chain.asked.values():
        # From a Pod: what is between this machine and the Nodes may change the address of the client.
        at = url(address, node_port(service))
        eventually(sources.pages_inside(chain, chain.client, at), all_welcome(WELCOME))
        eventually(sources.repeated(chain, chain.client, at, MANY), one_backend())


@claim(
    "CHAIN-NODEPORT-090",
    spec=SERVICE + "#type-nodeport",
    upstream="Service, NodePort Service",
    requires=[NODE_REQUESTS, EXEC],
    premises=premises.NODE_PORTS,
)
def test_node_port_answers_at_external_addresses(chain: Chain, eventually: Eventually) -> None:
    """The nodePort MUST answer with nginx's page at each external address of a Node that accepts its connections."""
    urls = beside_node_ports.external_urls(chain)
    eventually(sources.pages_inside(chain, chain.client, *urls), all_welcome(WELCOME))


@claim(
    "CHAIN-NODEPORT-100",
    spec="tasks/access-application-cluster/create-external-load-balancer/#preserving-the-client-source-ip",
    after=[Link.ENDPOINTS],
    requires=[NODE_REQUESTS],
)
def test_health_check_node_port_tells_where_pods_are(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The healthCheckNodePort of a Service MUST answer with 200 on Nodes that have a Pod of it, and with 503 on all others."""
    service = create(chain, service_manifests.load_balancer("healthy", externalTrafficPolicy="Local"))
    chain.require_listed(service.name)
    beside_node_ports.require_health(chain, service)
    with_pods = [node for node in chain.asked if node in {pod.at("spec.nodeName") for pod in chain.pods}]
    without = [node for node in chain.asked if node not in with_pods]
    for nodes, status in ((with_pods, 200), (without, 503)):
        if nodes:
            eventually(beside_node_ports.health(chain, service, nodes), all_status(status))
