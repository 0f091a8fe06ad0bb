"""The hand-overs of a chain, each with its time, from the history of its namespace and the answers to its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from kubechain.claims import chain_records as steps
from kubechain.claims.chain_records import ChainRecord, StepRecord
from kubechain.claims.claim import Link
from kubechain.conditions.endpoints import SERVICE_NAME, slice_addresses
from kubechain.conditions.pods import is_ready
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import ObjectChange, apply
from kubechain.observe.history import History
from kubechain.workload.manifests import LABELS, WEB

# What the kubelet says of an image that it did not have to pull.
ALREADY_THERE = "already present"
# Each link that is asked, and not watched -> its step. Names resolve without Pods.
ANSWERS = {Link.CLUSTERIP: steps.CLUSTER_IP, Link.NODEPORT: steps.NODE_PORT, Link.DNS: steps.NAME}
Check = Callable[[KubeObject], bool]


def hand_overs(
    history: History,
    answered: Mapping[Link, tuple[float, float]],
    refused: Sequence[tuple[float, float]] = (),
    *,
    loaded: bool,
) -> ChainRecord | None:
    """Return the record of the chain in a namespace; None without its Deployment, or if versions were missed: times are unknown.

    `answered` is link -> when it was first asked and when it answered (monotonic seconds), `refused` the same of the nodePorts of
    a deleted Service; `loaded` says that the Nodes had the image before the run.
    """
    if history.relists:
        return None
    log = history.log()
    start = _first(log, lambda each: (each.kind, each.name) == ("Deployment", WEB))
    if start is None:
        return None
    pod = _followed(log)
    times = ((what, _first(log, check)) for what, check in _watched(pod))
    known = [(what, at) for what, at in times if at is not None]
    watched: list[StepRecord] = []
    began = start
    for index, (what, _) in enumerate(known):
        # A later step proves those before it, whose watches may deliver later.
        ended = max(start, min(at for _, at in known[index:]))
        watched.append(_step(what, start, began, ended))
        began = ended
    listed = next((start + step.ended for step in watched if step.what == steps.LISTED), None)
    asked = [
        _step(what, start, max(answered[link][0], start if link == Link.DNS else listed or start), answered[link][1])
        for link, what in ANSWERS.items()
        if link in answered
    ]
    ends = _ends(log, pod, start) if pod else []
    pulled = False if loaded else _pulled(log, pod)
    seen = next(entry.wall for entry in log if entry.now == start)
    began = datetime.fromtimestamp(seen, UTC)
    return ChainRecord(
        namespace=history.namespace, pulled=pulled, steps=[*watched, *asked, *ends, *_closed(log, refused, start)], began=began
    )


def _step(what: str, start: float, began: float, ended: float) -> StepRecord:
    """Return the record of a step, which is as long as none if it ended before it could begin."""
    return StepRecord(what=what, began=min(began, ended) - start, ended=ended - start)


def _first(log: Sequence[ObjectChange], check: Check) -> float | None:
    """Return when (monotonic seconds) an object first met a check, None if none did."""
    return next((entry.now for entry in log if entry.change != "DELETED" and check(entry.resource)), None)


def _followed(log: Sequence[ObjectChange]) -> KubeObject | None:
    """Return the first Pod of the Deployment that became ready, else its first Pod; None without one."""
    pods = [entry.resource for entry in log if entry.resource.kind == "Pod" and entry.resource.matches(LABELS)]
    return next((pod for pod in pods if is_ready(pod)), pods[0] if pods else None)


def _watched(pod: KubeObject | None) -> list[tuple[str, Check]]:
    """Return the steps of a Pod that watched objects show, each with its check; without a Pod, those before it."""
    first: list[tuple[str, Check]] = [(steps.REPLICASET, lambda each: each.kind == "ReplicaSet" and each.matches(LABELS))]
    if pod is None:
        return first

    def of_pod(each: KubeObject) -> bool:
        return each.kind == "Pod" and each.uid == pod.uid

    def lists(each: KubeObject) -> bool:
        ours = each.kind == "EndpointSlice" and each.matches({SERVICE_NAME: WEB})
        return ours and any(address.uid == pod.uid for address in slice_addresses([each]))

    return [
        *first,
        (steps.POD, of_pod),
        (steps.SCHEDULED, lambda each: of_pod(each) and each.is_true("PodScheduled")),
        (steps.IMAGE, lambda each: _says_pulled(each, pod)),
        (steps.STARTED, lambda each: of_pod(each) and _runs(each)),
        (steps.READY, lambda each: of_pod(each) and is_ready(each)),
        (steps.LISTED, lists),
    ]


def _runs(pod: KubeObject) -> bool:
    """Whether the status of a Pod says of each container that it has started."""
    statuses: list[Json] = pod.at("status.containerStatuses") or []
    started = [status for status in statuses if "startedAt" in status.get("state", {}).get("running", {})]
    return len(started) == len(pod.at("spec.containers", [])) > 0


def _says_pulled(event: KubeObject, pod: KubeObject) -> bool:
    ours = event.kind == "Event" and event.at("involvedObject.uid") == pod.uid
    return ours and event.at("reason") == "Pulled"


def _pulled(log: Sequence[ObjectChange], pod: KubeObject | None) -> bool | None:
    """Return whether a Node pulled an image for a Pod, by its first Event about it; None if there is none."""
    if pod is None:
        return None
    said = (str(entry.resource.at("message", "")) for entry in log if _says_pulled(entry.resource, pod))
    message = next(said, None)
    return None if message is None else ALREADY_THERE not in message


def _ends(log: Sequence[ObjectChange], pod: KubeObject, start: float) -> list[StepRecord]:
    """Return how a Pod went: from its deletion until it is gone, and from then until no EndpointSlice lists it."""
    gone = next((e for e in log if e.change == "DELETED" and (e.resource.kind, e.resource.uid) == ("Pod", pod.uid)), None)
    if gone is None:
        return []
    asked = _first(log, lambda each: each.kind == "Pod" and each.uid == pod.uid and each.deleting)
    ended = [_step(steps.GONE, start, gone.now if asked is None else asked, gone.now)]
    current: dict[tuple[str, str], KubeObject] = {}
    for entry in log:
        if entry.resource.kind == "EndpointSlice":
            apply(current, entry)
        if entry.sequence >= gone.sequence and not any(_names(each, pod) for each in current.values()):
            return [*ended, _step(steps.UNLISTED, start, gone.now, entry.now)]
    return ended


def _closed(log: Sequence[ObjectChange], refused: Sequence[tuple[float, float]], start: float) -> list[StepRecord]:
    """Return how the nodePorts closed: from when the Service was gone, or from the first question if that came later."""
    gone = next((e.now for e in log if e.change == "DELETED" and (e.resource.kind, e.resource.name) == ("Service", WEB)), None)
    return [_step(steps.REFUSED, start, max(gone, asked), at) for asked, at in refused[:1] if gone is not None]


def _names(endpoint_slice: KubeObject, pod: KubeObject) -> bool:
    """Whether an EndpointSlice has an endpoint of a Pod, ready or not."""
    endpoints: list[Json] = endpoint_slice.at("endpoints") or []
    return any(endpoint.get("targetRef", {}).get("uid") == pod.uid for endpoint in endpoints)
