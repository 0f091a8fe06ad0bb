"""The records of an upgrade, which its claims check and its report shows. Data only; times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kubechain.kube.traffic import MinuteRecord
from kubechain.probes.load import Tally

Kind = Literal["NodePort", "ClusterIP", "DNS", "LoadBalancer", "URL", "API server", "API proxy"]
EventKind = Literal["step", "version", "restart", "leader", "node", "pod", "watch"]
# Why the time of a Node does not count: it is not Ready yet, it is cordoned, it is not Ready any more, it does not exist, or
# whether it served is not known, because the run was away.
Absence = Literal["joining", "cordoned", "not ready", "deleted", "not watched"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """For how many seconds a route may be unavailable, and why."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """A route to the witnesses that is sampled: from a Pod on the Node `place`, or with "" from the harness's machine.

    `what` is the destination, such as the Node of a nodePort, or "get" for the API server; with `reuse` the connection is
    kept from one request to the next. `nodes` are the UIDs of the Nodes that it leads through.
    """

    kind: Kind
    what: str
    place: str
    reuse: bool
    nodes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name in messages and in the report: "NodePort kind-worker, new connections"."""
        parts = [self.kind, self.what, f"from {self.place}" if self.place else ""]
        return " ".join(filter(None, parts)) + (", kept connections" if self.reuse else ", new connections")


@dataclass(frozen=True, slots=True)
class NodeSpan:
    """A time from `start` to `end` in which a Node serves: it is Ready and not cordoned.

    `ended` says why it ends, "" if it does not. A Node of the same name with another UID is another Node.
    """

    uid: str
    name: str
    start: float
    end: float
    ended: Absence | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class AsideSamples:
    """How many samples do not count because a Node did not serve, and how many of them were lost."""

    samples: int
    lost: int


@dataclass(frozen=True, slots=True)
class RouteSamples:
    """The samples of a route that count, and when they do: in the `windows` (start, end), () for all of the time.

    `aside` are the samples at other times, by what kept a Node of the route from serving. `answered` is False for a route that
    was there before the change and did not answer then: what it lost, the change may not have caused. `unseen` are the times
    (start, end) in which nobody asked, because the run was away; they are in no window.
    """

    route: Route
    tally: Tally
    windows: tuple[tuple[float, float], ...] = ()
    aside: dict[Absence, AsideSamples] = field(default_factory=dict["Absence", AsideSamples])
    answered: bool = True
    unseen: tuple[tuple[float, float], ...] = ()

    @property
    def unseen_seconds(self) -> float:
        """For how many seconds in all nobody asked."""
        return sum(end - start for start, end in self.unseen)

    @property
    def parts(self) -> list[Tally]:
        """The samples of each window."""
        return [self.tally.between(start, end) for start, end in self.windows] or [self.tally]


@dataclass(frozen=True, slots=True)
class UpgradeEvent:
    """An event of an upgrade: a step, a container restart, a new leader, a new version, a change of a Node or a Pod."""

    at: float
    kind: EventKind
    what: str


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions at a time: of the API server, and of the kubelet and kube-proxy by Node name ("" where unknown)."""

    at: float
    server: str
    kubelets: dict[str, str]
    proxies: dict[str, str]


@dataclass(frozen=True)
class UpgradeRecord:
    """An upgrade, or another change, from its beginning to its end.

    `hops` are the versions in order, the first is the one before the upgrade; `began` and `ended` bound the samples in
    `routes`; `relists` is how often a watch had to list again, `lost` how often a watch lost its connection;
    `control_planes` is the number of control planes, 0 if it is not known; `upgraded_by_this_run` is False for an upgrade by
    other means; `change` is the command of a change that need not be an upgrade, "" for an upgrade;
    `ask_allowance` is for how many seconds each URL of --ask may be unreachable; `drained` are the names of
    drained Nodes; `nodes` are the times in which each Node served; `warnings` are those of the API server about deprecated
    APIs; `load` is what the run asked of the API server, minute by minute, without the samplers; `absences` are the times
    (start, end) in which the run was away, because its Pod was evicted or killed.
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
    upgraded_by_this_run: bool
    change: str = ""
    ask_allowance: float = 0.0
    drained: tuple[str, ...] = ()
    nodes: tuple[NodeSpan, ...] = ()
    warnings: tuple[str, ...] = ()
    load: tuple[MinuteRecord, ...] = ()
    absences: tuple[tuple[float, float], ...] = ()
