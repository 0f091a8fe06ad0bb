"""What is asked of Nodes besides the nodePorts at their InternalIPs: external addresses, and the health of a Service."""

from __future__ import annotations

from collections.abc import Collection

from kubechain.conditions.http import ABSENT, Page, any_accepted
from kubechain.conditions.text import some
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.kube.families import family_of
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Polled
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own
from kubechain.workload.urls import addresses_of, url


def external_urls(chain: Chain) -> list[str]:
    """Return the URLs of the nodePort at external addresses of Nodes where the client Pod's connections are accepted.

    A firewall may be before them, they may be those of a gateway, and a service proxy need not serve nodePorts there: in the mode
    nftables, kube-proxy does so at the primary address of a Node alone.

    Raises:
        NotApplicable: no Node has such an address, or none accepts connections.

    """
    addresses = [
        address
        for node in chain.nodes_now
        if node.name in chain.asked
        for address in addresses_of(node, "ExternalIP")
        if family_of(address) == chain.family
    ]
    if not addresses:
        raise NotApplicable(f"needs a Node with an external {chain.family} address")
    pages = chain.client.fetch(*(url(address, chain.node_port) for address in addresses))
    accepted = [page.url for page in pages if page.failure not in ABSENT]
    if not accepted:
        raise NotApplicable(f"needs an external address of a Node that accepts connections to nodePorts: {some(pages)}")
    return accepted


def health(chain: Chain, service: KubeObject, nodes: Collection[str]) -> Polled[list[Page]]:
    """Return a source of what these Nodes answer at the healthCheckNodePort of a Service."""
    port, asked = int(service.at("spec.healthCheckNodePort")), chain.asked
    return sources.pages_at(chain, {node: f"{url(asked[node], port)}healthz" for node in nodes})


def require_health(chain: Chain, service: KubeObject) -> None:
    """Raise NotApplicable where no Node answers at the healthCheckNodePort: a service proxy other than kube-proxy may not.

    On a cluster of this project, which has kube-proxy, the claim decides.
    """
    if is_own(chain):
        return
    try:
        chain.waiter.eventually(health(chain, service, chain.asked), any_accepted())
    except Unmet as unmet:
        raise NotApplicable(f"needs a service proxy with health checks at healthCheckNodePort: {unmet}") from unmet
