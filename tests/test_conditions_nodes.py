import json
from types import SimpleNamespace
from typing import cast

import pytest

from kubechain.conditions import disruption, nodes, pods
from kubechain.conditions.condition import Condition
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.wait import Polled, Waiter
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.last_answers import LastAnswers
from kubechain.workload.manifests import LABELS
from tests.fakes import FakeClock, changed, not_ready, pod, state, thing


def a_node(status: str = "True", reason: str = "KubeletReady", *taints: Json, name: str = "n1") -> KubeObject:
    ready = {"type": "Ready", "status": status, "reason": reason}
    return thing("Node", name, spec={"taints": list(taints)}, status={"conditions": [ready]})


def taint(name: str, effect: str) -> Json:
    return {"key": f"node.kubernetes.io/{name}", "effect": effect}


LOST = ("Unknown", "NodeStatusUnknown")
BOTH = (taint("unreachable", "NoSchedule"), taint("unreachable", "NoExecute"))
A, B = pod(0), pod(1)
CASES: dict[str, tuple[Condition[NamespaceState], NamespaceState, list[NamespaceState]]] = {
    "ready": (
        nodes.ready("n1"),
        state(a_node()),
        [
            state(),
            state(a_node("False", "KubeletNotReady")),
            state(a_node(*LOST)),
            state(a_node("True", "KubeletReady", BOTH[0])),
            state(a_node(name="n2")),
        ],
    ),
    "unreachable": (
        nodes.unreachable("n1"),
        state(a_node(*LOST)),
        [state(), state(a_node()), state(a_node("False", "KubeletNotReady")), state(a_node(*LOST, name="n2"))],
    ),
    "tainted": (
        nodes.tainted("n1", "unreachable"),
        state(a_node(*LOST, *BOTH)),
        [
            state(),
            state(a_node()),
            state(a_node(*LOST, BOTH[0])),
            state(a_node(*LOST, BOTH[1])),
            state(a_node(*LOST, taint("not-ready", "NoSchedule"), taint("not-ready", "NoExecute"))),
        ],
    ),
    "serving_elsewhere": (
        pods.serving_elsewhere(LABELS, "node-9", 2),
        state(A, B, not_ready(pod(2, spec={"nodeName": "node-9"}))),
        [
            state(),
            state(A),
            state(A, B, pod(2)),
            state(A, not_ready(B)),
            state(A, changed(B, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")),
            state(A, changed(B, "spec.nodeName", "node-9")),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_condition_is_met_by_the_right_state_only(name: str) -> None:
    condition, right, wrong = CASES[name]
    result = condition(right)
    assert result.met, result.got
    for number, each in enumerate(wrong):
        assert not condition(each).met, f"wrong state {number}"


def test_eviction_is_refused_by_the_budget_if_the_status_names_it() -> None:
    refused = disruption.refused_by_budget()
    assert refused((429, ["DisruptionBudget"])).met
    others: list[tuple[int, list[str]]] = [(429, []), (429, ["Other"]), (403, ["DisruptionBudget"]), (201, [])]
    for result in others:
        assert not refused(result).met
        assert refused(result).hopeless == (result[0] == 201)


def test_refusal_without_the_cause_is_of_a_busy_api_server_and_decides_nothing() -> None:
    def evicting(status: int, body: Json) -> Polled[tuple[int, list[str]]]:
        def request(*_: object, **__: object) -> tuple[int, str]:
            return status, json.dumps(body)

        api, answers = SimpleNamespace(request=request), LastAnswers()
        chain = SimpleNamespace(api=api, namespace="ns", waiter=Waiter(FakeClock()), last_answers=answers)
        return sources.eviction_results(cast("Chain", chain), pod(0))

    budget = {"details": {"causes": [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods"}]}}
    assert evicting(429, budget).read() == (429, ["DisruptionBudget"])
    assert evicting(201, {"status": "Success"}).read() == (201, [])
    for status in (429, 503):
        with pytest.raises(ApiUnavailable):
            evicting(status, {"message": "too many requests"}).read()
    assert disruption.causes("no JSON") == disruption.causes("[]") == []


def test_eviction_that_the_budget_allows_is_carried_out_at_once_or_has_been_by_an_attempt_without_an_answer() -> None:
    for status in (201, 404):
        assert disruption.carried_out()((status, [])).met
    for status, causes in ((429, ["DisruptionBudget"]), (403, list[str]()), (200, list[str]())):
        assert disruption.carried_out()((status, causes)).hopeless


@pytest.mark.parametrize(("status", "done"), [(201, True), (404, True), (429, False), (500, False), (200, False), (0, False)])
def test_evicted_accepts_201_and_404_only(status: int, *, done: bool) -> None:
    assert disruption.evicted()(status).met == done
