"""What the watched objects of a chain say of an obstacle: refused Pods, full Nodes, images that cannot be run."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kubechain.conditions.objects import events_of
from kubechain.conditions.pods import is_ready
from kubechain.kube.objects import Json, KubeObject, NamespaceState

PULLING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
# The Events after that of a pull.
PULL_ENDED = {"Pulled", "Failed"}
# The runtime cannot start the command of the suite in the image.
STARTING = ("StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError")


def refusals(state: NamespaceState) -> list[str]:
    """Return the messages of the API server to ReplicaSets whose Pods it refused."""
    failures = [owner.condition("ReplicaFailure") for owner in state.all("ReplicaSet")]
    return [str(failure.get("message", "")) for failure in failures if failure.get("status") == "True"]


def unscheduled(state: NamespaceState) -> list[str]:
    """Return what the scheduler says of each Pod that no Node takes."""
    conditions = [pod.condition("PodScheduled") for pod in state.all("Pod") if not pod.deleting]
    return [str(each.get("message", "")) for each in conditions if each.get("reason") == "Unschedulable"]


def image_failures(log: Iterable[KubeObject], images: Collection[str]) -> dict[str, str]:
    """Return Pod -> what the runtime says of an image among `images` that it can neither pull nor start, at any time of `log`.

    `log` are versions of objects, the oldest first; a Pod that became ready later is left out.
    """
    found: dict[str, str] = {}
    for pod in log:
        if pod.kind != "Pod":
            continue
        if is_ready(pod):
            found.pop(pod.name, None)
        sent = {container["name"] for container in pod.at("spec.containers", []) if container.get("image") in images}
        statuses: list[Json] = pod.at("status.containerStatuses", [])
        for status in statuses:
            if status["name"] in sent:
                for detail in _details(status):
                    # The first reason says more than the back-off that follows it.
                    if _matters(detail) and (pod.name not in found or detail.get("reason") != "ImagePullBackOff"):
                        found[pod.name] = f"Pod {pod.name}: {detail['reason']}: {detail.get('message', 'no message')}"
    return found


def pulls(state: NamespaceState, images: Collection[str]) -> list[str]:
    """Return which Pods wait for an image among `images` that their Nodes are still pulling, by their Events."""
    waiting = [pod for pod in state.all("Pod") if not (pod.settled or pod.deleting)]
    reasons = {pod.name: {str(event.at("reason")) for event in events_of(state, pod)} for pod in waiting}
    return [
        f"Pod {pod.name}: image {container['image']} is still being pulled"
        for pod in waiting
        for container in pod.own("spec.containers")
        if container["image"] in images and "Pulling" in reasons[pod.name] and not reasons[pod.name] & PULL_ENDED
    ]


def _details(status: Json) -> list[Json]:
    states: list[Json] = [status.get("state") or {}, status.get("lastState") or {}]
    return [detail for state in states for kind, detail in state.items() if kind in ("waiting", "terminated") and detail]


def _matters(detail: Json) -> bool:
    return detail.get("reason") in (*PULLING, *STARTING) or "runAsNonRoot" in (detail.get("message") or "")
