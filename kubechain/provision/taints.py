"""Taints that keep Pods off a Node (https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/)."""

from __future__ import annotations

from collections.abc import Iterable

from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.overlay import Toleration

# Kubernetes taints Nodes that are lost, cordoned or not ready yet: that is no choice of the cluster's owner.
OF_KUBERNETES = "node.kubernetes.io/"
KEEPS_OFF = ("NoSchedule", "NoExecute")


def keeping_off(node: KubeObject, tolerated: Iterable[Toleration]) -> list[Json]:
    """Return the taints by which the owner of the cluster keeps off Pods with these tolerations."""
    taints: list[Json] = node.at("spec.taints", [])
    meant = [taint for taint in taints if taint["effect"] in KEEPS_OFF and not taint["key"].startswith(OF_KUBERNETES)]
    return [taint for taint in meant if not any(tolerates(each, taint) for each in tolerated)]


def tolerates(toleration: Toleration, taint: Json) -> bool:
    """Whether a toleration matches a taint."""
    if toleration.effect not in (None, taint["effect"]) or toleration.key not in (None, taint["key"]):
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", "")


def spelled(taint: Json) -> str:
    """Return a taint as kubectl and --tolerate spell it: "dedicated=db:NoSchedule"."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
