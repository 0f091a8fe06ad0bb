"""Pods that the cluster ends, though nobody has asked for it: by an eviction, a preemption, or with their Node.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from __future__ import annotations

from kubechain.kube.objects import Json, KubeObject


def why_ended(pod: KubeObject) -> str:
    """Return why the cluster ends or has ended a Pod, or why its Node did not take it; "" if neither is so."""
    target = pod.condition("DisruptionTarget")
    told: Json = target if target.get("status") == "True" else pod.at("status") if pod.over and not pod.deleting else Json()
    return ": ".join(filter(None, [str(told.get("reason") or told.get("phase", "")), str(told.get("message", ""))]))
