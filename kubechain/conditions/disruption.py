"""Conditions on PodDisruptionBudgets (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""

from __future__ import annotations

import json

from kubechain.conditions.condition import Condition, Result, expect, fields, hopeless, met
from kubechain.conditions.text import counted, some
from kubechain.conditions.timeouts import API, CONTROLLER, DELETION
from kubechain.kube.objects import Json, KubeObject

# The cause in the Status by which the API server names a PodDisruptionBudget as the reason of a refused eviction.
BUDGET = "DisruptionBudget"


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


def causes(text: str) -> list[str]:
    """Return the reasons of the causes in the text of a Status object, none if it is something else."""
    try:
        found: Json = json.loads(text)
        details: Json = found.get("details") or {}
        listed: list[Json] = details.get("causes") or []
        return [str(cause.get("reason")) for cause in listed]
    except (ValueError, AttributeError):
        return []


def refused_by_budget() -> Condition[tuple[int, list[str]]]:
    """An eviction was refused (429) with the cause DisruptionBudget; one that was carried out cannot be taken back."""

    def check(result: tuple[int, list[str]]) -> Result:
        status, reasons = result
        got = f"status {status} with cause {some(reasons)}"
        if status < 400:
            return hopeless(got)
        return expect(status == 429 and BUDGET in reasons, got)

    return Condition(f"eviction refused with status 429 and cause {BUDGET}", check, API)


def carried_out() -> Condition[tuple[int, list[str]]]:
    """An eviction was accepted (201); 404 says that an earlier attempt was, whose answer was lost."""

    def check(result: tuple[int, list[str]]) -> Result:
        status, reasons = result
        return met() if status in (201, 404) else hopeless(f"status {status} with cause {some(reasons)}")

    return Condition("eviction answered with status 201", check, API)


def evicted() -> Condition[int]:
    """The status of an eviction is 201 (accepted) or 404 (the Pod no longer exists); 429 means that a budget forbids it."""
    return Condition(
        "eviction answered with status 201 or 404",
        lambda status: expect(status in (201, 404), f"status {status}"),
        DELETION,
    )
