"""Conditions on Nodes (https://kubernetes.io/docs/concepts/architecture/nodes/)."""

from __future__ import annotations

from kubechain.conditions.condition import Condition, Result, equal, expect
from kubechain.conditions.objects import one
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def ready(name: str) -> Condition[NamespaceState]:
    """The Node is Ready, and no taint keeps Pods away from it or drives them off."""

    def check(node: KubeObject) -> Result:
        taints: list[Json] = node.at("spec.taints") or []
        return equal("Ready, taints", (node.is_true("Ready"), [t["key"] for t in taints]), (True, list[str]()))

    return one("Node", name, "ready", check)


def unreachable(name: str) -> Condition[NamespaceState]:
    """The Node's Ready condition is Unknown, because its kubelet no longer reports."""

    def check(node: KubeObject) -> Result:
        condition = node.condition("Ready")
        seen = (condition.get("status"), condition.get("reason"))
        return equal("Ready", seen, ("Unknown", "NodeStatusUnknown"))

    return one("Node", name, "NotReady", check)


def tainted(name: str, condition: str) -> Condition[NamespaceState]:
    """The Node has the taint of that condition, both NoSchedule and NoExecute."""

    def check(node: KubeObject) -> Result:
        taints: list[Json] = node.at("spec.taints") or []
        effects = {t["effect"] for t in taints if t["key"] == f"node.kubernetes.io/{condition}"}
        return expect(effects == {"NoSchedule", "NoExecute"}, f"taints are {taints}")

    return one("Node", name, f"tainted {condition}", check)
