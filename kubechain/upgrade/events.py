"""What happened during an upgrade, from the histories of what was watched: pure functions.

What was there by `began` (Unix seconds; every kind has been listed by then) is no news. A time is when the harness
learned of something: what happens while the API server is away is learned of when it is back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import Key, ObjectChange, apply
from kubechain.upgrade.model import EventKind, UpgradeEvent, Versions

LEADERS = ("kube-scheduler", "kube-controller-manager", "cloud-controller-manager")
MIRROR = "kubernetes.io/config.mirror"
PROXY = {"k8s-app": "kube-proxy"}
Said = tuple[EventKind, str]


def upgrade_events(
    system: Iterable[ObjectChange], nodes: Iterable[ObjectChange], witnesses: Iterable[ObjectChange], began: float
) -> tuple[UpgradeEvent, ...]:
    """Return what happened after `began`, in the order of time.

    `system` is the history of the Pods and Leases of kube-system, `nodes` that of the Nodes, `witnesses` that of the
    witnesses' namespace; it may lack its beginning.
    """
    system, witnesses = list(system), list(witnesses)
    found = [
        *_said(nodes, _Nodes().news, began),
        *_said(system, _Starts().news, began),
        *_said(system, _Pods(_places(system)).news, began),
        *_said(system, _Leaders().news, began),
        *_said(witnesses, _Pods(_places(witnesses), "pod ").news, began),
    ]
    return tuple(sorted(found, key=lambda event: event.at))


def _said(log: Iterable[ObjectChange], news: Callable[[ObjectChange], Iterable[Said]], began: float) -> Iterator[UpgradeEvent]:
    """Tell `news` of everything, so that it knows what was there, and yield what is new after `began`."""
    for seen in log:
        for kind, what in list(news(seen)):
            if seen.wall > began:
                yield UpgradeEvent(seen.wall, kind, what)


def _places(log: Iterable[ObjectChange]) -> dict[str, str]:
    """Return the Node of each Pod by UID: one that was just created has none yet."""
    pods = [seen.resource for seen in log if seen.resource.kind == "Pod"]
    return {pod.uid: node for pod in pods if (node := pod.at("spec.nodeName"))}


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a container; "" where its status does not say."""

    id: str = ""
    started: str = ""
    restarts: int = 0

    def follows(self, earlier: _Run) -> bool:
        """Whether this is another run than one known before."""
        pairs = ((self.id, earlier.id), (self.started, earlier.started))
        return self.restarts > earlier.restarts or any(new and old and new != old for new, old in pairs)

    def over(self, earlier: _Run) -> _Run:
        """Return this run, with what its status does not say any more as it was known before."""
        return _Run(self.id or earlier.id, self.started or earlier.started, self.restarts)


@dataclass
class _Starts:
    """Containers that start: by the name of their Pod, since a static Pod's object is replaced when its kubelet likes."""

    known: dict[tuple[str, str], _Run] = field(default_factory=dict[tuple[str, str], _Run])

    def news(self, seen: ObjectChange) -> Iterator[Said]:
        pod = seen.resource
        if pod.kind != "Pod" or seen.change == "DELETED":
            return
        statuses: list[Json] = pod.at("status.containerStatuses") or []
        for status in statuses:
            key, run = (pod.name, str(status["name"])), _run(status)
            before = self.known.get(key)
            if before is None and not _ran(status):
                continue
            self.known[key] = run.over(before) if before else run
            if before is None or run.follows(before):
                yield "restart", f"{status['name']} of {pod.at('spec.nodeName', 'no node')} started"


def _run(status: Json) -> _Run:
    state: Json = status.get("state") or {}
    inside: Json = state.get("running") or state.get("terminated") or {}
    return _Run(status.get("containerID") or "", inside.get("startedAt") or "", status.get("restartCount", 0))


def _ran(status: Json) -> bool:
    """Whether a container runs or ever did."""
    return bool(status.get("containerID") or {"running", "terminated"} & set(status.get("state") or {}))


@dataclass
class _Pods:
    """Pods that come and go; a static Pod's object does so while its containers run on, and is left out."""

    places: dict[str, str]
    prefix: str = ""
    known: dict[str, str] = field(default_factory=dict[str, str])

    def news(self, seen: ObjectChange) -> Iterator[Said]:
        pod = seen.resource
        if pod.kind != "Pod" or MIRROR in pod.annotations:
            return
        before = self.known.pop(pod.name, None)
        if before and before != pod.uid:
            yield self._said(pod.name, before, "deleted")
        if seen.change == "DELETED":
            yield self._said(pod.name, pod.uid, "deleted")
            return
        self.known[pod.name] = pod.uid
        if before != pod.uid and (before or seen.change == "ADDED"):
            yield self._said(pod.name, pod.uid, "created")

    def _said(self, name: str, uid: str, what: str) -> Said:
        place = f" on {self.places[uid]}" if uid in self.places else ""
        return "pod", f"{self.prefix}{name}{place} {what}"


@dataclass
class _Leaders:
    """Who leads; a process that starts anew on the same Node is another leader."""

    known: dict[str, str] = field(default_factory=dict[str, str])

    def news(self, seen: ObjectChange) -> Iterator[Said]:
        lease = seen.resource
        if lease.kind != "Lease" or lease.name not in LEADERS:
            return
        holder = "" if seen.change == "DELETED" else lease.at("spec.holderIdentity") or ""
        if holder != self.known.get(lease.name):
            self.known[lease.name] = holder
            # The rest of the identity is a UUID.
            yield "leader", f"leader of {lease.name} is {holder.rpartition('_')[0] or holder or 'nobody'}"


@dataclass
class _Nodes:
    """What changes of Nodes: whether they are there, Ready, cordoned, and the version of their kubelet."""

    known: dict[str, tuple[str, str, str]] = field(default_factory=dict[str, tuple[str, str, str]])

    def news(self, seen: ObjectChange) -> Iterator[Said]:
        node = seen.resource
        if node.kind != "Node":
            return
        before = self.known.pop(node.name, None)
        if seen.change == "DELETED":
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
    """Return the versions at `began`, and again whenever any of them was seen to have changed after it.

    `servers` says when (Unix seconds) which version of the API server was first seen. The version of a Node's
    kube-proxy is that of the one which runs there; "" while none does.
    """
    objects: dict[Key, KubeObject] = {}
    changes = deque(sorted(filter(_has_version, [*nodes, *system]), key=lambda seen: seen.wall))
    moments = {max(at, began) for at in (began, *(seen.wall for seen in changes), *(at for at, _ in servers))}
    found: list[Versions] = []
    for moment in sorted(moments):
        while changes and changes[0].wall <= moment:
            apply(objects, changes.popleft())
        server = next((version for at, version in reversed(servers) if at <= moment), "")
        now = _versions(moment, server, list(objects.values()))
        if not found or replace(now, at=found[-1].at) != found[-1]:
            found.append(now)
    return tuple(found)


def _has_version(seen: ObjectChange) -> bool:
    return seen.resource.kind == "Node" or (seen.resource.kind == "Pod" and seen.resource.matches(PROXY))


def _versions(at: float, server: str, objects: Sequence[KubeObject]) -> Versions:
    kubelets = {node.name: str(node.at("status.nodeInfo.kubeletVersion", "")) for node in objects if node.kind == "Node"}
    proxies = [pod for pod in objects if pod.kind == "Pod"]
    running = {pod.at("spec.nodeName"): version for pod in proxies if (version := proxy_version(pod))}
    return Versions(at, server, kubelets, {name: running.get(name, "") for name in kubelets})


def proxy_version(pod: KubeObject) -> str:
    """Return the tag of the image that the Pod's first container runs; "" if it does not run, or there is no tag."""
    statuses: list[Json] = pod.at("status.containerStatuses") or []
    if not statuses or "running" not in (statuses[0].get("state") or {}):
        return ""
    # A runtime that knows an image by several names may say none of them but its id.
    return tag(str(statuses[0].get("image", ""))) or tag(str(pod.at("spec.containers", [{}])[0].get("image", "")))


def tag(image: str) -> str:
    """Return the tag of an image's name, "" if it has none: "host:5000/kube-proxy:v1.37.2@sha256:…" is "v1.37.2"."""
    name = image.partition("@")[0].rpartition("/")[2]
    return "" if name.startswith("sha256:") else name.partition(":")[2]
