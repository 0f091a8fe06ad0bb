"""The witnesses of an upgrade never keep a drain from its end, and only the namespace of their run is theirs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.cleanup import namespaces
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, UPGRADE_LABEL
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.upgrade import witnesses
from kubechain.upgrade.witnesses import YIELD_SECONDS, Yielding
from kubechain.workload.chain import Chain
from tests.fakes import FakeApi, thing

CONTROL_PLANE: dict[str, Any] = {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}
PREFERRED: dict[str, Any] = {"taints": [{"key": "spot", "effect": "PreferNoSchedule"}]}


def node(ready: str = "True", **spec: Any) -> KubeObject:
    return thing("Node", "n", spec=spec, status={"conditions": [{"type": "Ready", "status": ready}]})


@pytest.mark.parametrize(
    ("nodes", "has_budget"),
    [
        ([node(), node()], True),
        ([node(), node(**PREFERRED)], True),
        ([node()], False),
        ([node(), node(**CONTROL_PLANE)], False),
        ([node(), node(unschedulable=True)], False),
        ([node(), node("False")], False),
        ([node(), thing("Node", "v", labels={"type": "virtual-kubelet"}, status=node().at("status"))], False),
        ([], False),
    ],
)
def test_budget_exists_only_where_another_node_takes_the_pods(nodes: list[KubeObject], *, has_budget: bool) -> None:
    assert witnesses.allows_drain(nodes) is has_budget
    kinds = [each["kind"] for each in witnesses.objects("nginx", with_budget=witnesses.allows_drain(nodes))]
    assert ("PodDisruptionBudget" in kinds) is has_budget
    said = witnesses.about_drains(cast("Chain", SimpleNamespace(nodes=nodes, namespace="kubechain-upgrade-a")))
    command = "kubectl delete poddisruptionbudget web --namespace kubechain-upgrade-a"
    assert (command in said, "without a PodDisruptionBudget" in said) == (has_budget, not has_budget)


def test_budget_never_holds_up_pods_that_are_not_ready() -> None:
    (budget,) = [each for each in witnesses.objects("nginx") if each["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["spec"]["minAvailable"] < witnesses.REPLICAS


class Budget:
    """An API server with the PodDisruptionBudget of the witnesses, which allows so many disruptions."""

    def __init__(self, allowed: int) -> None:
        self.allowed, self.deleted = allowed, 0

    def answer(self, method: str, _path: str, _body: Any) -> str:
        self.deleted += method == "DELETE"
        return json.dumps(thing("PodDisruptionBudget", "web", status={"disruptionsAllowed": self.allowed}).body)


CORDONED, FREE = [node(), node(unschedulable=True)], [node(), node()]


def test_budget_that_holds_up_a_drain_is_deleted_once() -> None:
    server = Budget(0)
    yielding = Yielding(FakeApi(server.answer), "ns")
    times = [1000.0, 1000 + YIELD_SECONDS - 1]
    assert [yielding.look(CORDONED, now) for now in times] == [False, False]
    assert yielding.look(CORDONED, 1000 + YIELD_SECONDS)
    assert not yielding.look(CORDONED, 1000 + 3 * YIELD_SECONDS)
    assert server.deleted == 1


@pytest.mark.parametrize(("allowed", "nodes"), [(1, CORDONED), (0, FREE)])
def test_budget_that_holds_up_nothing_stays(allowed: int, nodes: list[KubeObject]) -> None:
    server = Budget(0)
    yielding = Yielding(FakeApi(server.answer), "ns")
    assert not yielding.look(CORDONED, 1000)
    server.allowed = allowed
    # It allowed an eviction meanwhile, or no drain waits: the time begins anew.
    assert not yielding.look(nodes, 1000 + YIELD_SECONDS)
    server.allowed = 0
    assert not yielding.look(CORDONED, 1001 + YIELD_SECONDS)
    assert server.deleted == 0


def test_second_set_of_witnesses_is_refused_with_what_to_do() -> None:
    spaces = [thing("Namespace", "kubechain-upgrade-ab12", labels={UPGRADE_LABEL: "ab12"})]

    def answer(_method: str, _path: str, _body: Any) -> str:
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": [each.body for each in spaces]})

    with pytest.raises(SetupError, match="the witnesses of run ab12 exist, in the namespace kubechain-upgrade-ab12") as raised:
        witnesses.require_none(FakeApi(answer))
    assert raised.value.code == ExitCode.SNAPSHOT
    assert "kubechain clean --context NAME --kept" in str(raised.value)
    spaces.clear()
    witnesses.require_none(FakeApi(answer))


def test_expiry_is_renewed_by_the_clock_of_the_api_server_and_not_required() -> None:
    patches: list[Any] = []

    class Server(FakeApi):
        def server_time(self) -> float:
            return 1_000_000.0

    def answer(_method: str, _path: str, body: Any) -> str:
        patches.append(body)
        if len(patches) > 1:
            raise ApiRefused(403, "Forbidden", "no")
        return json.dumps(thing("Namespace", "ns").body)

    api = Server(answer)
    witnesses.renew(api, "ns")
    assert patches == [{"metadata": {"labels": {EXPIRES_LABEL: str(1_000_000 + 14 * 86400)}}}]
    witnesses.renew(api, "ns")


def test_witnesses_whose_expiry_is_over_are_removed_by_the_next_run(tmp_path: Path) -> None:
    class Server(FakeApi):
        def server_time(self) -> float:
            return 1_000.0

    deleted: list[str] = []
    expiries = {"old": "999", "new": "1001", "ever": None}
    spaces = [
        thing("Namespace", f"kubechain-upgrade-{name}", labels={UPGRADE_LABEL: name, **({EXPIRES_LABEL: at} if at else {})})
        for name, at in expiries.items()
    ]

    def answer(method: str, path: str, _body: Any) -> str:
        if method == "DELETE":
            deleted.append(path.rpartition("/")[2])
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": [each.body for each in spaces]})

    removed = namespaces.clear(Server(answer), "uid", tmp_path, Progress())
    assert [each.name for each in removed] == deleted == ["kubechain-upgrade-old"]


@pytest.mark.parametrize(("label", "is_theirs"), [("a", True), ("b", False), (None, False)])
def test_only_the_namespace_of_their_run_is_removed(label: str | None, *, is_theirs: bool) -> None:
    labels = {} if label is None else {UPGRADE_LABEL: label}
    requests: list[tuple[str, Any]] = []

    def answer(method: str, _path: str, body: Any) -> str:
        requests.append((method, body))
        return json.dumps(thing("Namespace", "kubechain-upgrade-a", uid="u1", labels=labels).body)

    witnesses.remove(FakeApi(answer), "kubechain-upgrade-a", "a")
    deletions = [body["preconditions"] for method, body in requests if method == "DELETE"]
    assert deletions == ([{"uid": "u1"}] if is_theirs else [])


def test_witnesses_that_are_gone_are_no_error() -> None:
    def answer(_method: str, _path: str, _body: Any) -> str:
        raise ApiRefused(404, "not found", "NotFound")

    witnesses.remove(FakeApi(answer), "kubechain-upgrade-a", "a")
