"""Conditions on the containers of Pods: their states, restarts, exit codes and images.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from kubechain.conditions.condition import Condition, Result, expect, fields, unmet
from kubechain.conditions.objects import event_names, one
from kubechain.conditions.pods import PULL_FAILED, lasting, restarts
from kubechain.conditions.text import text
from kubechain.conditions.timeouts import CONTROLLER, CRASH_LOOP
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def container(pod: KubeObject) -> Json:
    """Return the status of the container that was asked for, whatever sidecars there are; {} if the Pod reports none."""
    return next(iter(pod.own("status.containerStatuses")), Json())


def described(status: Json) -> str:
    """Return the state of a container for a message: "waiting (ImagePullBackOff)", "running", "none"."""
    state: Json = status.get("state") or {}
    return ", ".join(f"{kind} ({detail['reason']})" if detail.get("reason") else kind for kind, detail in state.items()) or "none"


def waits_because(name: str, *reasons: str) -> Condition[NamespaceState]:
    """The Pod's own container is in state waiting with one of these reasons."""

    def check(pod: KubeObject) -> Result:
        status = container(pod)
        waiting: Json = (status.get("state") or Json()).get("waiting", {})
        return expect(waiting.get("reason") in reasons, f"container state {described(status)}")

    return one("Pod", name, f"waiting with {' or '.join(reasons)}", check, CRASH_LOOP)


def pull_failed(name: str) -> Condition[NamespaceState]:
    """The Pod's own container waits with ErrImagePull, or an Event says so.

    The state is a moment long: where other containers of the Pod start meanwhile, the kubelet may report only what follows.
    """

    def check(state: NamespaceState) -> Result:
        result = waits_because(name, PULL_FAILED)(state)
        told = event_names("Pod", name, "Failed", PULL_FAILED)(state)
        return told if told.met else result

    return Condition(f"Pod {name} waiting with {PULL_FAILED}, or an Event that says so", check, CONTROLLER)


def unschedulable(name: str) -> Condition[NamespaceState]:
    """The Pod is Pending on no Node, with PodScheduled=False, reason Unschedulable and a message."""
    wanted = {"status.phase": "Pending", "spec.nodeName": None, "PodScheduled": "False", "reason": "Unschedulable"}

    def check(pod: KubeObject) -> Result:
        condition = pod.condition("PodScheduled")
        actual = pod.at("status.phase"), pod.at("spec.nodeName"), condition.get("status"), condition.get("reason")
        result = fields(dict(zip(wanted, actual, strict=True)), wanted)
        return expect(bool(condition.get("message")), "none", "a message of PodScheduled") if result.met else result

    return one("Pod", name, "Pending, PodScheduled False (Unschedulable) with a message", check)


def restarted(name: str, uid: str, times: int) -> Condition[NamespaceState]:
    """The Pod has this UID, a restartCount of exactly `times`, and a running container."""
    wanted = {"UID": uid, "restartCount": times, "container state": "running"}

    def check(pod: KubeObject) -> Result:
        return fields(dict(zip(wanted, (pod.uid, restarts(pod), described(container(pod))), strict=True)), wanted)

    return one("Pod", name, f"running with restartCount {times}", check)


def counts_crashes(name: str, least: int) -> Condition[NamespaceState]:
    """The container ended with exit code 1, was restarted at least `least` times, and waits in CrashLoopBackOff."""

    def check(pod: KubeObject) -> Result:
        status = container(pod)
        last: Json = (status.get("lastState") or Json()).get("terminated", {})
        waiting: Json = (status.get("state") or Json()).get("waiting", {})
        crashed = last.get("exitCode") == 1 and waiting.get("reason") == "CrashLoopBackOff"
        got = f"restartCount {restarts(pod)}, last exitCode {text(last.get('exitCode'))}, container state {described(status)}"
        return expect(restarts(pod) >= least and crashed, got)

    what = f"in CrashLoopBackOff after exitCode 1, with restartCount at least {least}"
    return one("Pod", name, what, check, CRASH_LOOP)


def runs_unready(name: str, uid: str) -> Condition[NamespaceState]:
    """The Pod with this UID is Running, with Ready=False and a restartCount of 0."""
    wanted = {"UID": uid, "status.phase": "Running", "Ready": "False", "restartCount": 0}

    def check(pod: KubeObject) -> Result:
        actual = pod.uid, pod.at("status.phase"), pod.condition("Ready").get("status"), restarts(pod)
        return fields(dict(zip(wanted, actual, strict=True)), wanted)

    return one("Pod", name, "running with Ready False and restartCount 0", check)


def ended_with(pod: KubeObject) -> tuple[int, str]:
    """Return the exit code and the termination message of a Pod's own container; (-1, "") if it has not ended."""
    ended: Json = container(pod).get("state", {}).get("terminated", {})
    return int(ended.get("exitCode", -1)), str(ended.get("message", ""))


def ended_at(pod: KubeObject) -> float:
    """Return when a Pod's own container ended (Unix seconds, by the clock of its Node); 0.0 if it has not ended."""
    ended: Json = container(pod).get("state", {}).get("terminated", {})
    return datetime.fromisoformat(ended["finishedAt"]).timestamp() if ended.get("finishedAt") else 0.0


def image_ids(pods: Iterable[KubeObject]) -> set[str]:
    """Return the imageIDs of the Pods' own containers; "" stands for a container or Pod that reports none."""
    statuses: list[Json] = [status for pod in pods for status in pod.own("status.containerStatuses") or [Json()]]
    return {str(status.get("imageID", "")) for status in statuses}


def images_run(**pods: Iterable[KubeObject]) -> dict[str, str]:
    """Return what the Pods under each name run, by its digest: a tag may mean another image tomorrow. None that is not known."""
    found = {name: ", ".join(sorted(image_ids(of_name) - {""})) for name, of_name in pods.items()}
    return {name: ids for name, ids in found.items() if ids}


def run_image(labels: Mapping[str, str], image: str, *, same: bool = True) -> Condition[NamespaceState]:
    """Each Pod's own container has `image` in its spec, and all of them report an imageID, the `same` one on request."""

    def check(state: NamespaceState) -> Result:
        pods = lasting(state, labels)
        images: set[str] = {container["image"] for pod in pods for container in pod.own("spec.containers")}
        if images != {image}:
            return unmet(f"image {text(images)}")
        ids = image_ids(pods)
        return expect(bool(ids) and "" not in ids and (len(ids) == 1 or not same), f"imageID {text(ids)}")

    return Condition(f"Pods with {text(labels)} to run {image} under {'one' if same else 'an'} imageID", check, CONTROLLER)


def run_image_of(labels: Mapping[str, str], digests: frozenset[str]) -> Condition[NamespaceState]:
    """Every imageID of the Pods ends with one of these digests."""

    def check(state: NamespaceState) -> Result:
        reported = {image_id.rpartition("@")[2] for image_id in image_ids(lasting(state, labels))}
        return expect(bool(reported) and reported <= digests, text(reported))

    return Condition(f"Pods with {text(labels)} to run the loaded image, imageID {text(digests)}", check, CONTROLLER)
