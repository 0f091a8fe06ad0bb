"""The witnesses of an upgrade never keep a drain from its end, and only the namespace of their run is theirs."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.run import UPGRADE_LABEL
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.upgrade import witnesses
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
