"""The Nodes of the cluster as they are now, and which of them say that they cannot serve a Service."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kubechain.claims.premises import CHOICE, Premise
from kubechain.conditions.text import some
from kubechain.core.errors import NotApplicable
from kubechain.kube.client import Api
from kubechain.kube.families import family_of
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.clock import Clock
from kubechain.workload import node_port_addresses, proxy_settings
from kubechain.workload.node_port_addresses import serves_at
from kubechain.workload.urls import addresses_of

# A list is as good as new for so many seconds, and in a large cluster longer: for 5,000 Nodes it has 10 pages.
FRESH_SECONDS, SECONDS_PER_NODE = 5.0, 0.01
# Marks of Nodes that are no machines: nothing there forwards connections to nodePorts.
VIRTUAL_TAINTS = (
    "virtual-kubelet.io/provider",
    "virtual-node.liqo.io/not-allowed",
    "kwok.x-k8s.io/node",
    "eks.amazonaws.com/compute-type",
)
# Taints of Nodes that an autoscaler drains and deletes, whose machine may be gone before the Node: of the cluster-autoscaler, of
# Karpenter 1, and of Karpenter before.
LEAVING_TAINTS = ("ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption")
# Taints of Nodes that are not usable yet: without their addresses, or without the agent that is their service proxy.
# https://kubernetes.io/docs/reference/labels-annotations-taints/
JOINING_TAINTS = ("node.cloudprovider.kubernetes.io/uninitialized", "node.cilium.io/agent-not-ready")
VIRTUAL_LABELS = (
    ("type", "virtual-kubelet"),
    ("kubernetes.io/role", "agent-virtual"),
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "kwok"),
    ("liqo.io/type", "virtual-node"),
)


@dataclass
class ClusterNodes:
    """Reads the Nodes when they are needed: one may join, turn NotReady or go during a run.

    `own` is the name of a kind cluster that this project made, "" for another cluster: each of its machines must serve, whatever
    its Node says. `configured` says that the configuration of kube-proxy may be read.
    """

    api: Api
    clock: Clock
    known: tuple[KubeObject, ...]
    own: str = ""
    configured: bool = False
    _read: float | None = None
    _proxy: KubeObject | None = None

    @property
    def proxy(self) -> KubeObject:
        """The configuration of kube-proxy; an object without fields where it may not be read."""
        if self._proxy is None:
            self._proxy = proxy_settings.read(self.api) if self.configured else KubeObject({})
        return self._proxy

    @property
    def node_port_ranges(self) -> tuple[str, ...]:
        """The ranges of addresses at which nodePorts are served, () for all."""
        return node_port_addresses.served(self.proxy)

    def require_choice(self, premises: Collection[Premise]) -> None:
        """Raise NotApplicable if a premise is that requests of one client come to every Pod, and kube-proxy is set otherwise."""
        scheduler = proxy_settings.sticking(self.proxy) if CHOICE in premises else ""
        if scheduler:
            how = f"IPVS has the scheduler {scheduler}, which leads a client to one Pod"
            raise NotApplicable(f"needs a service proxy that chooses Pods by chance or in turn: {how}")

    def now(self) -> tuple[KubeObject, ...]:
        """Return the Nodes that may be used (--nodes); none if they could not be listed at the beginning of the run."""
        fresh = max(FRESH_SECONDS, SECONDS_PER_NODE * len(self.known))
        if self.known and (self._read is None or self.clock.now() - self._read >= fresh):
            self.known, self._read = tuple(filter(self.api.shape.selects, self.api.list("Node").items)), self.clock.now()
        return self.known

    def named(self, name: str) -> KubeObject | None:
        """Return a Node that may be used by its name, read now, None if there is none."""
        found = self.api.list("Node", only=f"metadata.name={name}").items
        return next(filter(self.api.shape.selects, found), None)


def unable(nodes: Iterable[KubeObject], address: str, own: str = "", ranges: Sequence[str] = ()) -> dict[str, str]:
    """Return the Nodes that say that they do not serve a Service with this clusterIP: name -> why.

    `ranges` are those of their addresses at which nodePorts are served, () for all.

    A machine of the kind cluster `own`, which this project made and which was Ready at first, must serve also if it is not Ready.
    """
    reasons = {node.name: why_unable(node, address, ranges, own=bool(own) and node.name.startswith(f"{own}-")) for node in nodes}
    return {name: why for name, why in reasons.items() if why}


def why_unable(node: KubeObject, address: str, ranges: Sequence[str] = (), *, own: bool = False) -> str:
    """Return why a Node cannot serve a Service with this clusterIP by what it says of itself, "" if it should serve.

    A cordoned or tainted Node serves: https://kubernetes.io/docs/reference/networking/virtual-ips/ promises nodePorts on each.
    """
    if node.deleting:
        return "being deleted"
    if not own and (why := _why_unusable(node)):
        return why
    if is_virtual(node):
        return "virtual"
    if other := other_system(node):
        return f"runs {other}"
    if serving_address(node, address, ranges):
        return ""
    where = f" in {some(ranges)}, where nodePorts are served" if serving_address(node, address) else ""
    return f"no InternalIP of {family_of(address)}{where}"


def _why_unusable(node: KubeObject) -> str:
    """Return why a Node is not usable now, "" if it is."""
    if not node.is_true("Ready"):
        return f"not ready ({node.condition('Ready').get('reason', 'no condition')})"
    if node.condition("NetworkUnavailable").get("status") == "True":
        return "network unavailable"
    taint = has_taint(node, *LEAVING_TAINTS, *JOINING_TAINTS)
    return f"has the taint {taint}" if taint else ""


def is_virtual(node: KubeObject) -> bool:
    """Whether a Node is no machine: nothing there forwards connections, and its version says nothing of the cluster."""
    return bool(has_taint(node, *VIRTUAL_TAINTS)) or any(node.labels.get(key) == value for key, value in VIRTUAL_LABELS)


def has_taint(node: KubeObject, *keys: str) -> str:
    """Return the first of these keys of which a Node has a taint, "" if it has none of them."""
    taints: list[Json] = node.at("spec.taints", []) or []
    return next((str(taint["key"]) for taint in taints if taint.get("key") in keys), "")


def other_system(node: KubeObject) -> str:
    """Return the operating system of a Node that is not Linux, for which the images are; "" if it is, or if nothing says so."""
    system = str(node.labels.get("kubernetes.io/os") or node.at("status.nodeInfo.operatingSystem", ""))
    return "" if system == "linux" else system


def serving_address(node: KubeObject, address: str, ranges: Sequence[str] = ()) -> str:
    """Return the first InternalIP, in these ranges, of a Node of the family of a Service with this clusterIP; "" if none is."""
    of_family = (each for each in addresses_of(node) if family_of(each) == family_of(address))
    return next((each for each in of_family if serves_at(each, ranges)), "")


def note(unable: Sequence[tuple[str, str]], most: int = 5) -> str:
    """Return which Nodes were not asked and why, for the end of a message; "" if there is none."""
    if not unable:
        return ""
    shown = ", ".join(f"{name}: {why}" for name, why in unable[:most])
    more = f" and {len(unable) - most} more" if len(unable) > most else ""
    return f" (not asked: {shown}{more})"
