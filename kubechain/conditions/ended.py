"""Pods that the cluster ends, though nobody has asked for it: by an eviction, a preemption, or with their Node.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from __future__ import annotations

from kubechain.kube.objects import Json, KubeObject

# Reasons of the condition DisruptionTarget, but for EvictionByEvictionAPI, which budgets limit; and reasons of a status by which
# a kubelet says that it has ended a Pod.
INVOLUNTARY = {"PreemptionByScheduler", "DeletionByTaintManager", "DeletionByPodGC", "TerminationByKubelet"}
ENDED_BY_KUBELET = {"Evicted", "Preempting", "NodeShutdown", "Terminated"}


def why_ended(pod: KubeObject) -> str:
    """Return why the cluster ends or has ended a Pod, or why its Node did not take it; "" if neither is so."""
    target = pod.condition("DisruptionTarget")
    told: Json = target if target.get("status") == "True" else pod.at("status") if pod.over and not pod.deleting else Json()
    return ": ".join(filter(None, [str(told.get("reason") or told.get("phase", "")), str(told.get("message", ""))]))


def is_involuntary(pod: KubeObject) -> bool:
    """Whether a Pod ends by a disruption that no PodDisruptionBudget prevents: a preemption, its Node, or what the Node lacks."""
    target = pod.condition("DisruptionTarget")
    if target.get("status") == "True":
        return target.get("reason") in INVOLUNTARY
    return pod.over and pod.at("status.reason") in ENDED_BY_KUBELET
