"""Reaching nginx: through the clusterIP, through every node's port, and through the API server's proxy."""

from fixtures.claims import Link, claim
from fixtures.conditions.answers import all_welcome, every_backend
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain, url
from fixtures.workload.manifests import WELCOME

SERVICE = "concepts/services-networking/service/"
PROXY = "tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls"


@claim(
    "CHAIN-CLUSTERIP-010",
    link=Link.CLUSTERIP,
    spec=SERVICE + "#type-clusterip",
    upstream="Service endpoint latency, thresholds",
)
def test_cluster_ip_answers_a_pod(chain: Chain, eventually: Eventually) -> None:
    """A Pod that asks the clusterIP at the Service's port MUST be answered by nginx."""
    pages = chain.pages_inside(chain.client, url(chain.cluster_ip))
    eventually(pages, all_welcome(WELCOME), within=deadlines.DATA_PLANE)


@claim("CHAIN-CLUSTERIP-020", link=Link.CLUSTERIP, spec="reference/networking/virtual-ips/#proxy-mode-iptables")
def test_cluster_ip_reaches_every_backend(chain: Chain, eventually: Eventually) -> None:
    """Connections to the clusterIP MUST reach every ready Pod of the Service, and no other."""
    backends = chain.backends_inside(chain.client, url(chain.cluster_ip))
    eventually(backends, every_backend(chain.pod_names, WELCOME), within=deadlines.DATA_PLANE)


@claim(
    "CHAIN-NODEPORT-010",
    link=Link.NODEPORT,
    spec=SERVICE + "#type-nodeport",
    upstream="Networking, Granular Checks: Services, NodePort",
)
def test_node_port_answers_on_every_node(chain: Chain, eventually: Eventually) -> None:
    """The nodePort MUST answer with nginx's page at the address of every Node, whether a Pod runs there or not."""
    pages = chain.pages(*chain.node_urls().values())
    eventually(pages, all_welcome(WELCOME), within=deadlines.DATA_PLANE)


@claim("CHAIN-NODEPORT-020", link=Link.NODEPORT, spec=SERVICE + "#type-nodeport")
def test_every_node_reaches_every_backend(chain: Chain, eventually: Eventually) -> None:
    """Connections to the nodePort of each Node MUST reach every ready Pod of the Service, and no other."""
    eventually(chain.backends_at_nodes(), every_backend(chain.pod_names, WELCOME), within=deadlines.DATA_PLANE)


@claim("CHAIN-API-010", link=Link.API, spec=PROXY, upstream="Proxy, logs service endpoint")
def test_api_proxy_reaches_the_service(chain: Chain, eventually: Eventually) -> None:
    """The API server's proxy MUST answer for the Service with nginx's page."""
    eventually(chain.proxied_service(), all_welcome(WELCOME), within=deadlines.DATA_PLANE)


@claim("CHAIN-API-020", link=Link.API, spec=PROXY, upstream="Proxy, validate Proxy responses")
def test_api_proxy_reaches_each_pod(chain: Chain, eventually: Eventually) -> None:
    """The API server's proxy MUST answer for each Pod with nginx's page."""
    eventually(chain.proxied_pods(), all_welcome(WELCOME), within=deadlines.DATA_PLANE)
