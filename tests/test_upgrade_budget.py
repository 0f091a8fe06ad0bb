"""Invariants during an upgrade: enough ready Pods, and endpoints that follow their Pods."""

import pytest

from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Change, ObjectChange
from kubechain.observe.history import History
from kubechain.upgrade.invariants import SLICE_SECONDS, budget_held, endpoints_follow
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import FakeClock, changed, endpoint_slice, entry, not_ready, pod, state, thing

Entry = tuple[float, Change, KubeObject]
PODS = [pod(number) for number in range(4)]
NEW = [pod(number, uid=f"new-{number}", name=f"web-new-{number}") for number in range(4)]
SLICE = endpoint_slice(*map(entry, PODS))
BEFORE = state(SLICE, *PODS)
BUDGET = budget_held(BEFORE, LABELS, 3)
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
    assert budget_held(state(*PODS[:2]), LABELS, 3)([]).got == "2 at the beginning"
    assert budget_held(state(), LABELS, 3)([]).got == "0 at the beginning"


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
