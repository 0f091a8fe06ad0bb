"""Requests to nginx through the clusterIP, the nodePort of every Node, and the proxy of the API server."""

import re

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import (
    DUAL_STACK,
    EXEC,
    FORWARDING,
    HOST_ACCESS,
    KUBECTL,
    NODE_PORTS,
    NODE_REQUESTS,
    THREE_NODES,
    right,
)
from kubechain.conditions import pods, timeouts
from kubechain.conditions.condition import Condition, met
from kubechain.conditions.http import (
    Page,
    all_refused,
    all_welcome,
    echoed,
    every_backend,
    forbidden_to,
    no_answer,
    none_slower,
    only_from,
)
from kubechain.conditions.services import node_port
from kubechain.kube.families import other_family
from kubechain.kube.objects import KubeObject
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.probes import http
from kubechain.probes.kubectl import Kubectl
from kubechain.workload import actions, manifests, node_reach, refusals, service_manifests, sources, unpromised, unrestricted
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import SERVICE_PORT, WEB, WELCOME
from kubechain.workload.pod_spec import ACCOUNT
from kubechain.workload.two_families import cluster_ips_of_both
from kubechain.workload.urls import url

claim = ClaimDecorator("reference/networking/virtual-ips/")

SERVICE = "concepts/services-networking/service/"
DUAL = "concepts/services-networking/dual-stack/#services"
# Each of two backends gets at least 12 of this many requests, except with a probability below one in a million.
MANY = 60
DRAWN = Condition[list[Page]](f"{MANY} answers of the same Pods", lambda _: met(), timeouts.DATA_PLANE)
PROXY = "tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls"


@claim("CHAIN-CLUSTERIP-010", spec=SERVICE + "#type-clusterip", upstream="Service, NodePort Service", requires=[EXEC], opens=True)
def test_cluster_ip_answers_a_pod(chain: Chain, eventually: Eventually) -> None:
    """A Pod that asks the clusterIP at the Service's port MUST be answered by nginx."""
    pages = sources.pages_inside(chain, chain.client, url(chain.cluster_ip))
    eventually(pages, all_welcome(WELCOME))


@claim("CHAIN-CLUSTERIP-020", spec="#proxy-mode-iptables", requires=[EXEC], premises=premises.SPREAD, opens=True)
def test_cluster_ip_reaches_every_backend(chain: Chain, eventually: Eventually) -> None:
    """Connections to the clusterIP MUST reach every ready Pod of the Service, and no other."""
    backends = sources.backends_inside(chain, chain.client, url(chain.cluster_ip))
    eventually(backends, every_backend(chain.pod_names, WELCOME))


@claim(
    "CHAIN-NODEPORT-010",
    spec=SERVICE + "#type-nodeport",
    upstream="Service, NodePort Service",
    requires=[NODE_REQUESTS],
    opens=True,
)
def test_node_port_answers_on_every_node(chain: Chain, eventually: Eventually) -> None:
    """The nodePort MUST answer with nginx's page at the address of every Node, whether a Pod runs there or not."""
    eventually(sources.pages_at_nodes(chain), chain.among_nodes(all_welcome(WELCOME)))


@claim("CHAIN-NODEPORT-020", spec=SERVICE + "#type-nodeport", requires=[NODE_REQUESTS], premises=premises.SPREAD, opens=True)
def test_every_node_reaches_every_backend(chain: Chain, eventually: Eventually) -> None:
    """Connections to the nodePort of each Node MUST reach every ready Pod of the Service, and no other."""
    eventually(sources.backends_at_nodes(chain), chain.among_nodes(every_backend(chain.pod_names, WELCOME)))


@claim(
    "CHAIN-API-010",
    spec=PROXY,
    upstream="Proxy through apiserver to a Service",
    requires=[right("get", "services/proxy")],
    opens=True,
)
def test_api_proxy_reaches_the_service(chain: Chain, eventually: Eventually) -> None:
    """The API server's proxy MUST answer for the Service with nginx's page."""
    eventually(sources.proxied(chain, chain.service_proxy), all_welcome(WELCOME))


@claim("CHAIN-API-020", spec=PROXY, upstream="Proxy, validate Proxy responses", requires=[right("get", "pods/proxy")], opens=True)
def test_api_proxy_reaches_each_pod(chain: Chain, eventually: Eventually) -> None:
    """The API server's proxy MUST answer for each Pod with nginx's page."""
    eventually(sources.proxied(chain, *chain.pod_proxies), all_welcome(WELCOME))


@claim("CHAIN-CLUSTERIP-030", spec="tasks/debug/debug-application/debug-service/", requires=[EXEC], premises=premises.SPREAD)
def test_pod_reaches_itself_through_its_service(chain: Chain, eventually: Eventually) -> None:
    """A Pod of a Service MUST reach itself and every other Pod through the clusterIP."""
    chain.require_listed(WEB)
    for pod in chain.pods:
        backends = sources.backends_inside(chain, chain.inside(pod), url(chain.cluster_ip))
        eventually(backends, every_backend(chain.pod_names, WELCOME))


@claim(
    "CHAIN-CLUSTERIP-040",
    spec="#session-affinity",
    upstream="Service, ClusterIP type, session affinity to ClientIP",
    level="full",
    requires=[EXEC, right("patch", "services")],
    premises=premises.SPREAD[1:],
)
def test_session_affinity_sticks_and_can_be_switched(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With sessionAffinity ClientIP one client MUST be answered by one Pod, and without it again by all."""
    name = create(chain, service_manifests.with_policy("sticky", sessionAffinity="ClientIP")).name
    chain.require_listed(name)
    at = url(chain.address(name))
    eventually(sources.pages_inside(chain, chain.client, at), all_welcome(WELCOME))
    unpromised.require_sticky(chain, eventually, sources.repeated(chain, chain.client, at, MANY), chain.client)
    actions.service(chain, {"sessionAffinity": "None", "sessionAffinityConfig": None}, name)
    backends = sources.backends_inside(chain, chain.client, at)
    eventually(backends, every_backend(chain.pod_names, WELCOME))


@claim("CHAIN-CLUSTERIP-060", spec="#traffic-to-services", requires=[EXEC])
def test_cluster_ip_without_endpoints_refuses(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The clusterIP of a Service with no endpoints MUST refuse connections, not leave them without an answer."""
    name = create(chain, service_manifests.service(name="nobody", app="nobody")).name
    pages = sources.pages_inside(chain, chain.client, url(chain.address(name)))
    refusals.require_refused(chain, eventually, pages, all_refused())


@claim("CHAIN-CLUSTERIP-070", spec=SERVICE + "#defining-a-service", level="full", requires=[EXEC], premises=premises.SPREAD)
def test_two_services_serve_the_same_pods(chain: Chain, create: Create, eventually: Eventually) -> None:
    """Two Services with the same selector MUST both reach every Pod that it matches."""
    twin = create(chain, service_manifests.service(name="twin")).name
    chain.require_listed(twin)
    backends = sources.backends_inside(chain, chain.client, url(chain.cluster_ip), url(chain.address(twin)))
    eventually(backends, every_backend(chain.pod_names, WELCOME))


@claim("CHAIN-CLUSTERIP-080", spec="#proxy-mode-iptables", requires=[EXEC], premises=premises.SPREAD)
def test_requests_are_spread(chain: Chain, eventually: Eventually) -> None:
    """Each Pod of a Service MUST get its share of many requests: fewer is a chance below one in a million."""
    at = url(chain.cluster_ip)
    eventually(sources.backends_inside(chain, chain.client, at), every_backend(chain.pod_names, WELCOME))
    # Drawn once: a sample that is drawn again until it is fair accepts every spread.
    sample = eventually(sources.drawn(chain, chain.client, at, MANY), DRAWN).state
    unpromised.require_spread(chain, sample)


@claim("CHAIN-CLUSTERIP-090", requires=[EXEC])
def test_no_request_is_lost_or_late(chain: Chain, eventually: Eventually) -> None:
    """Once the clusterIP answers, it MUST answer each of many requests, and connect it without the delay of a lost packet."""
    at = url(chain.cluster_ip)
    eventually(sources.pages_inside(chain, chain.client, at), all_welcome(WELCOME))
    # A lost SYN is retransmitted after one second (RFC 6298).
    require(chain.client.repeat(at, MANY), none_slower(1.0))


@claim("CHAIN-NODEPORT-030", spec="#traffic-to-services", requires=[NODE_REQUESTS, right("patch", "services")])
def test_node_port_without_endpoints_refuses(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The nodePort of a Service that has lost its endpoints MUST refuse connections on every Node."""
    service = create(chain, service_manifests.service(name="nobody", kind=service_manifests.NODE_PORT))
    port = node_port(service)
    # A port that no kube-proxy knows yet refuses connections, too.
    eventually(sources.pages_at_nodes(chain, port), chain.among_nodes(all_welcome(WELCOME)))
    actions.service(chain, {"selector": {"app": "nobody"}}, service.name)
    refusals.require_refused(chain, eventually, sources.pages_at_nodes(chain, port), chain.among_nodes(all_refused()))


@claim(
    "CHAIN-NODEPORT-040",
    spec="tutorials/services/source-ip/#source-ip-for-services-with-type-nodeport",
    requires=[THREE_NODES, HOST_ACCESS, NODE_PORTS, right("patch", "services")],
    level="full",
    premises=premises.SPREAD,
)
def test_external_traffic_policy_local(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With externalTrafficPolicy Local only Nodes with a Pod MUST answer, by it, and it MUST see the client's address."""
    node_reach.require_host(chain)
    service = create(
        chain, service_manifests.with_policy("local-outside", kind=service_manifests.NODE_PORT, externalTrafficPolicy="Cluster")
    )
    chain.require_listed(service.name)
    port = node_port(service)
    # A port that no kube-proxy knows yet refuses connections, too.
    eventually(sources.pages_at_nodes(chain, port), chain.among_nodes(all_welcome(WELCOME)))
    actions.service(chain, {"externalTrafficPolicy": "Local"}, service.name)
    for node, address in chain.asked.items():
        here = [pod.name for pod in chain.pods if pod.at("spec.nodeName") == node]
        pages = sources.pages_at_node(chain, node, port, MANY if here else 1)
        eventually(pages, only_from(*here) if here else no_answer())
        if here:
            unpromised.require_source(chain, eventually, pages, node, http.own_address(address, port))


@claim("CHAIN-NODEPORT-050", spec=SERVICE + "#udp", level="full", requires=[NODE_REQUESTS])
def test_udp_node_port_answers(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A nodePort for UDP MUST lead to the Pod at every Node, and bring its answer back."""
    port = node_port(create(chain, service_manifests.udp_service("echo")))
    create(chain, manifests.udp_echo("echo", chain.client_image, chain.family))
    eventually(chain.objects, pods.ready("echo"))
    eventually(sources.echoes(chain, port), chain.among_nodes(echoed("echo")))


@claim("CHAIN-CLUSTERIP-100", spec=DUAL, requires=[DUAL_STACK, EXEC], premises=premises.SPREAD)
def test_both_cluster_ips_reach_every_backend(chain: Chain, create: Create, eventually: Eventually) -> None:
    """Connections to each clusterIP of a Service with two IP families MUST reach every ready Pod, and no other."""
    service = create(chain, service_manifests.dual_stack("both"))
    chain.require_listed(service.name)
    urls = [url(address) for address in cluster_ips_of_both(service).values()]
    eventually(sources.backends_inside(chain, chain.client, *urls), every_backend(chain.pod_names, WELCOME))


@claim("CHAIN-CLUSTERIP-110", spec=DUAL, requires=[DUAL_STACK, EXEC], premises=premises.SPREAD)
def test_cluster_ip_of_the_second_family_reaches_every_backend(chain: Chain, create: Create, eventually: Eventually) -> None:
    """Connections to the clusterIP of a SingleStack Service of the second IP family MUST reach every ready Pod, and no other."""
    name = create(chain, service_manifests.of_family("second", other_family(chain.family))).name
    chain.require_listed(name)
    backends = sources.backends_inside(chain, chain.client, url(chain.address(name)))
    eventually(backends, every_backend(chain.pod_names, WELCOME))


@claim("CHAIN-NODEPORT-060", spec=DUAL, requires=[DUAL_STACK, NODE_REQUESTS, EXEC])
def test_node_port_answers_at_addresses_of_both_families(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The nodePort of a Service with two IP families MUST answer at the address of each family of every Node."""
    service = create(chain, service_manifests.dual_stack("both", kind=service_manifests.NODE_PORT))
    chain.require_listed(service.name)
    for address in cluster_ips_of_both(service).values():
        # From inside: this machine may reach the Nodes by one family alone.
        pages = sources.pages_at_nodes_inside(chain, chain.client, node_port(service), address)
        eventually(pages, chain.asked_at(address).among(all_welcome(WELCOME)))


@claim("CHAIN-API-030", spec="tasks/extend-kubernetes/http-proxy-access-api/", requires=[right("get", "services/proxy"), KUBECTL])
def test_kubectl_proxy(chain: Chain, kubectl: Kubectl, eventually: Eventually) -> None:
    """The Service MUST answer through `kubectl proxy` on loopback."""
    # Every user of this machine reaches the proxy with the rights of the run, so it serves this one path.
    only = f"--accept-paths=^{re.escape(chain.service_proxy)}$"
    # Without --append-server-path, kubectl leaves out the path that the server of the kubeconfig may have.
    words = ["--append-server-path", "--port=0", "--address=127.0.0.1", only, "--reject-methods=^[^G]"]
    with kubectl.listening("proxy", *words) as proxy:
        eventually(sources.loopback(chain, proxy, chain.service_proxy), all_welcome(WELCOME))


@claim(
    "CHAIN-API-040",
    spec="tasks/access-application-cluster/port-forward-access-application-cluster/",
    requires=[FORWARDING, KUBECTL],
)
def test_port_forward(chain: Chain, kubectl: Kubectl, eventually: Eventually) -> None:
    """A Pod of the Service MUST answer through a port that is forwarded to it from loopback."""
    target = ["port-forward", "--namespace", chain.namespace, f"service/{WEB}", f":{SERVICE_PORT}"]
    with kubectl.listening(*target, "--address=127.0.0.1") as forward:
        eventually(sources.loopback(chain, forward, "/"), all_welcome(WELCOME))


@claim("CHAIN-API-050", spec="reference/access-authn-authz/rbac/", requires=[EXEC], after=[Link.CLUSTERIP])
def test_proxy_and_forwarding_need_the_right(chain: Chain, bare_pod: KubeObject, eventually: Eventually) -> None:
    """Proxy and port-forward MUST be refused to a user who was given no right to them."""
    place = chain.ready_inside(bare_pod.name)
    unrestricted.require_no_rights(chain, place)
    who = f"system:serviceaccount:{chain.namespace}:{ACCOUNT}"
    eventually(sources.api_pages(chain, place, chain.service_proxy, *chain.pod_proxies), forbidden_to(who))
    forward = f"/api/v1/namespaces/{chain.namespace}/pods/{place.pod}/portforward"
    eventually(sources.api_pages(chain, place, forward, method="POST"), forbidden_to(who))
