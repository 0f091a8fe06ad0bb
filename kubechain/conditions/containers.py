"""Conditions on Pods that do not start, start again, or end (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle)."""

from __future__ import annotations

from kubechain.conditions.condition import Condition, Result, equal, expect
from kubechain.conditions.objects import one
from kubechain.conditions.pods import restarts
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def container(pod: KubeObject) -> Json:
    """Return the status of the Pod's first container, {} if it reports none."""
    statuses: list[Json] = pod.at("status.containerStatuses") or [{}]
    return statuses[0]


def waits_because(name: str, *reasons: str) -> Condition[NamespaceState]:
    """The first container of the Pod waits for one of these reasons."""

    def check(pod: KubeObject) -> Result:
        waiting: Json = container(pod).get("state", {}).get("waiting", {})
        return expect(waiting.get("reason") in reasons, f"container's state is {container(pod).get('state')}")

    return one("Pod", name, f"waiting because of {' or '.join(reasons)}", check)


def unschedulable(name: str) -> Condition[NamespaceState]:
    """The Pod is Pending, bound to no Node, and says by PodScheduled=False why."""

    def check(pod: KubeObject) -> Result:
        condition = pod.condition("PodScheduled")
        seen = (pod.at("status.phase"), pod.at("spec.nodeName"), condition.get("status"), condition.get("reason"))
        result = equal("phase, node, PodScheduled and reason", seen, ("Pending", None, "False", "Unschedulable"))
        return expect(bool(condition.get("message")), "no message") if result.met else result

    return one("Pod", name, "unschedulable", check)


def restarted(name: str, uid: str, times: int) -> Condition[NamespaceState]:
    """The Pod, still the one with that UID, was restarted exactly `times` times, and its container runs."""

    def check(pod: KubeObject) -> Result:
        seen = (pod.uid, restarts(pod), "running" in container(pod).get("state", {}))
        return equal("UID, restartCount and running", seen, (uid, times, True))

    return one("Pod", name, f"restarted {times} times", check)


def counts_crashes(name: str, least: int) -> Condition[NamespaceState]:
    """The container has ended with an error and was started again at least `least` times, and waits in between."""

    def check(pod: KubeObject) -> Result:
        status = container(pod)
        last: Json = status.get("lastState", {}).get("terminated", {})
        waiting: Json = status.get("state", {}).get("waiting", {})
        seen = f"restartCount {restarts(pod)}, last state {last.get('exitCode')}, waiting {waiting.get('reason')}"
        crashed = last.get("exitCode") == 1 and waiting.get("reason") == "CrashLoopBackOff"
        return expect(restarts(pod) >= least and crashed, seen)

    return one("Pod", name, f"in a crash loop, counted {least} times", check)


def runs_unready(name: str, uid: str) -> Condition[NamespaceState]:
    """The Pod with that UID is not ready, and runs on with no restart."""

    def check(pod: KubeObject) -> Result:
        seen = (pod.uid, pod.at("status.phase"), pod.condition("Ready").get("status"), restarts(pod))
        return equal("UID, phase, Ready and restarts", seen, (uid, "Running", "False", 0))

    return one("Pod", name, "running unready", check)


def ended_with(pod: KubeObject) -> tuple[int, str]:
    """Return the exit code and the termination message of a Pod's first container; (-1, "") if it has not ended."""
    ended: Json = container(pod).get("state", {}).get("terminated", {})
    return int(ended.get("exitCode", -1)), str(ended.get("message", ""))
