"""The QoS class of Pods (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from kubechain.conditions.condition import Condition, Result, equal
from kubechain.conditions.pods import every_pod
from kubechain.kube.objects import Json, KubeObject, NamespaceState

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
UNITS = {letter: Decimal(10) ** power for power, letter in zip(range(-9, 19, 3), ("n", "u", "m", "", *"kMGTPE"), strict=True)} | {
    f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)
}
COUNTED = ("cpu", "memory")


def amount(quantity: object) -> Decimal:
    """Return a quantity of the API as a number: "500m", "64Mi", 2."""
    text = str(quantity)
    unit = next((unit for unit in sorted(UNITS, key=len, reverse=True) if text.endswith(unit)), "")
    return Decimal(text.removesuffix(unit)) * UNITS[unit]


def class_of(pod: KubeObject) -> str:
    """Return the QoS class that follows from the requests and limits of a Pod's containers, or of the Pod itself (KEP-2837)."""
    entries: list[Json] = [*pod.at("spec.containers", []), *pod.at("spec.initContainers", [])]
    whole: Json = pod.at("spec.resources", {})
    resources: list[Json] = [whole] if whole else [entry.get("resources") or {} for entry in entries]
    asked = [(_amounts(each.get("requests")), _amounts(each.get("limits"))) for each in resources]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    exact = all(set(limits) == set(COUNTED) and {**limits, **requests} == limits for requests, limits in asked)
    return "Guaranteed" if exact else "Burstable"


def _amounts(quantities: Mapping[str, object] | None) -> dict[str, Decimal]:
    found = {name: amount(value) for name, value in (quantities or {}).items() if name in COUNTED}
    return {name: value for name, value in found.items() if value}


def follows_from_resources(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod with these labels has the QoS class that follows from what its containers ask for, sidecars included."""

    def check(pod: KubeObject) -> Result:
        return equal("status.qosClass", pod.at("status.qosClass"), class_of(pod))

    return every_pod(labels, "with the QoS class of its resources", check)
