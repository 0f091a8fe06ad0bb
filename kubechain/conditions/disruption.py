"""Conditions on PodDisruptionBudgets (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""

from __future__ import annotations

from kubechain.conditions.condition import Condition, Result, expect, fields
from kubechain.conditions.text import counted
from kubechain.conditions.timeouts import CONTROLLER, DELETION
from kubechain.kube.objects import KubeObject


def allows(disruptions: int, *, of: int) -> Condition[KubeObject]:
    """The budget's controller has observed its generation, counts `of` healthy Pods and allows `disruptions`."""

    def check(budget: KubeObject) -> Result:
        wanted = {
            "status.observedGeneration": budget.at("metadata.generation"),
            "status.currentHealthy": of,
            "status.disruptionsAllowed": disruptions,
        }
        return fields({path: budget.at(path) for path in wanted}, wanted).of(f"PodDisruptionBudget {budget.name} with")

    what = f"PodDisruptionBudget with {counted(of, 'healthy Pod')} and {counted(disruptions, 'disruption')} allowed"
    return Condition(what, check, CONTROLLER)


def evicted() -> Condition[int]:
    """The status of an eviction is 201 (accepted) or 404 (the Pod no longer exists); 429 means that a budget forbids it."""
    return Condition(
        "eviction answered with status 201 or 404",
        lambda status: expect(status in (201, 404), f"status {status}"),
        DELETION,
    )
