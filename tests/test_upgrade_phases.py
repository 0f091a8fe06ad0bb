import json
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.listing import Keep, trimmed
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.observe.clock import RealClock
from kubechain.observe.history import Change, History
from kubechain.pytest import upgrade as plugin
from kubechain.pytest.state import RUN, UpgradeState
from kubechain.upgrade import cluster_watch
from kubechain.upgrade.cluster_watch import CONTROL_PLANE, LOST_SECONDS, ClusterWatch, deprecated, watching
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.phases import After, Before, During, capture, not_served, read_after, removed_by
from kubechain.upgrade.snapshot import KINDS, read
from kubechain.workload.chain import Chain
from tests.fakes import FakeApi, FakeClock, changed, conditions, healthy, pod, service, state, thing

HIDDEN = "c2VjcmV0LXRva2Vu"
OLD, NEW = "v1.36.3", "v1.37.2"
METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="flow.x",removed_release="1.32",resource="schemas",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="a,b}c",removed_release="1.40",resource="a\\"b\\"",subresource="\\\\",version="v1"} 1
apiserver_requested_deprecated_apis_total{group="no",removed_release="1.1",resource="no",subresource="",version="v1"} 1
apiserver_request_total{group="policy",resource="x",version="v1"} 4
"""


def answering(answers: dict[str, str | Exception]) -> FakeApi:
    def answer(_method: str, path: str, _body: Any) -> str:
        reply = answers[path]
        if isinstance(reply, Exception):
            raise reply
        return reply

    return FakeApi(answer)


def test_deprecated_apis_are_read_with_any_label_value() -> None:
    assert deprecated(answering({"/metrics": METRICS})) == {
        "schemas.v1.flow.x": "1.32",
        "componentstatuses.v1": "",
        'a"b".v1.a,b}c': "1.40",
    }
    assert deprecated(answering({"/metrics": ""})) == {}


def test_forbidden_metrics_are_none_and_unreachable_ones_an_error() -> None:
    assert deprecated(answering({"/metrics": ApiRefused(403, "Forbidden", "no")})) is None
    with pytest.raises(HarnessError):
        deprecated(answering({"/metrics": ApiUnavailable("refused", ExitCode.UNREACHABLE)}))


def test_apis_removed_by_a_version_or_an_earlier_one_are_found() -> None:
    known = {"soon": "1.37", "before": "1.22", "later": "1.38", "never": "", "odd": "x"}
    assert removed_by(known, "v1.37") == ["before", "soon"]
    assert removed_by(known, "v1.38.1") == ["before", "later", "soon"]
    assert removed_by({}, "v1.38") == []


def test_only_a_404_means_that_an_api_is_not_served() -> None:
    apis = {"Pod": "/api/v1/pods", "PodDisruptionBudget": "/apis/policy/v1/x"}
    answers: dict[str, str | Exception] = {"/api/v1/pods": "{}", "/apis/policy/v1/x": "{}"}
    assert not_served(answering(answers), apis) == {}
    not_found = ApiRefused(404, "NotFound", "no such resource")
    missing = not_served(answering({**answers, "/apis/policy/v1/x": not_found}), apis)
    assert missing == {"PodDisruptionBudget": "/apis/policy/v1/x: no such resource"}
    for other in (ApiRefused(403, "Forbidden", "no"), ApiUnavailable("refused")):
        with pytest.raises(HarnessError):
            not_served(answering({**answers, "/apis/policy/v1/x": other}), apis)


def node(name: str, version: str, **spec: Any) -> tuple[Change, KubeObject]:
    return "ADDED", thing("Node", name, spec=spec, status={"nodeInfo": {"kubeletVersion": version}})


class Cluster(Api):
    """A cluster with two Nodes, the ConfigMaps of CoreDNS and kube-proxy, and a credential that a snapshot must not have."""

    def __init__(self, *objects: KubeObject) -> None:
        managed = [changed(each, "metadata.managedFields", [{"manager": "kubelet"}]) for each in objects]
        self.lists = {path_of("Pod", "kube-system"): PROXIES, path_of("Node"): [node("a", OLD)[1], node("b", OLD)[1]]}
        self.lists |= {path_of(kind, "ns"): [each for each in managed if each.kind == kind] for kind in KINDS}

    def call(self, method: str, path: str, *_: Any, **__: Any) -> str:
        """Answer a GET."""
        assert method == "GET"
        answers: Json = {
            "/metrics": METRICS,
            "/version": json.dumps({"gitVersion": "v1.37.2"}),
            "/api/v1/namespaces/kube-system": json.dumps({"metadata": {"name": "kube-system", "uid": "uid-1"}}),
        }
        if path not in answers and "configmaps" in path:
            data = {"Corefile": ".:53 {}", "config.conf": "mode: x", "kubeconfig.conf": HIDDEN}
            return json.dumps({"metadata": {"name": "x"}, "data": data})
        if path in answers:
            return str(answers[path])
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": [each.body for each in self.lists[path]]})

    def warnings(self, kind: str, namespace: str) -> list[str]:
        """Warn of one kind."""
        assert namespace == "ns"
        return ["policy is old"] if kind == "PodDisruptionBudget" else []


def proxy(name: str, node: str, *, running: bool = True) -> KubeObject:
    image = "registry.k8s.io/kube-proxy:v1.37.2"
    status: Json = {"image": image, "state": {"running": {}} if running else {"terminated": {}}}
    return thing("Pod", name, spec={"nodeName": node}, status={"containerStatuses": [status]})


PROXIES = [proxy("a-1", "a"), proxy("a-2", "a", running=False), proxy("b-1", "b", running=False)]


def witnesses(*more: KubeObject) -> Chain:
    history, objects = History("ns", FakeClock()), [*healthy(), *more]
    for each in objects:
        history.record("ADDED", each)
    return cast("Any", SimpleNamespace(api=Cluster(*objects), namespace="ns", objects=history))


def test_snapshot_has_the_witnesses_and_the_cluster_but_no_secret(tmp_path: Path) -> None:
    token = thing("Secret", "token", data={"token": HIDDEN})
    budget = thing("PodDisruptionBudget", "web")
    capture(witnesses(token, budget), "ab12", "holds").write(tmp_path / "snapshot.json")
    text = (tmp_path / "snapshot.json").read_text()
    assert HIDDEN not in text
    assert "managedFields" not in text
    snapshot = read(tmp_path / "snapshot.json")
    assert (snapshot.run, snapshot.cluster_uid, snapshot.server, snapshot.verdict) == ("ab12", "uid-1", "v1.37.2", "holds")
    assert (snapshot.namespace, snapshot.nodes) == ("ns", {"a": "v1.36.3", "b": "v1.36.3"})
    assert {each["kind"] for each in snapshot.objects} == set(KINDS)
    assert [each.name for each in snapshot.state.all("Pod")] == ["web-5d4f-0", "web-5d4f-1"]
    assert snapshot.apis["PodDisruptionBudget"] == "/apis/policy/v1/namespaces/ns/poddisruptionbudgets"
    assert set(snapshot.apis) == set(KINDS)
    assert snapshot.configuration == {"CoreDNS": ".:53 {}", "kube-proxy": "mode: x"}
    assert snapshot.warnings == ["policy is old"]
    assert "componentstatuses.v1" in (snapshot.deprecated or {})


def before() -> Before:
    made = witnesses()
    return Before(made, capture(made, "ab12", ""))


def test_state_after_the_upgrade_is_read_from_the_cluster() -> None:
    after = read_after(before(), None, "")
    assert (after.wanted, after.server, after.kubelets) == ("", "v1.37.2", {"a": "v1.36.3", "b": "v1.36.3"})
    assert read_after(before(), None, "v1.38.0").wanted == "v1.38.0"
    # A terminated kube-proxy on a Node does not hide the running one.
    assert after.proxies == {"a": "v1.37.2", "b": ""}
    assert len(after.state.objects) == len(healthy())


def during(*drained: str) -> During:
    record = UpgradeRecord(("1", "2"), 0.0, 1.0, (), (), (), 0, 0, 1, upgraded_by_this_run=True, drained=drained)
    return During(before(), record, NamespaceState(), ())


def after(observed: During | None) -> After:
    return After(before(), observed, "v1", "v1", {}, {}, state(), {})


def test_only_pods_of_drained_nodes_are_expected_to_be_replaced() -> None:
    for phase in (during("node-1"), after(during("node-1"))):
        assert phase.replaced(pod(1))
        assert not phase.replaced(pod(2))
        assert not phase.replaced(changed(service(), "spec.nodeName", "node-1"))
    assert not during().replaced(pod(1))
    assert not during("node-1").replaced(changed(pod(1), "spec", {}))
    assert not after(during()).replaced(pod(1))


def test_any_pod_may_be_replaced_in_an_unobserved_upgrade() -> None:
    assert after(None).replaced(pod(1))
    assert not after(None).replaced(service())


def test_state_before_the_upgrade_is_that_of_the_snapshot() -> None:
    phase = during()
    assert phase.state == phase.before.snapshot.state
    assert len(phase.state.objects) == len(healthy()) - 1  # no Endpoints


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
    assert watch.upgraded_from(OLD) == complete


def test_cordoned_or_deleted_nodes_count_as_drained() -> None:
    watch = watched([], node("a", OLD), node("b", OLD, unschedulable=True), node("b", NEW), node("c", OLD))
    assert watch.drained == ("b",)
    watch.nodes.record("DELETED", node("c", OLD)[1])
    assert watch.drained == ("b", "c")


def test_nodes_of_which_no_new_version_comes_are_not_waited_for() -> None:
    def ready(each: tuple[Change, KubeObject], status: str) -> tuple[Change, KubeObject]:
        return each[0], changed(each[1], "status.conditions", conditions(Ready=status))

    virtual = "ADDED", changed(node("v", "v1.19.0-vk")[1], "metadata.labels", {"type": "virtual-kubelet"})
    watch = watched([OLD, NEW], ready(node("a", NEW), "True"), ready(node("lost", OLD), "Unknown"), virtual)
    watch.began = watch.clock.wall() + 1
    assert watch.upgraded_from(OLD)
    # One that was Ready when the watch began is waited for, as long as a reboot may take.
    watch.nodes.record(*ready(node("b", OLD), "True"))
    watch.began = 0.0
    watch.nodes.record("MODIFIED", ready(node("b", OLD), "False")[1])
    assert not watch.upgraded_from(OLD)
    cast("FakeClock", watch.clock).time += LOST_SECONDS + 1
    assert watch.upgraded_from(OLD)
    watch.nodes.record("MODIFIED", ready(node("b", OLD), "True")[1])
    assert not watch.upgraded_from(OLD)


def test_control_planes_are_counted_by_their_label() -> None:
    labelled = changed(node("a", OLD)[1], "metadata.labels", {CONTROL_PLANE: ""})
    watch = watched([], ("ADDED", labelled), node("b", OLD), node("c", OLD))
    assert watch.control_planes == 1
    watch.record_step("a step")
    assert [(event.kind, event.what) for event in watch.steps] == [("step", "a step")]


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

    def twin(self, keep: Keep = trimmed) -> Api:  # noqa: ARG002
        """Return this API server."""
        return self

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


def test_versions_of_the_api_server_are_recorded_as_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def observer(_api: Api, namespace: str, clock: FakeClock, kinds: tuple[str, ...], *_: object) -> Any:
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


def test_phase_is_complete_after_its_last_claim_and_not_if_it_ends_before() -> None:
    upgrade, session = UpgradeState(), SimpleNamespace(items=[])
    config = SimpleNamespace(stash={RUN: SimpleNamespace(upgrade=upgrade)})
    first, last = session.items = [cast("Any", SimpleNamespace(config=config, session=session)) for _ in range(2)]
    plugin.pytest_runtest_teardown(first)
    assert not upgrade.complete
    plugin.pytest_runtest_teardown(last)
    assert upgrade.complete
