import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.observe.history import History
from kubechain.pytest import upgrade as plugin
from kubechain.pytest.state import RUN, UpgradeState
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.phases import After, Before, During, capture, not_served, read_after
from kubechain.upgrade.snapshot import KINDS, read
from kubechain.workload.chain import Chain
from tests.engine_objects import run_state
from tests.fakes import FakeApi, FakeClock, changed, conditions, healthy, pod, service, state, thing
from tests.test_requested_apis import METRICS

HIDDEN = "c2VjcmV0LXRva2Vu"
OLD, NEW = "v1.36.3", "v1.37.2"


def answering(answers: dict[str, str | Exception]) -> FakeApi:
    def answer(_method: str, path: str, _body: Any) -> str:
        reply = answers[path]
        if isinstance(reply, Exception):
            raise reply
        return reply

    return FakeApi(answer)


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


def node(name: str, version: str, ready: str = "True", **over: Any) -> KubeObject:
    return thing("Node", name, status={"nodeInfo": {"kubeletVersion": version}, "conditions": conditions(Ready=ready)}, **over)


# One that was lost before, and one that is no machine.
LOST = [node("lost", "v1.30.0", "Unknown"), node("v", "v1.19.0-vk", labels={"type": "virtual-kubelet"})]


class Cluster(Api):
    """Two Nodes that are Ready, two that are not, the ConfigMaps of the add-ons, and a credential."""

    def __init__(self, *objects: KubeObject) -> None:
        managed = [changed(each, "metadata.managedFields", [{"manager": "kubelet"}]) for each in objects]
        self.lists = {path_of("Pod", "kube-system"): PROXIES, path_of("Node"): [node("a", OLD), node("b", OLD), *LOST]}
        self.lists |= {path_of("EndpointSlice", "default"): []}
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
    assert (snapshot.namespace, snapshot.nodes) == ("ns", {"a": "v1.36.3", "b": "v1.36.3", "lost": "v1.30.0"})
    assert snapshot.unready == ["uid-Node-lost"]
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
    assert after.unready == []
    # A terminated kube-proxy on a Node does not hide the running one.
    assert after.proxies == {"a": "v1.37.2", "b": ""}
    assert len(after.state.objects) == len(healthy())


def test_node_that_was_ready_before_or_is_new_must_be_ready() -> None:
    earlier = before()
    lists = cast("Any", earlier.witnesses.api).lists
    lists[path_of("Node")] = [node("a", OLD, "False"), node("b", OLD), node("lost", OLD, "Unknown", uid="another"), LOST[1]]
    after = read_after(earlier, None, "")
    assert after.unready == ["a", "lost"]
    assert set(after.kubelets) == set(after.proxies) == {"b"}


def during(*drained: str) -> During:
    record = UpgradeRecord(("1", "2"), 0.0, 1.0, (), (), (), 0, 0, 1, upgraded_by_this_run=True, drained=drained)
    return During(before(), record, NamespaceState(), ())


def after(observed: During | None) -> After:
    return After(before(), observed, "v1", "v1", {}, {}, state(), {}, [])


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


def test_phase_is_complete_after_its_last_claim_and_not_if_it_ends_before() -> None:
    upgrade, session = UpgradeState(), SimpleNamespace(items=[])
    config = SimpleNamespace(stash={RUN: run_state(upgrade=upgrade)})
    first, last = session.items = [cast("Any", SimpleNamespace(config=config, session=session)) for _ in range(2)]
    plugin.pytest_runtest_teardown(first)
    assert not upgrade.complete
    plugin.pytest_runtest_teardown(last)
    assert upgrade.complete
