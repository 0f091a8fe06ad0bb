"""What holds on a cluster of this project, and what Kubernetes does not promise of a cluster of others."""

from __future__ import annotations

import ipaddress

from kubechain.conditions import pods
from kubechain.conditions.condition import Condition, undecided
from kubechain.conditions.http import Page, came_from, one_backend, spread_over
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import QUEUED_PULL
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import Polled, require
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own
from kubechain.workload.urls import addresses_of


def require_events(chain: Chain, eventually: Eventually, condition: Condition[NamespaceState]) -> None:
    """Wait until there are the Events that a claim is about.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit

    Raises:
        NotApplicable: they do not come, on a cluster of others: they are best-effort, and a limit may drop some.

    """
    try:
        eventually(chain.objects, condition)
    except Unmet as unmet:
        if is_own(chain):
            raise
        raise NotApplicable(f"needs a cluster that keeps each Event: {unmet}") from unmet


def require_refused_pull(chain: Chain, eventually: Eventually, pod: str, condition: Condition[NamespaceState]) -> None:
    """Wait for what the kubelet says of a Pod whose image cannot be pulled.

    On a cluster of others the pull may wait for those of other Pods before it fails.
    https://kubernetes.io/docs/concepts/containers/images/#serial-and-parallel-image-pulls

    Raises:
        HarnessError: the pull has not ended yet.

    """

    def is_pulling() -> bool:
        state = chain.objects.read()
        found = state.one("Pod", pod)
        return not is_own(chain) and found is not None and pods.is_pulling(state, found)

    try:
        eventually(chain.objects, condition)
    except Unmet:
        if not is_pulling():
            raise
        try:
            eventually(chain.objects, condition, within=QUEUED_PULL)
        except Unmet as unmet:
            if not is_pulling():
                raise
            raise undecided(condition.what, f"the pull of Pod {pod} has not ended; {unmet}") from unmet


def require_spread(chain: Chain, pages: list[Page]) -> None:
    """Require that each Pod has answered its share of these requests.

    kube-proxy chooses a Pod by chance, or in turn. IPVS may have other schedulers, and a mesh prefers the Pod that is faster.
    https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-ipvs

    Raises:
        NotApplicable: they have all answered, and some seldom, on a cluster of others.

    """
    backends = chain.pod_names
    try:
        require(pages, spread_over(backends))
    except Unmet as unmet:
        if is_own(chain) or {(page.status, page.backend) for page in pages} != {(200, name) for name in backends}:
            raise
        raise NotApplicable(f"needs a service proxy that chooses Pods by chance: {unmet}") from unmet


def require_sticky(chain: Chain, eventually: Eventually, pages: Polled[list[Page]], place: PodProbe) -> None:
    """Wait until one Pod answers all requests from a Pod.

    Raises:
        NotApplicable: several do, and a proxy of a mesh chooses them in the place of the service proxy, on a cluster of others.

    """
    try:
        eventually(pages, one_backend())
    except Unmet as unmet:
        if is_own(chain) or not _is_meshed(chain.present("Pod", place.pod)):
            raise
        raise NotApplicable(f"needs a Pod whose connections no proxy of a mesh leads: {unmet}") from unmet


def _is_meshed(pod: KubeObject) -> bool:
    """Whether a Pod has containers that nobody asked for, or Istio redirects its connections without one."""
    containers: list[Json] = [*pod.at("spec.containers", []), *(pod.at("spec.initContainers", []) or [])]
    return len(containers) > len(pod.own("spec.containers")) or pod.annotations.get("ambient.istio.io/redirection") == "enabled"


def require_source(chain: Chain, eventually: Eventually, pages: Polled[list[Page]], node: str, address: str) -> None:
    """Wait until the Pods of a Node see the address of this machine.

    Raises:
        NotApplicable: they see another one that is none of the Node or of its Pods, on a cluster of others: a router, a VPN or
            the network of the Pod in which this program runs has changed it on the way to the Node.

    """
    try:
        eventually(pages, came_from(address))
    except Unmet as unmet:
        sources = {page.source for page in pages.read()}
        found = next((each for each in chain.nodes_now if each.name == node), None)
        if is_own(chain) or found is None or not all(sources) or any(_is_of(found, source) for source in sources):
            raise
        changed = f"{address} comes as {some(sorted(sources))}"
        raise NotApplicable(f"needs a way to Node {node} that keeps the address of this machine: {changed}") from unmet


def _is_of(node: KubeObject, address: str) -> bool:
    """Whether an address is one of a Node, or of the range of its Pods, in which its bridge has one."""
    ranges: list[str] = node.at("spec.podCIDRs", []) or []
    known = addresses_of(node, "InternalIP", "ExternalIP")
    return address in known or any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in ranges)
