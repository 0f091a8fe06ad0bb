"""Whether Pods are bound to Nodes (https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/)."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.pods import MOST_PODS, lasting, why_not_ready
from kubechain.conditions.text import some, text
from kubechain.conditions.timeouts import NODE_MADE, SCHEDULED
from kubechain.kube.objects import KubeObject, NamespaceState

# Events of the cluster autoscaler and of Karpenter about a Pod for which they make a Node.
SCALING_UP = ("TriggeredScaleUp", "Nominated")


def awaits_node(state: NamespaceState, pod: KubeObject) -> bool:
    """Whether an autoscaler has said that it makes a Node for a Pod."""
    return any(e.at("reason") in SCALING_UP and e.at("involvedObject.uid") == pod.uid for e in state.all("Event"))


def scheduled(labels: Mapping[str, str], number: int) -> Condition[NamespaceState]:
    """At least `number` Pods have these labels, and each is bound to a Node, or waits for a Node that an autoscaler makes."""

    def check(state: NamespaceState) -> Result:
        pods = lasting(state, labels)
        waiting = [why_not_ready(pod) for pod in pods if not pod.at("spec.nodeName") and not awaits_node(state, pod)]
        if waiting:
            return unmet(f"{len(pods) - len(waiting)} of {len(pods)} bound: {some(waiting, '; ', MOST_PODS)}")
        return expect(len(pods) >= number, f"{len(pods)} Pods")

    return Condition(f"{number} Pods with {text(labels)} bound to Nodes", check, SCHEDULED)


def bound(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod with these labels is bound to a Node, also to one that an autoscaler had to make."""

    def check(state: NamespaceState) -> Result:
        waiting = [why_not_ready(pod) for pod in lasting(state, labels) if not pod.at("spec.nodeName")]
        return expect(not waiting, some(waiting, "; ", MOST_PODS))

    return Condition(f"each Pod with {text(labels)} bound to a Node", check, NODE_MADE)
