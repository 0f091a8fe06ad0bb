"""Watches a cluster during its upgrade: Nodes, the Pods and Leases of kube-system, the version of the API server."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kubechain.cluster import existing
from kubechain.core.versions import find
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.observe.background import run_periodically
from kubechain.observe.changes import Position
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.watcher import Watcher
from kubechain.upgrade import events
from kubechain.upgrade.model import UpgradeEvent
from kubechain.upgrade.presence import absence, is_left
from kubechain.upgrade.versions import kubelets, minor
from kubechain.workload.cluster_nodes import is_virtual

VERSION_SECONDS = 1.0
# A Node that is not Ready for longer is not waited for: a reboot takes less.
LOST_SECONDS = 300.0
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
# Of the Lease of each API server: https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity.
IDENTITY = "apiserver.kubernetes.io/identity"
CONTAINER_FIELDS = ("name", "containerID", "restartCount", "state", "image")


@dataclass
class ClusterWatch:
    """The histories of a watched cluster, and the recorded steps of its upgrade.

    `servers` are the versions of the API server, each with the Unix time of its first answer; `began` is when every kind had
    been listed (Unix seconds). With `goes_on`, the histories begin with what an earlier watch of this change ended with.
    """

    nodes: History
    system: History
    clock: Clock
    servers: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    steps: list[UpgradeEvent] = field(default_factory=list[UpgradeEvent])
    began: float = 0.0
    goes_on: bool = False

    def record_step(self, what: str) -> None:
        """Record that a step of the upgrade begins or ends now."""
        self.steps.append(UpgradeEvent(self.clock.wall(), "step", what))

    @property
    def server(self) -> str:
        """The last known version of the API server, "" if none is known."""
        return self.servers[-1][1] if self.servers else ""

    def kubelets(self) -> dict[str, str]:
        """Return Node name -> the version of its kubelet, without Nodes of which no new version is to be expected.

        Those are virtual, or have not been Ready for LOST_SECONDS, or since before the change.
        """
        lost = self._lost()
        return kubelets(node for node in self.nodes.read().all("Node") if node.uid not in lost)

    def _lost(self) -> set[str]:
        """Return the UIDs of the Nodes that are not Ready, and have not been since before the change or for LOST_SECONDS."""
        since: dict[str, float] = {}
        known: set[str] = set()
        for entry in self.nodes.log():
            node = entry.resource
            if node.is_true("Ready"):
                since.pop(node.uid, None)
            else:
                seen = self.goes_on or node.uid in known or entry.wall > self.began
                since.setdefault(node.uid, entry.wall if seen else 0.0)
            known.add(node.uid)
        return {uid for uid, at in since.items() if self.clock.wall() - at > LOST_SECONDS}

    @property
    def control_planes(self) -> int:
        """The number of Nodes with the label of the control plane, or of API servers with a Lease where no Node has it."""
        labelled = sum(CONTROL_PLANE in node.labels for node in self.nodes.read().all("Node"))
        return labelled or sum(IDENTITY in lease.labels for lease in self.system.read().all("Lease"))

    @property
    def drained(self) -> tuple[str, ...]:
        """The names of Nodes that were to be left or deleted at any time, so that their Pods are expected to be replaced."""
        log = [entry for entry in self.nodes.log() if entry.resource.kind == "Node"]
        names = {entry.resource.name for entry in log if entry.change == "DELETED" or is_left(entry.resource)}
        return tuple(sorted(names))

    def quiet(self, seconds: float) -> bool:
        """Whether every Node serves that is not lost, and no Node has changed for so many seconds."""
        lost = self._lost()
        serving = all(absence(node) is None or node.uid in lost for node in self.nodes.read().all("Node") if not is_virtual(node))
        last = max((entry.wall for entry in self.nodes.log()), default=0.0)
        return serving and self.clock.wall() - last >= seconds

    def upgraded_from(self, server: str, nodes: Mapping[str, str]) -> bool:
        """Whether the API server and all kubelets have the same minor version, and none the version that it had.

        `server` is that of the API server, `nodes` is Node name -> that of its kubelet. A kubelet that had the new release of the
        API server needs no other.
        """
        now, kubelets = self.server or server, self.kubelets()
        versions = {now, *kubelets.values()}
        left = all(version != nodes.get(name) or find(version) == find(now) for name, version in kubelets.items())
        return left and server not in versions and len({minor(version) for version in versions}) == 1


@contextmanager
def watching(api: Api, clock: Clock, since: Sequence[Position] = ()) -> Generator[ClusterWatch]:
    """Watch a cluster during the body; `since` is where earlier watches of Nodes and kube-system were, () without one."""
    of_nodes, of_system = since or (None, None)
    twin = api.twin()
    with (
        Watcher(api, "", clock, ("Node",), kept, since=of_nodes) as nodes,
        Watcher(api, "kube-system", clock, ("Pod", "Lease"), kept, since=of_system) as system,
    ):
        watch = ClusterWatch(nodes.history, system.history, clock, began=clock.wall(), goes_on=bool(since))

        def read_version() -> None:
            version = existing.server_version(twin)
            if watch.server != version:
                watch.servers.append((clock.wall(), version))

        with run_periodically("version of the API server", VERSION_SECONDS, read_version, clock):
            yield watch
    twin.close()


def kept(body: Json) -> Json:
    """Return what `events` and this module read of a Node, a Pod or a Lease: an upgrade takes hours, a cluster has thousands."""
    metadata: Json = body.get("metadata") or {}
    spec, status = Json(body.get("spec") or {}), Json(body.get("status") or {})
    containers: list[Json] = spec.get("containers") or []
    statuses: list[Json] = status.get("containerStatuses") or []
    conditions: list[Json] = status.get("conditions") or []
    ready = [{"type": "Ready", "status": each.get("status")} for each in conditions if each.get("type") == "Ready"]
    taints: list[Json] = spec.get("taints") or []
    node_info: Json = status.get("nodeInfo") or {}
    parts: dict[str, tuple[Json, Json]] = {
        "Node": (
            {**_chosen(spec, "unschedulable"), "taints": [_chosen(taint, "key") for taint in taints]},
            {
                "conditions": ready,
                "nodeInfo": _chosen(node_info, "kubeletVersion", "bootID", "operatingSystem"),
                **_chosen(status, "addresses"),
            },
        ),
        "Pod": (
            {**_chosen(spec, "nodeName"), "containers": [_chosen(each, "image") for each in containers]},
            {"containerStatuses": [_chosen(each, *CONTAINER_FIELDS) for each in statuses]},
        ),
        "Lease": (_chosen(spec, "holderIdentity"), {}),
    }
    chosen = parts.get(body.get("kind", ""))
    if chosen is None:
        return body
    labels: Json = metadata.get("labels") or {}
    metadata = {
        **_chosen(metadata, "name", "namespace", "uid", "resourceVersion", "deletionTimestamp"),
        # All of a Node: --nodes may name any of them.
        "labels": labels if body["kind"] == "Node" else _chosen(labels, IDENTITY, *events.PROXY),
        "annotations": _chosen(metadata.get("annotations") or {}, events.MIRROR),
    }
    return {"kind": body["kind"], "metadata": metadata, "spec": chosen[0], "status": chosen[1]}


def _chosen(fields: Json, *names: str) -> Json:
    return {name: fields[name] for name in names if name in fields}
