import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.pods import ready
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.changes import Change, latest
from kubechain.observe.history import History
from kubechain.observe.history_conditions import at_every_moment, deleted_in_order, last_version, seen_in_history
from tests.fakes import FakeClock, changed, not_ready, pod, service


def names(state: NamespaceState) -> list[str]:
    return sorted(each.name for each in state.objects)


def fresh() -> History:
    return History("ns", FakeClock())


def test_read_shows_the_last_version_of_each_object() -> None:
    history, first = fresh(), pod(0)
    second = changed(first, "metadata.resourceVersion", "999")
    history.record("ADDED", first)
    history.record("MODIFIED", second)
    assert history.read().objects == (second,)


def test_objects_of_different_kinds_with_one_name_are_different_objects() -> None:
    history = fresh()
    history.record("ADDED", pod(0, name="web"))
    history.record("ADDED", service())
    history.record("DELETED", service())
    assert [each.kind for each in history.read().objects] == ["Pod"]


def test_log_replays_to_the_current_state() -> None:
    history, second = fresh(), changed(pod(0), "metadata.resourceVersion", "999")
    steps: list[tuple[Change, KubeObject]] = [("ADDED", pod(0)), ("ADDED", pod(1)), ("MODIFIED", second), ("DELETED", pod(1))]
    for step in steps:
        history.record(*step)
    assert latest(history.log()) == history.read() == list(history.since(0))[-1] == NamespaceState((second,))
    assert latest(history.log()[:2]) == list(history.since(0))[1]


def test_same_version_is_not_recorded_twice() -> None:
    history, first = fresh(), pod(0)
    history.record("ADDED", first)
    history.record("MODIFIED", first)
    assert history.sequence() == 1


def test_same_name_and_version_under_another_uid_is_recorded() -> None:
    history, first = fresh(), pod(0, version="5")
    history.record("ADDED", first)
    history.record("ADDED", pod(0, version="5", uid="another"))
    assert history.sequence() == 2


def test_deletion_carries_the_last_known_version_and_is_recorded() -> None:
    history, first = fresh(), pod(0)
    history.record("ADDED", first)
    history.record("DELETED", first)
    assert [entry.change for entry in history.log()] == ["ADDED", "DELETED"]
    assert history.read().objects == ()


def test_relist_records_the_missed_changes() -> None:
    history = fresh()
    stays, goes, comes = pod(0), pod(1), pod(2)
    history.record("ADDED", stays)
    history.record("ADDED", goes)
    newer = changed(stays, "metadata.resourceVersion", "999")
    history.relist("Pod", [newer, comes])
    assert [(entry.change, entry.resource.name) for entry in history.log(2)] == [
        ("DELETED", goes.name),
        ("MODIFIED", stays.name),
        ("ADDED", comes.name),
    ]


def test_relist_of_one_kind_leaves_the_others_alone() -> None:
    history = fresh()
    history.record("ADDED", service())
    history.relist("Pod", [])
    assert names(history.read()) == ["web"]


def test_relist_of_known_versions_records_nothing() -> None:
    history = fresh()
    history.record("ADDED", pod(0, version="7"))
    history.relist("Pod", [pod(0, version="7")])
    assert history.sequence() == 1


def test_log_after_a_number_has_the_later_changes_with_their_times() -> None:
    clock = FakeClock()
    history = History("ns", clock)
    history.record("ADDED", pod(0))
    clock.time += 5
    history.record("ADDED", pod(1))
    (late,) = history.log(1)
    assert (late.sequence, late.now, late.wall) == (2, 1005.0, 1_700_001_005.0)


def test_since_shows_the_whole_state_after_each_change() -> None:
    history = fresh()
    history.record("ADDED", pod(0))
    history.record("ADDED", pod(1))
    history.record("DELETED", pod(0))
    assert [names(each) for each in history.since(1)] == [["web-5d4f-0", "web-5d4f-1"], ["web-5d4f-1"]]


def test_trouble_names_the_kind_that_is_down_for_the_longest_and_its_last_error() -> None:
    clock = FakeClock()
    history = History("ns", clock)
    assert history.trouble() is None
    history.lost("Pod", "refused")
    clock.time += 3
    history.lost("Service", "timeout")
    history.lost("Pod", "reset")
    clock.time += 1
    assert history.trouble() == "watch of Pod down for 4.0 s: reset"
    history.restored("Pod", gap=False)
    assert history.trouble() == "watch of Service down for 1.0 s: timeout"
    history.restored("Service", gap=False)
    assert history.trouble() is None


def test_gaps_grow_at_the_start_and_at_the_end_of_a_time_in_which_versions_are_missed() -> None:
    history = fresh()
    history.lost("Pod", "reset")
    history.restored("Pod", gap=False)
    assert (history.gaps, history.relists) == (0, 0)
    history.lost("Pod", "410", gap=True)
    assert (history.gaps, history.relists) == (1, 0)
    history.restored("Pod", gap=True)
    assert (history.gaps, history.relists) == (2, 1)


def test_pause_returns_at_once_after_an_earlier_change() -> None:
    clock = FakeClock()
    history = History("ns", clock)
    history.record("ADDED", pod(0))
    history.pause(0, 10)
    assert clock.time == 1000.0
    history.pause(1, 10)
    assert clock.time == 1010.0


def test_change_in_another_thread_wakes_a_pause() -> None:
    class Real(FakeClock):
        def wait(self, changed: threading.Condition, seconds: float) -> None:
            assert changed.wait(seconds), "not woken"

    history = History("ns", Real())
    writer = threading.Thread(target=history.record, args=("ADDED", pod(0)))
    writer.start()
    history.pause(0, 5)
    writer.join()
    assert history.sequence() == 1


def flickering() -> History:
    """Return a history in which a Pod was not ready for as long as one version lasted."""
    history = fresh()
    for version in (pod(0), not_ready(pod(0)), pod(0)):
        history.record("MODIFIED", version)
    return history


READY = ready(pod(0).name)
UNREADY: Condition[NamespaceState] = Condition("unready", lambda s: expect(not READY(s).met, "ready"))


def test_condition_that_held_for_one_version_is_seen_in_the_history() -> None:
    history = flickering()
    assert not UNREADY(history.read()).met
    assert seen_in_history(history, UNREADY)(history.read()).met
    assert not seen_in_history(fresh(), UNREADY)(history.read()).met


def test_seen_in_history_with_missed_versions_is_a_harness_error() -> None:
    history = fresh()
    history.record("ADDED", pod(0))
    history.restored("Pod", gap=True)
    with pytest.raises(HarnessError):
        seen_in_history(history, UNREADY)(history.read())


def test_every_moment_is_checked_from_the_given_change_on() -> None:
    history = flickering()
    assert not at_every_moment(READY, after=0)(history).met
    assert not at_every_moment(READY, after=1)(history).met
    assert at_every_moment(READY, after=2)(history).met


def test_every_moment_with_missed_versions_is_a_harness_error() -> None:
    history = flickering()
    history.restored("Pod", gap=True)
    with pytest.raises(HarnessError, match="missed"):
        at_every_moment(READY, after=2)(history)


def test_every_moment_with_a_watch_that_is_down_or_stopped_is_a_harness_error() -> None:
    down, failed = flickering(), flickering()
    down.lost("Pod", "refused")
    failed.fail(HarnessError("403"))
    for history in (down, failed):
        with pytest.raises(HarnessError):
            at_every_moment(READY, after=2)(history)


def test_last_version_of_a_deleted_object_is_known() -> None:
    history = flickering()
    last = changed(pod(0), "metadata.resourceVersion", "999")
    history.record("DELETED", last)
    history.record("ADDED", pod(0, uid="new"))
    assert last_version(history, pod(0)) == last
    with pytest.raises(HarnessError, match="not in the history of ns"):
        last_version(history, pod(1))


def test_neither_the_last_version_nor_an_order_is_known_with_versions_missed_or_a_watch_down() -> None:
    missed, down = History("ns", FakeClock()), History("ns", FakeClock())
    order = deleted_in_order(frozenset([pod(0).uid]), frozenset([pod(1).uid]))
    for history in (missed, down):
        for number in (0, 1):
            history.record("ADDED", pod(number, version=f"1{number}"))
            history.record("DELETED", pod(number, version=f"2{number}"))
        assert order(history).met
        assert last_version(history, pod(0)).version == "20"
    missed.restored("Pod", gap=True)
    down.lost("Pod", "refused")
    for history, reason in ((missed, "versions were missed"), (down, "watch of Pod down")):
        with pytest.raises(HarnessError, match=f"cannot decide: .*{reason}"):
            order(history)
        with pytest.raises(HarnessError, match=f"cannot decide: .*{reason}"):
            last_version(history, pod(0))


EVENTS = st.lists(st.tuples(st.sampled_from(("ADDED", "MODIFIED", "DELETED")), st.integers(0, 3)), max_size=12)


@given(EVENTS)
def test_replayed_log_equals_read(events: list[tuple[str, int]]) -> None:
    history = fresh()
    for change, number in events:
        history.record(change, pod(number))  # pyright: ignore[reportArgumentType]  # one of three words
    states = list(history.since(0))
    assert len(states) == history.sequence()
    if states:
        assert names(states[-1]) == names(history.read())


def test_losses_counts_each_loss_once_until_the_watch_is_up_again() -> None:
    history = fresh()
    assert history.losses == 0
    history.lost("Pod", "refused")
    history.lost("Pod", "reset")
    assert history.losses == 1
    history.lost("Service", "refused")
    assert history.losses == 2
    history.restored("Pod", gap=False)
    history.restored("Service", gap=True)
    assert history.losses == 2
    history.lost("Pod", "refused")
    assert (history.losses, history.relists) == (3, 1)


def test_changes_of_one_list_have_one_time() -> None:
    class Ticking(FakeClock):
        def now(self) -> float:
            self.time += 1
            return super().now()

    history = History("ns", Ticking())
    history.record("ADDED", pod(0))
    history.record("ADDED", pod(1))
    history.relist("Pod", [pod(1), pod(2)])
    first, second, *listed = history.log()
    assert first.now < second.now < listed[0].now
    assert len(listed) == 3
    assert len({(each.now, each.wall) for each in listed}) == 1
