"""What must hold at every moment of an upgrade: enough ready Pods, and endpoints that follow them."""

import pytest

from kubechain.kube.objects import KubeObject
from kubechain.observe.history import Change, History, ObjectChange
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


def test_one_pod_at_a_time_may_be_away() -> None:
    one, other = not_ready(PODS[0]), not_ready(PODS[1])
    assert BUDGET(log((1, "MODIFIED", one), (2, "MODIFIED", PODS[0]), (3, "MODIFIED", other))).met
    found = BUDGET(log((1, "MODIFIED", one), (2, "MODIFIED", other), (3, "MODIFIED", PODS[0])))
    assert found.got == f"2 when {PODS[1].name} was modified"


@pytest.mark.parametrize(
    "gone",
    [
        (1.5, "MODIFIED", not_ready(PODS[1])),
        (1.5, "MODIFIED", dying(PODS[1])),
        (1.5, "DELETED", PODS[1]),
        (1.5, "MODIFIED", changed(PODS[1], "metadata.labels", {"app": "other"})),
        (1.5, "MODIFIED", changed(PODS[1], "status.conditions", [])),
    ],
)
def test_pod_that_does_not_count_any_more_is_missed(gone: Entry) -> None:
    assert BUDGET(log(gone)).met
    assert not BUDGET(log((1, "DELETED", PODS[0]), gone)).met


def test_pod_that_takes_the_place_of_another_counts_once_it_is_ready() -> None:
    drained: list[Entry] = [(1, "MODIFIED", dying(PODS[0])), (2, "ADDED", not_ready(NEW[0]))]
    ready: Entry = (3, "MODIFIED", NEW[0])
    second: list[Entry] = [(4, "MODIFIED", dying(PODS[1])), (5, "DELETED", PODS[0])]
    assert BUDGET(log(*drained, ready, *second)).met
    assert not BUDGET(log(*drained, *second)).met


def test_pods_of_others_count_for_nothing() -> None:
    sampler = thing("Pod", "sampler-x", labels={"app": "sampler"}, status=PODS[0].at("status"))
    assert not BUDGET(log((1, "ADDED", sampler), (2, "DELETED", PODS[0]), (3, "DELETED", PODS[1]))).met
    assert BUDGET(log((1, "DELETED", PODS[0]), (2, "DELETED", sampler))).met


def test_too_few_at_the_beginning_are_told() -> None:
    assert budget_held(state(*PODS[:2]), LABELS, 3)([]).got == "2 at the beginning"
    assert budget_held(state(), LABELS, 3)([]).got == "0 at the beginning"


class Ticking(FakeClock):
    """A clock that never shows the same time twice."""

    def now(self) -> float:
        """Return another time."""
        self.time += 1e-6
        return super().now()


def relisted(*after: KubeObject) -> list[ObjectChange]:
    """Return what a history tells of a list after a gap."""
    history = History("ns", Ticking())
    for each in PODS:
        history.record("ADDED", each)
    start = history.sequence()
    history.relist("Pod", list(after))
    return history.log(start)


def test_list_after_a_gap_is_one_moment() -> None:
    assert BUDGET(relisted(*PODS[2:], NEW[0], NEW[1])).met
    found = BUDGET(relisted(*PODS[2:], not_ready(NEW[0])))
    assert not found.met
    assert found.got.startswith("2 when ")
    assert len({seen.now for seen in relisted(NEW[0])}) == 1


def left(*pods: KubeObject, uid: str = SLICE.uid) -> KubeObject:
    return endpoint_slice(*map(entry, pods), uid=uid)


AWAY: list[Entry] = [(1, "MODIFIED", not_ready(PODS[0])), (1, "MODIFIED", dying(PODS[0])), (1, "DELETED", PODS[0])]


@pytest.mark.parametrize("away", AWAY)
def test_endpoint_must_follow_its_pod_soon(away: Entry) -> None:
    other: Entry = (1 + LATE + 1, "MODIFIED", PODS[1])
    assert FOLLOW(log(away, (1 + SOON, "MODIFIED", left(*PODS[1:])), other)).met
    late = FOLLOW(log(away, (1 + LATE, "MODIFIED", left(*PODS[1:]))))
    assert late.got == f"the Pod with UID {PODS[0].uid} listed as ready {LATE:.1f} s after it was not"
    assert not FOLLOW(log(away, other)).met


def test_endpoint_that_never_follows_is_told_though_nothing_happens_any_more() -> None:
    away = log((1, "DELETED", PODS[0]))
    assert FOLLOW(away).met
    assert endpoints_follow(BEFORE, WEB, until=5001 + SOON)(away).met
    assert not endpoints_follow(BEFORE, WEB, until=5001 + LATE)(away).met
    followed = [*away, *log((2, "MODIFIED", left(*PODS[1:])))]
    assert endpoints_follow(BEFORE, WEB, until=9999)(followed).met


def test_pod_that_is_ready_again_may_be_listed() -> None:
    away = AWAY[0]
    back: Entry = (2, "MODIFIED", PODS[0])
    assert FOLLOW(log(away, back, (1 + LATE, "MODIFIED", SLICE))).met
    # It is the second time that counts.
    again: Entry = (4, "MODIFIED", not_ready(PODS[0]))
    assert FOLLOW(log(away, back, again, (3 + SOON, "MODIFIED", left(*PODS[1:])))).met
    assert not FOLLOW(log(away, back, again, (4 + LATE, "MODIFIED", PODS[1]))).met


def test_time_counts_from_when_the_pod_was_first_seen_unready() -> None:
    away: list[Entry] = [AWAY[0], (3, "MODIFIED", dying(PODS[0])), (4, "DELETED", PODS[0])]
    assert not FOLLOW(log(*away, (1 + LATE, "MODIFIED", PODS[1]))).met


def test_pod_that_is_listed_again_after_it_was_gone_is_told() -> None:
    gone: list[Entry] = [(1, "DELETED", PODS[0]), (2, "MODIFIED", left(*PODS[1:]))]
    assert not FOLLOW(log(*gone, (30, "MODIFIED", SLICE), (31, "MODIFIED", PODS[1]))).met


def test_slices_are_all_looked_at_and_those_of_others_are_not() -> None:
    away: Entry = (1, "DELETED", PODS[0])
    moved: Entry = (2, "MODIFIED", left(*PODS[1:]))
    more = endpoint_slice(entry(PODS[0]), name="web-x2")
    last: Entry = (1 + LATE, "MODIFIED", PODS[1])
    assert not FOLLOW(log(away, moved, (3, "ADDED", more), last)).met
    assert FOLLOW(log(away, moved, (3, "ADDED", more), (4, "DELETED", more), last)).met
    other = changed(more, "metadata.labels", {"kubernetes.io/service-name": "inner"})
    assert FOLLOW(log(away, moved, (3, "ADDED", other), last)).met
    released = changed(SLICE, "metadata.labels", {})
    assert FOLLOW(log(away, (2, "MODIFIED", released), last)).met


def test_endpoint_whose_readiness_is_not_told_counts_as_ready() -> None:
    unknown = endpoint_slice(entry(PODS[0], ready=None), *map(entry, PODS[1:]), uid=SLICE.uid)
    unready = endpoint_slice(entry(PODS[0], ready=False), *map(entry, PODS[1:]), uid=SLICE.uid)
    away = AWAY[1]
    last: Entry = (1 + LATE, "MODIFIED", PODS[1])
    assert not FOLLOW(log(away, (2, "MODIFIED", unknown), last)).met
    assert FOLLOW(log(away, (2, "MODIFIED", unready), last)).met
    bare = changed(SLICE, "endpoints", [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}])
    assert FOLLOW(log(away, (2, "MODIFIED", bare), last)).met
