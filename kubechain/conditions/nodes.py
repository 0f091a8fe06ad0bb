"""Conditions on Nodes (https://kubernetes.io/docs/concepts/architecture/nodes/)."""

from __future__ import annotations

from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.objects import one
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import CONTROLLER, NODE_BACK, NODE_LOST
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def _ready(node: KubeObject) -> str:
    condition = node.condition("Ready")
    return f"Ready {condition.get('status')} ({condition.get('reason')})" if condition else "no Ready"


def _taints(node: KubeObject) -> list[str]:
    taints: list[Json] = node.at("spec.taints") or []
    return [f"{taint['key']}:{taint['effect']}" for taint in taints]


def takes_pods(node: KubeObject) -> bool:
    """Whether the scheduler may place Pods without tolerations on a Node."""
    taints: list[Json] = node.at("spec.taints") or []
    kept_off = any(taint["effect"] != "PreferNoSchedule" for taint in taints)
    return node.is_true("Ready") and not node.at("spec.unschedulable", default=False) and not kept_off


def ready(name: str) -> Condition[NamespaceState]:
    """The Node is Ready and has no taint."""

    def check(node: KubeObject) -> Result:
        taints = _taints(node)
        return expect(node.is_true("Ready") and not taints, f"{_ready(node)}, taints {some(taints)}")

    return one("Node", name, "with Ready True and no taint", check, NODE_BACK)


def unreachable(name: str) -> Condition[NamespaceState]:
    """The Node's Ready condition is Unknown, NodeStatusUnknown: the node controller no longer gets its heartbeats."""

    def check(node: KubeObject) -> Result:
        condition = node.condition("Ready")
        is_unknown = (condition.get("status"), condition.get("reason")) == ("Unknown", "NodeStatusUnknown")
        return expect(is_unknown, _ready(node))

    return one("Node", name, "with Ready Unknown (NodeStatusUnknown)", check, NODE_LOST)


def tainted(name: str, condition: str) -> Condition[NamespaceState]:
    """The Node has the taints node.kubernetes.io/`condition` NoSchedule and NoExecute."""
    key = f"node.kubernetes.io/{condition}"

    def check(node: KubeObject) -> Result:
        taints = _taints(node)
        effects = {taint for taint in taints if taint.startswith(f"{key}:")}
        return expect(effects == {f"{key}:NoSchedule", f"{key}:NoExecute"}, f"taints {some(taints)}")

    return one("Node", name, f"with taints {key}:NoSchedule and {key}:NoExecute", check, CONTROLLER)
