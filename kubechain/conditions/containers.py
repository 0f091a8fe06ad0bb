"""Conditions on the containers of Pods: how they start, fail and end, and which image they run.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubechain.conditions.condition import Condition, Result, expect, fields, unmet
from kubechain.conditions.objects import one
from kubechain.conditions.pods import restarts
from kubechain.conditions.text import text
from kubechain.conditions.timeouts import CONTROLLER, CRASH_LOOP
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def container(pod: KubeObject) -> Json:
    """Return the status of the Pod's first container, {} if it reports none."""
    statuses: list[Json] = pod.at("status.containerStatuses") or [{}]
    return statuses[0]


def described(status: Json) -> str:
    """Return the state of a container for a message: "waiting (ImagePullBackOff)", "running", "none"."""
    state: Json = status.get("state", {})
    return ", ".join(f"{kind} ({each['reason']})" if each.get("reason") else kind for kind, each in state.items()) or "none"


def waits_because(name: str, *reasons: str) -> Condition[NamespaceState]:
    """The first container of the Pod waits for one of these reasons."""

    def check(pod: KubeObject) -> Result:
        status = container(pod)
        waiting: Json = status.get("state", {}).get("waiting", {})
        return expect(waiting.get("reason") in reasons, f"container state {described(status)}")

    return one("Pod", name, f"waiting with {' or '.join(reasons)}", check, CRASH_LOOP)


def unschedulable(name: str) -> Condition[NamespaceState]:
    """The Pod is Pending, bound to no Node, and says by PodScheduled=False why."""
    wanted = {"status.phase": "Pending", "spec.nodeName": None, "PodScheduled": "False", "reason": "Unschedulable"}

    def check(pod: KubeObject) -> Result:
        condition = pod.condition("PodScheduled")
        found = pod.at("status.phase"), pod.at("spec.nodeName"), condition.get("status"), condition.get("reason")
        result = fields(dict(zip(wanted, found, strict=True)), wanted)
        return expect(bool(condition.get("message")), "none", "a message of PodScheduled") if result.met else result

    return one("Pod", name, "Pending, PodScheduled False (Unschedulable) with a message", check)


def restarted(name: str, uid: str, times: int) -> Condition[NamespaceState]:
    """The Pod, still the one with that UID, was restarted exactly `times` times, and its container runs."""
    wanted = {"UID": uid, "restartCount": times, "container state": "running"}

    def check(pod: KubeObject) -> Result:
        return fields(dict(zip(wanted, (pod.uid, restarts(pod), described(container(pod))), strict=True)), wanted)

    return one("Pod", name, f"running with restartCount {times}", check)


def counts_crashes(name: str, least: int) -> Condition[NamespaceState]:
    """The container has ended with an error and was started again at least `least` times, and waits in between."""

    def check(pod: KubeObject) -> Result:
        status = container(pod)
        last: Json = status.get("lastState", {}).get("terminated", {})
        waiting: Json = status.get("state", {}).get("waiting", {})
        crashed = last.get("exitCode") == 1 and waiting.get("reason") == "CrashLoopBackOff"
        seen = f"restartCount {restarts(pod)}, last exitCode {text(last.get('exitCode'))}, container state {described(status)}"
        return expect(restarts(pod) >= least and crashed, seen)

    what = f"in CrashLoopBackOff after exitCode 1, with restartCount at least {least}"
    return one("Pod", name, what, check, CRASH_LOOP)


def runs_unready(name: str, uid: str) -> Condition[NamespaceState]:
    """The Pod with that UID is not ready, and runs on with no restart."""
    wanted = {"UID": uid, "status.phase": "Running", "Ready": "False", "restartCount": 0}

    def check(pod: KubeObject) -> Result:
        found = pod.uid, pod.at("status.phase"), pod.condition("Ready").get("status"), restarts(pod)
        return fields(dict(zip(wanted, found, strict=True)), wanted)

    return one("Pod", name, "running with Ready False and restartCount 0", check)


def ended_with(pod: KubeObject) -> tuple[int, str]:
    """Return the exit code and the termination message of a Pod's first container; (-1, "") if it has not ended."""
    ended: Json = container(pod).get("state", {}).get("terminated", {})
    return int(ended.get("exitCode", -1)), str(ended.get("message", ""))


def image_ids(pods: Iterable[KubeObject]) -> set[str]:
    """Return the imageIDs of all containers of the Pods."""
    # A Pod that reports no container counts as one without an imageID.
    statuses: list[Json] = [status for pod in pods for status in pod.at("status.containerStatuses") or [Json()]]
    return {str(status.get("imageID", "")) for status in statuses}


def run_image(labels: Mapping[str, str], image: str) -> Condition[NamespaceState]:
    """Each Pod asks for `image`, and all report one imageID for it."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        asked: set[str] = {container["image"] for pod in pods for container in pod.at("spec.containers")}
        if asked != {image}:
            return unmet(f"image {text(asked)}")
        seen = image_ids(pods)
        return expect(len(seen) == 1 and "" not in seen, f"imageID {text(seen)}")

    return Condition(f"Pods with {text(labels)} to run {image} under one imageID", check, CONTROLLER)


def run_image_of(labels: Mapping[str, str], digests: frozenset[str]) -> Condition[NamespaceState]:
    """Every imageID of the Pods ends with one of these digests."""

    def check(state: NamespaceState) -> Result:
        seen = {each.rpartition("@")[2] for each in image_ids(state.all("Pod", labels))}
        return expect(bool(seen) and seen <= digests, text(seen))

    return Condition(f"Pods with {text(labels)} to run the loaded image, imageID {text(digests)}", check, CONTROLLER)
