"""Conditions on PodDisruptionBudgets (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""

from __future__ import annotations

from kubechain.conditions.condition import Condition, Result, equal, expect
from kubechain.kube.objects import KubeObject


def allows(disruptions: int, *, of: int) -> Condition[KubeObject]:
    """The budget, observed by its controller, counts `of` healthy Pods and allows that many disruptions."""

    def check(budget: KubeObject) -> Result:
        fields = ("status.observedGeneration", "status.currentHealthy", "status.disruptionsAllowed")
        wanted = (budget.at("metadata.generation"), of, disruptions)
        return equal("observed generation, healthy and allowed", tuple(map(budget.at, fields)), wanted)

    return Condition(f"{disruptions} disruptions allowed", check)


def carried_out() -> Condition[int]:
    """An eviction was accepted (201), or its Pod is gone already (404); it is refused (429) while a budget forbids it."""
    return Condition("evicted", lambda status: expect(status in (201, 404), f"the answer is {status}"))
