"""What is known of one upgrade, as its claims judge it and as the report draws it. Data alone; times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kubechain.probes.load import Tally

Kind = Literal["NodePort", "ClusterIP", "DNS", "API server", "API proxy"]
EventKind = Literal["step", "version", "restart", "leader", "node", "pod", "watch"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """For how many seconds of each hop a kind of path may be away, and why."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """One way to the witnesses, asked all the time: from `place` (a Node, or "" for beside the harness), to `what`.

    `what` is, for example, the Node whose nodePort is asked, or "get" for the API server; with `reuse` the connection
    is kept from one request to the next.
    """

    kind: Kind
    what: str
    place: str
    reuse: bool

    @property
    def name(self) -> str:
        """The name of the path in messages and in the report: "NodePort kind-worker, new connections"."""
        parts = [self.kind, self.what, f"from {self.place}" if self.place else ""]
        return " ".join(filter(None, parts)) + (", kept connections" if self.reuse else ", new connections")


@dataclass(frozen=True, slots=True)
class RouteSamples:
    """What was seen of a path all the time."""

    route: Route
    tally: Tally


@dataclass(frozen=True, slots=True)
class UpgradeEvent:
    """Something that happened at a moment: a step of the upgrade, a container restart, a change of leader or version."""

    at: float
    kind: EventKind
    what: str


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions at a moment: of the API server, and of each Node's kubelet and kube-proxy ("" where unknown)."""

    at: float
    server: str
    kubelets: dict[str, str]
    proxies: dict[str, str]


@dataclass(frozen=True)
class UpgradeRecord:
    """One upgrade from its beginning to its end.

    `hops` are the versions, the first of them where it began; `began` and `ended` bound the samples in `routes`;
    `relists` is how often a watch lost its place, `lost` how often one lost its connection; `control_planes` is the
    number of Nodes that run a control plane; `asked` says that the run did the upgrade itself;
    `drained` are the Nodes that it drained; `warnings` are those of the API server about deprecated APIs.
    """

    hops: tuple[str, ...]
    began: float
    ended: float
    routes: tuple[RouteSamples, ...]
    events: tuple[UpgradeEvent, ...]
    versions: tuple[Versions, ...]
    relists: int
    lost: int
    control_planes: int
    asked: bool
    drained: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
