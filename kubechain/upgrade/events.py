"""The events of an upgrade, computed from the histories of watched objects. Pure functions.

The state at `began` (Unix seconds; every kind has been listed by then) is not an event. The time of an event is when the
harness received it: a change during an outage of the API server has the time at which the watch reconnects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import Key, ObjectChange, apply
from kubechain.upgrade.model import EventKind, UpgradeEvent, Versions
from kubechain.workload.cluster_nodes import is_virtual

LEADERS = ("kube-scheduler", "kube-controller-manager", "cloud-controller-manager")
MIRROR = "kubernetes.io/config.mirror"
PROXY = {"k8s-app": "kube-proxy"}
KindAndText = tuple[EventKind, str]


def upgrade_events(
    system: Iterable[ObjectChange], nodes: Iterable[ObjectChange], witnesses: Iterable[ObjectChange], began: float
) -> tuple[UpgradeEvent, ...]:
    """Return the events after `began`, in order of time.

    `system` is the log of the Pods and Leases in kube-system, `nodes` that of the Nodes, `witnesses` that of the witnesses'
    namespace, which may lack its beginning.
    """
    system, witnesses = list(system), list(witnesses)
    events = [
        *_events(nodes, _Nodes().changes, began),
        *_events(system, _Containers().changes, began),
        *_events(system, _Pods(_nodes_of_pods(system)).changes, began),
        *_events(system, _Leaders().changes, began),
        *_events(witnesses, _Pods(_nodes_of_pods(witnesses), "pod ").changes, began),
    ]
    return tuple(sorted(events, key=lambda event: event.at))


def _events(
    log: Iterable[ObjectChange], changes: Callable[[ObjectChange], Iterable[KindAndText]], began: float
) -> Iterator[UpgradeEvent]:
    """Call `changes` for the whole log, so that it knows the state at `began`, and yield the events after `began`."""
    for entry in log:
        for kind, what in list(changes(entry)):
            if entry.wall > began:
                yield UpgradeEvent(entry.wall, kind, what)


def _nodes_of_pods(log: Iterable[ObjectChange]) -> dict[str, str]:
    """Return Pod UID -> Node name, from the whole log, because a Pod is created without a Node."""
    pods = [entry.resource for entry in log if entry.resource.kind == "Pod"]
    return {pod.uid: node for pod in pods if (node := pod.at("spec.nodeName"))}


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of a container; "" for a field that its status does not have."""

    id: str = ""
    started: str = ""
    restarts: int = 0

    def follows(self, earlier: _Run) -> bool:
        """Return whether this is another run than `earlier`."""
        pairs = ((self.id, earlier.id), (self.started, earlier.started))
        return self.restarts > earlier.restarts or any(new and old and new != old for new, old in pairs)

    def completed_by(self, earlier: _Run) -> _Run:
        """Return this run, with the values of `earlier` for fields that its status does not have."""
        return _Run(self.id or earlier.id, self.started or earlier.started, self.restarts)


@dataclass
class _Containers:
    """Starts of containers, by Pod name and not UID: the kubelet replaces the object of a static Pod while it runs on."""

    known: dict[tuple[str, str], _Run] = field(default_factory=dict[tuple[str, str], _Run])

    def changes(self, entry: ObjectChange) -> Iterator[KindAndText]:
        pod = entry.resource
        if pod.kind != "Pod" or entry.change == "DELETED":
            return
        statuses: list[Json] = pod.at("status.containerStatuses") or []
        for status in statuses:
            key, run = (pod.name, str(status["name"])), _run(status)
            before = self.known.get(key)
            if before is None and not _has_run(status):
                continue
            self.known[key] = run.completed_by(before) if before else run
            if before is None or run.follows(before):
                yield "restart", f"{status['name']} of {pod.at('spec.nodeName', 'no node')} started"


def _run(status: Json) -> _Run:
    state: Json = status.get("state") or {}
    details: Json = state.get("running") or state.get("terminated") or {}
    return _Run(status.get("containerID") or "", details.get("startedAt") or "", status.get("restartCount", 0))


def _has_run(status: Json) -> bool:
    """Return whether a container runs or has run."""
    return bool(status.get("containerID") or {"running", "terminated"} & set(status.get("state") or {}))


@dataclass
class _Pods:
    """Created and deleted Pods, except static ones, whose objects are replaced while their containers run on.

    `nodes` is Pod UID -> Node name.
    """

    nodes: dict[str, str]
    prefix: str = ""
    known: dict[str, str] = field(default_factory=dict[str, str])

    def changes(self, entry: ObjectChange) -> Iterator[KindAndText]:
        pod = entry.resource
        if pod.kind != "Pod" or MIRROR in pod.annotations:
            return
        before = self.known.pop(pod.name, None)
        if before and before != pod.uid:
            yield self._text(pod.name, before, "deleted")
        if entry.change == "DELETED":
            yield self._text(pod.name, pod.uid, "deleted")
            return
        self.known[pod.name] = pod.uid
        if before != pod.uid and (before or entry.change == "ADDED"):
            yield self._text(pod.name, pod.uid, "created")

    def _text(self, name: str, uid: str, change: str) -> KindAndText:
        where = f" on {self.nodes[uid]}" if uid in self.nodes else ""
        return "pod", f"{self.prefix}{name}{where} {change}"


@dataclass
class _Leaders:
    """New holders of the leaders' Leases; a restarted process on the same Node is a new holder."""

    known: dict[str, str] = field(default_factory=dict[str, str])

    def changes(self, entry: ObjectChange) -> Iterator[KindAndText]:
        lease = entry.resource
        if lease.kind != "Lease" or lease.name not in LEADERS:
            return
        holder = "" if entry.change == "DELETED" else lease.at("spec.holderIdentity") or ""
        if holder != self.known.get(lease.name):
            self.known[lease.name] = holder
            # The identity is NODE_UUID.
            yield "leader", f"leader of {lease.name} is {holder.rpartition('_')[0] or holder or 'nobody'}"


@dataclass
class _Nodes:
    """Changes of Nodes: joined or deleted, readiness, cordoned or not, and the version of the kubelet."""

    known: dict[str, tuple[str, str, str]] = field(default_factory=dict[str, tuple[str, str, str]])
    uids: dict[str, str] = field(default_factory=dict[str, str])

    def changes(self, entry: ObjectChange) -> Iterator[KindAndText]:
        node = entry.resource
        if node.kind != "Node":
            return
        before = self.known.pop(node.name, None)
        if before and self.uids[node.name] != node.uid:
            yield "node", f"{node.name} deleted"
            before = None
        self.uids[node.name] = node.uid
        if entry.change == "DELETED":
            yield "node", f"{node.name} deleted"
            return
        version = str(node.at("status.nodeInfo.kubeletVersion", ""))
        ready, cordoned, _ = now = (_ready(node), "cordoned" if node.at("spec.unschedulable") else "uncordoned", version)
        self.known[node.name] = now
        if before is None:
            yield "node", f"{node.name} joined"
            before = ("", "uncordoned", "")
        if ready != before[0]:
            yield "node", f"{node.name} {ready}"
        if cordoned != before[1]:
            yield "node", f"{node.name} {cordoned}"
        if version and version != before[2]:
            yield "version", f"kubelet of {node.name} is {version}"


def _ready(node: KubeObject) -> str:
    status = node.condition("Ready").get("status")
    return "Ready" if status == "True" else "NotReady (silent)" if status == "Unknown" else "NotReady"


def versions(
    nodes: Iterable[ObjectChange], system: Iterable[ObjectChange], servers: Sequence[tuple[float, str]], began: float
) -> tuple[Versions, ...]:
    """Return the versions at `began`, and an entry for each later change.

    `servers` are the versions of the API server, each with the Unix time of its first answer. The version of kube-proxy on a
    Node is that of its running container, "" while none runs.
    """
    objects: dict[Key, KubeObject] = {}
    changes = deque(sorted(filter(_has_version, [*nodes, *system]), key=lambda entry: entry.wall))
    times = {max(at, began) for at in (began, *(entry.wall for entry in changes), *(at for at, _ in servers))}
    entries: list[Versions] = []
    for time in sorted(times):
        while changes and changes[0].wall <= time:
            apply(objects, changes.popleft())
        server = next((version for at, version in reversed(servers) if at <= time), "")
        now = _versions(time, server, list(objects.values()))
        if not entries or replace(now, at=entries[-1].at) != entries[-1]:
            entries.append(now)
    return tuple(entries)


def _has_version(entry: ObjectChange) -> bool:
    return entry.resource.kind == "Node" or (entry.resource.kind == "Pod" and entry.resource.matches(PROXY))


def _versions(at: float, server: str, objects: Sequence[KubeObject]) -> Versions:
    nodes = [node for node in objects if node.kind == "Node" and not is_virtual(node)]
    kubelets = {node.name: str(node.at("status.nodeInfo.kubeletVersion", "")) for node in nodes}
    proxies = [pod for pod in objects if pod.kind == "Pod"]
    running = {pod.at("spec.nodeName"): version for pod in proxies if (version := proxy_version(pod))}
    return Versions(at, server, kubelets, {name: running.get(name, "") for name in kubelets})


def proxy_version(pod: KubeObject) -> str:
    """Return the image tag of the Pod's first container; "" if it does not run, or its image has no tag."""
    statuses: list[Json] = pod.at("status.containerStatuses") or []
    if not statuses or "running" not in (statuses[0].get("state") or {}):
        return ""
    # A container runtime may report the id of an image that has several names.
    return tag(str(statuses[0].get("image", ""))) or tag(str(pod.at("spec.containers", [{}])[0].get("image", "")))


def tag(image: str) -> str:
    """Return the tag of an image name, "" if it has none: "v1.37.2" for "host:5000/kube-proxy:v1.37.2@sha256:…"."""
    name = image.partition("@")[0].rpartition("/")[2]
    return "" if name.startswith("sha256:") else name.partition(":")[2]
