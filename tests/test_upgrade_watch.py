import json
import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.listing import Keep, trimmed
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Change, Position
from kubechain.observe.clock import RealClock
from kubechain.observe.history import History
from kubechain.upgrade import cluster_watch
from kubechain.upgrade.cluster_watch import CONTROL_PLANE, IDENTITY, LOST_SECONDS, ClusterWatch, kept, watching
from tests.fakes import FakeApi, FakeClock, changed, conditions, thing

OLD, NEW = "v1.36.3", "v1.37.2"


def node(name: str, version: str, **spec: Any) -> tuple[Change, KubeObject]:
    return "ADDED", thing("Node", name, spec=spec, status={"nodeInfo": {"kubeletVersion": version}})


def watched(servers: list[str], *nodes: tuple[Change, KubeObject]) -> ClusterWatch:
    history = History("", FakeClock())
    for change, node in nodes:
        history.record(change, node)
    return ClusterWatch(history, History("kube-system", FakeClock()), FakeClock(), [(0.0, each) for each in servers])


@pytest.mark.parametrize(
    ("servers", "kubelets", "complete"),
    [
        ([OLD], (OLD, OLD), False),
        ([OLD, NEW], (OLD, NEW), False),
        ([OLD, NEW], (NEW, OLD), False),
        ([OLD, NEW], (NEW, NEW), True),
        ([OLD, NEW], (NEW, "v1.37.1"), True),
        ([OLD, NEW, OLD], (NEW, NEW), False),
        ([OLD], (NEW, NEW), False),
        ([], (NEW, NEW), False),
        ([NEW], ("v1.35.1", "v1.35.1"), False),
        (["v1.36.9"], (OLD, "v1.36.9"), False),
        ([OLD, NEW], (NEW, "garbage"), False),
    ],
)
def test_upgrade_is_complete_when_all_versions_changed_to_one_minor(
    servers: list[str], kubelets: tuple[str, str], *, complete: bool
) -> None:
    watch = watched(servers, *(node(f"n{number}", version) for number, version in enumerate(kubelets)))
    assert watch.upgraded_from(OLD, {}) == complete


def test_kubelets_that_were_behind_the_api_server_are_waited_for() -> None:
    # As in clusters whose control plane is patched before the Nodes.
    before = {"a": "v1.36.1", "b": "v1.36.1", "c": "v1.36.4"}
    watch = watched(["v1.36.3", "v1.36.4"], *(node(name, version) for name, version in before.items()))
    assert not watch.upgraded_from("v1.36.3", before)
    watch.nodes.record("MODIFIED", node("a", "v1.36.4")[1])
    assert not watch.upgraded_from("v1.36.3", before)
    watch.nodes.record("MODIFIED", node("b", "v1.36.4")[1])
    # That of c had the new version before.
    assert watch.upgraded_from("v1.36.3", before)


def test_cordoned_or_deleted_nodes_count_as_drained() -> None:
    watch = watched([], node("a", OLD), node("b", OLD, unschedulable=True), node("b", NEW), node("c", OLD))
    assert watch.drained == ("b",)
    watch.nodes.record("DELETED", node("c", OLD)[1])
    assert watch.drained == ("b", "c")
    # An autoscaler does not cordon what it drains.
    watch.nodes.record("MODIFIED", node("a", OLD, taints=[{"key": "ToBeDeletedByClusterAutoscaler"}])[1])
    assert watch.drained == ("a", "b", "c")


def test_nodes_of_which_no_new_version_comes_are_not_waited_for() -> None:
    def ready(each: tuple[Change, KubeObject], status: str) -> tuple[Change, KubeObject]:
        return each[0], changed(each[1], "status.conditions", conditions(Ready=status))

    virtual = "ADDED", changed(node("v", "v1.19.0-vk")[1], "metadata.labels", {"type": "virtual-kubelet"})
    watch = watched([OLD, NEW], ready(node("a", NEW), "True"), ready(node("lost", OLD), "Unknown"), virtual)
    watch.began = watch.clock.wall() + 1
    assert watch.upgraded_from(OLD, {})
    # One that was Ready when the watch began is waited for, as long as a reboot may take.
    watch.nodes.record(*ready(node("b", OLD), "True"))
    watch.began = 0.0
    watch.nodes.record("MODIFIED", ready(node("b", OLD), "False")[1])
    assert not watch.upgraded_from(OLD, {})
    cast("FakeClock", watch.clock).time += LOST_SECONDS + 1
    assert watch.upgraded_from(OLD, {})
    watch.nodes.record("MODIFIED", ready(node("b", OLD), "True")[1])
    assert not watch.upgraded_from(OLD, {})


def test_node_that_is_away_when_a_run_goes_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    bodies = [changed(node(name, version)[1], "status.conditions", conditions(Ready=ready)).body for name, version, ready in (
        ("a", NEW, "True"), ("rebooting", OLD, "Unknown"),
    )]  # fmt: skip
    left = Position(clock.wall(), {}, tuple(bodies))

    def watcher(_api: Api, namespace: str, *_: object, since: Position) -> Any:
        history = History(namespace, clock)
        history.begin(since)
        return nullcontext(SimpleNamespace(history=history))

    def quietly(*_: object) -> Any:
        return nullcontext()

    monkeypatch.setattr(cluster_watch, "Watcher", watcher)
    monkeypatch.setattr(cluster_watch, "run_periodically", quietly)
    # The next Pod of the run begins half a minute later.
    clock.time += 30
    with watching(Versioned(NEW), clock, [left, Position()]) as watch:
        watch.servers.append((clock.wall(), NEW))
        assert not watch.upgraded_from(OLD, {"a": OLD, "rebooting": OLD})
        clock.time += LOST_SECONDS
        assert watch.upgraded_from(OLD, {"a": OLD, "rebooting": OLD})


def test_control_planes_are_counted_by_their_label() -> None:
    labelled = changed(node("a", OLD)[1], "metadata.labels", {CONTROL_PLANE: ""})
    watch = watched([], ("ADDED", labelled), node("b", OLD), node("c", OLD))
    assert watch.control_planes == 1
    watch.record_step("a step")
    assert [(event.kind, event.what) for event in watch.steps] == [("step", "a step")]


@pytest.mark.parametrize("servers", [0, 1, 2])
def test_control_planes_without_nodes_are_counted_by_the_leases_of_their_api_servers(servers: int) -> None:
    watch = watched([], node("a", OLD))
    of_server = {IDENTITY: "kube-apiserver"}
    leases = [
        thing("Lease", "kube-scheduler"),
        *(thing("Lease", f"apiserver-{number}", labels=of_server) for number in range(servers)),
    ]
    for lease in leases:
        watch.system.record("ADDED", KubeObject(kept(lease.body)))
    assert watch.control_planes == servers
    watch.nodes.record("ADDED", changed(node("b", OLD)[1], "metadata.labels", {CONTROL_PLANE: ""}))
    assert watch.control_planes == 1


class Versioned(FakeApi):
    """An API server that answers with each of these versions in turn, and is unreachable for ""; the last one is repeated."""

    def __init__(self, *versions: str) -> None:
        super().__init__(self.answer_version)
        self.versions, self.exhausted, self.closed = list(versions), threading.Event(), 0

    def answer_version(self, _method: str, path: str, _body: object) -> str:
        """Answer with the next version."""
        assert path == "/version"
        version = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        if len(self.versions) == 1:
            self.exhausted.set()
        if not version:
            raise ApiUnavailable("refused")
        return json.dumps({"gitVersion": version})

    def twin(self, keep: Keep = trimmed, *, patient: bool = False) -> Api:  # noqa: ARG002
        """Return this API server."""
        return self

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


def test_versions_of_the_api_server_are_recorded_as_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def observer(_api: Api, namespace: str, clock: FakeClock, kinds: tuple[str, ...], *_: object, since: object) -> Any:
        assert since is None
        assert (namespace, kinds) in (("", ("Node",)), ("kube-system", ("Pod", "Lease")))
        return nullcontext(SimpleNamespace(history=History(namespace, clock)))

    monkeypatch.setattr(cluster_watch, "Watcher", observer)
    monkeypatch.setattr(cluster_watch, "VERSION_SECONDS", 0.001)
    api = Versioned(OLD, OLD, "", OLD, NEW, NEW, "", NEW)
    with watching(api, RealClock()) as watch:
        assert api.exhausted.wait(10)
    assert [version for _, version in watch.servers] == [OLD, NEW]
    assert watch.servers[0][0] < watch.servers[1][0]
    assert api.closed == 1
    assert (watch.nodes.namespace, watch.system.namespace) == ("", "kube-system")
