"""Invariants during an upgrade: enough ready Pods, and endpoints that follow their Pods."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kubechain.conditions import ended
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Change, ObjectChange
from kubechain.observe.history import History
from kubechain.upgrade import budget
from kubechain.upgrade.budget import UNCOUNTED_SECONDS
from kubechain.upgrade.invariants import SLICE_SECONDS, endpoints_follow
from kubechain.upgrade.model import NodeSpan
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import FakeClock, changed, endpoint_slice, entry, not_ready, pod, state, thing

Entry = tuple[float, Change, KubeObject]
PODS = [pod(number) for number in range(4)]
NEW = [pod(number, uid=f"new-{number}", name=f"web-new-{number}") for number in range(4)]
SLICE = endpoint_slice(*map(entry, PODS))
BEFORE = state(SLICE, *PODS)
BUDGET = budget.held(BEFORE, LABELS, 3)
FOLLOW = endpoints_follow(BEFORE, WEB)
SOON, LATE = SLICE_SECONDS - 0.1, SLICE_SECONDS + 0.1


def log(*entries: Entry) -> list[ObjectChange]:
    return [ObjectChange(number, at, 5000 + at, change, resource) for number, (at, change, resource) in enumerate(entries, 1)]


def dying(resource: KubeObject) -> KubeObject:
    return changed(resource, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")


def test_one_pod_at_a_time_may_be_unready() -> None:
    one, other = not_ready(PODS[0]), not_ready(PODS[1])
    assert BUDGET(log((1, "MODIFIED", one), (2, "MODIFIED", PODS[0]), (3, "MODIFIED", other))).met
    found = BUDGET(log((1, "MODIFIED", one), (2, "MODIFIED", other), (3, "MODIFIED", PODS[0])))
    assert found.got == f"2 when {PODS[1].name} was modified"


@pytest.mark.parametrize(
    "lost",
    [
        (1.5, "MODIFIED", not_ready(PODS[1])),
        (1.5, "MODIFIED", dying(PODS[1])),
        (1.5, "DELETED", PODS[1]),
        (1.5, "MODIFIED", changed(PODS[1], "metadata.labels", {"app": "other"})),
        (1.5, "MODIFIED", changed(PODS[1], "status.conditions", [])),
    ],
)
def test_unready_deleted_or_relabelled_pod_does_not_count(lost: Entry) -> None:
    assert BUDGET(log(lost)).met
    assert not BUDGET(log((1, "DELETED", PODS[0]), lost)).met


def test_replacement_pod_counts_when_it_is_ready() -> None:
    drained: list[Entry] = [(1, "MODIFIED", dying(PODS[0])), (2, "ADDED", not_ready(NEW[0]))]
    ready: Entry = (3, "MODIFIED", NEW[0])
    second: list[Entry] = [(4, "MODIFIED", dying(PODS[1])), (5, "DELETED", PODS[0])]
    assert BUDGET(log(*drained, ready, *second)).met
    assert not BUDGET(log(*drained, *second)).met


def test_pods_with_other_labels_do_not_count() -> None:
    sampler = thing("Pod", "sampler-x", labels={"app": "sampler"}, status=PODS[0].at("status"))
    assert not BUDGET(log((1, "ADDED", sampler), (2, "DELETED", PODS[0]), (3, "DELETED", PODS[1]))).met
    assert BUDGET(log((1, "DELETED", PODS[0]), (2, "DELETED", sampler))).met


def test_too_few_pods_at_the_beginning_are_unmet() -> None:
    assert budget.held(state(*PODS[:2]), LABELS, 3)([]).got == "2 at the beginning"
    assert budget.held(state(), LABELS, 3)([]).got == "0 at the beginning"


def targeted(resource: KubeObject, reason: str) -> KubeObject:
    """Return a Pod that is being deleted by a disruption."""
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason}
    return dying(changed(resource, "status.conditions", [*resource.at("status.conditions"), target]))


def evicted(resource: KubeObject, reason: str) -> KubeObject:
    """Return a Pod that its kubelet has ended."""
    return changed(not_ready(resource), "status", {"phase": "Failed", "reason": reason})


End = Callable[[KubeObject], KubeObject]
INVOLUNTARY: list[End] = [
    *(partial(targeted, reason=reason) for reason in sorted(ended.INVOLUNTARY)),
    *(partial(evicted, reason=reason) for reason in sorted(ended.ENDED_BY_KUBELET)),
]
OTHERS: list[End] = [
    not_ready,
    dying,
    partial(targeted, reason="EvictionByEvictionAPI"),
    partial(evicted, reason="OutOfpods"),
]


@pytest.mark.parametrize("end", INVOLUNTARY)
def test_involuntary_disruption_may_leave_too_few_pods(end: End) -> None:
    drained: Entry = (1, "MODIFIED", dying(PODS[0]))
    found = BUDGET(log(drained, (2, "MODIFIED", end(PODS[1])), (3, "DELETED", end(PODS[1])), (4, "MODIFIED", end(PODS[2]))))
    assert (found.met, found.got) == (True, "fewer 2 times, after involuntary disruptions")


@pytest.mark.parametrize("end", OTHERS)
def test_other_end_of_a_pod_may_not(end: End) -> None:
    found = BUDGET(log((1, "MODIFIED", dying(PODS[0])), (2, "MODIFIED", end(PODS[1]))))
    assert found.got == f"2 when {PODS[1].name} was modified"


def test_involuntary_disruption_counts_against_the_budget_once_it_is_counted() -> None:
    preempted: list[Entry] = [(1, "MODIFIED", targeted(PODS[0], "PreemptionByScheduler")), (2, "DELETED", PODS[0])]
    evictions: list[Entry] = [(1 + after, "MODIFIED", dying(PODS[1])) for after in (UNCOUNTED_SECONDS - 1, UNCOUNTED_SECONDS + 1)]
    assert BUDGET(log(*preempted, evictions[0])).met
    assert not BUDGET(log(*preempted, evictions[1])).met


def test_pod_that_is_new_and_not_ready_is_no_loss() -> None:
    preempted: list[Entry] = [(at, "MODIFIED", targeted(PODS[at - 1], "PreemptionByScheduler")) for at in (1, 2)]
    assert BUDGET(log(*preempted, (1 + LATE, "ADDED", not_ready(NEW[0])), (2 + LATE, "MODIFIED", NEW[0]))).met


def unready_at_2(resource: KubeObject) -> Entry:
    return (2, "MODIFIED", not_ready(resource))


@pytest.mark.parametrize(
    ("why", "end", "again", "met"),
    [
        ("not ready", 5002.0, 9000.0, True),
        ("deleted", 5002.0, 9000.0, True),
        # The watch of the Nodes may be a little late.
        ("not ready", 5006.0, 9000.0, True),
        ("not ready", 5020.0, 9000.0, False),
        # It was Ready again by then.
        ("not ready", 4900.0, 4950.0, False),
        ("cordoned", 5002.0, 9000.0, False),
        ("", 9999.0, 9999.0, False),
    ],
)
def test_pods_of_a_lost_node_are_lost_involuntarily(why: Any, end: float, again: float, *, met: bool) -> None:
    spans = [NodeSpan("u", "node-1", 0.0, end, why), NodeSpan("u", "node-1", again, 9999.0)]
    on_node = [changed(pod, "spec.nodeName", "node-1") for pod in PODS]
    lost = budget.on_lost_node(spans)
    held = budget.held(state(*on_node), LABELS, 3, lost=lost)
    assert held(log(*map(unready_at_2, on_node))).met is met
    elsewhere = [changed(pod, "spec.nodeName", "node-2") for pod in PODS]
    assert not budget.held(state(*elsewhere), LABELS, 3, lost=lost)(log(*map(unready_at_2, elsewhere))).met


class Ticking(FakeClock):
    """A clock whose every reading is later than the last."""

    def now(self) -> float:
        """Return a later time."""
        self.time += 1e-6
        return super().now()


def relisted(*after: KubeObject) -> list[ObjectChange]:
    """Return the log of a list after a gap in the watch."""
    history = History("ns", Ticking())
    for each in PODS:
        history.record("ADDED", each)
    start = history.sequence()
    history.relist("Pod", list(after))
    return history.log(start)


def test_list_after_a_gap_counts_as_one_time() -> None:
    assert BUDGET(relisted(*PODS[2:], NEW[0], NEW[1])).met
    found = BUDGET(relisted(*PODS[2:], not_ready(NEW[0])))
    assert not found.met
    assert found.got.startswith("2 when ")
    assert len({seen.now for seen in relisted(NEW[0])}) == 1


def slice_of(*pods: KubeObject, uid: str = SLICE.uid) -> KubeObject:
    return endpoint_slice(*map(entry, pods), uid=uid)


UNREADY: list[Entry] = [(1, "MODIFIED", not_ready(PODS[0])), (1, "MODIFIED", dying(PODS[0])), (1, "DELETED", PODS[0])]


@pytest.mark.parametrize("unready", UNREADY)
def test_endpoint_must_follow_its_pod_within_20_s(unready: Entry) -> None:
    other: Entry = (1 + LATE + 1, "MODIFIED", PODS[1])
    assert FOLLOW(log(unready, (1 + SOON, "MODIFIED", slice_of(*PODS[1:])), other)).met
    late = FOLLOW(log(unready, (1 + LATE, "MODIFIED", slice_of(*PODS[1:]))))
    assert late.got == f"the Pod with UID {PODS[0].uid} listed as ready {LATE:.1f} s after it was not"
    assert not FOLLOW(log(unready, other)).met


def test_endpoint_that_never_follows_is_unmet_at_the_end_of_the_watch() -> None:
    deleted = log((1, "DELETED", PODS[0]))
    assert FOLLOW(deleted).met
    assert endpoints_follow(BEFORE, WEB, until=5001 + SOON)(deleted).met
    assert not endpoints_follow(BEFORE, WEB, until=5001 + LATE)(deleted).met
    followed = [*deleted, *log((2, "MODIFIED", slice_of(*PODS[1:])))]
    assert endpoints_follow(BEFORE, WEB, until=9999)(followed).met


def test_endpoint_of_a_pod_that_is_ready_again_may_be_listed() -> None:
    unready = UNREADY[0]
    back: Entry = (2, "MODIFIED", PODS[0])
    assert FOLLOW(log(unready, back, (1 + LATE, "MODIFIED", SLICE))).met
    # The time counts from the second unready version.
    again: Entry = (4, "MODIFIED", not_ready(PODS[0]))
    assert FOLLOW(log(unready, back, again, (3 + SOON, "MODIFIED", slice_of(*PODS[1:])))).met
    assert not FOLLOW(log(unready, back, again, (4 + LATE, "MODIFIED", PODS[1]))).met


def test_time_counts_from_the_first_unready_version_of_the_pod() -> None:
    versions: list[Entry] = [UNREADY[0], (3, "MODIFIED", dying(PODS[0])), (4, "DELETED", PODS[0])]
    assert not FOLLOW(log(*versions, (1 + LATE, "MODIFIED", PODS[1]))).met


def test_deleted_pod_that_is_listed_again_is_unmet() -> None:
    deleted: list[Entry] = [(1, "DELETED", PODS[0]), (2, "MODIFIED", slice_of(*PODS[1:]))]
    assert not FOLLOW(log(*deleted, (30, "MODIFIED", SLICE), (31, "MODIFIED", PODS[1]))).met


def test_every_slice_of_the_service_counts_and_no_other() -> None:
    deleted: Entry = (1, "DELETED", PODS[0])
    moved: Entry = (2, "MODIFIED", slice_of(*PODS[1:]))
    more = endpoint_slice(entry(PODS[0]), name="web-x2")
    last: Entry = (1 + LATE, "MODIFIED", PODS[1])
    assert not FOLLOW(log(deleted, moved, (3, "ADDED", more), last)).met
    assert FOLLOW(log(deleted, moved, (3, "ADDED", more), (4, "DELETED", more), last)).met
    other = changed(more, "metadata.labels", {"kubernetes.io/service-name": "inner"})
    assert FOLLOW(log(deleted, moved, (3, "ADDED", other), last)).met
    released = changed(SLICE, "metadata.labels", {})
    assert FOLLOW(log(deleted, (2, "MODIFIED", released), last)).met


def test_endpoint_without_the_ready_condition_counts_as_ready() -> None:
    unknown = endpoint_slice(entry(PODS[0], ready=None), *map(entry, PODS[1:]), uid=SLICE.uid)
    unready = endpoint_slice(entry(PODS[0], ready=False), *map(entry, PODS[1:]), uid=SLICE.uid)
    ending = UNREADY[1]
    last: Entry = (1 + LATE, "MODIFIED", PODS[1])
    assert not FOLLOW(log(ending, (2, "MODIFIED", unknown), last)).met
    assert FOLLOW(log(ending, (2, "MODIFIED", unready), last)).met
    bare = changed(SLICE, "endpoints", [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}])
    assert FOLLOW(log(ending, (2, "MODIFIED", bare), last)).met
