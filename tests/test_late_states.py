"""States that are seen late: whether they were in time is told from the history, or not at all."""

import threading
from typing import Any

import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.objects import NamespaceState
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from tests.fakes import FakeClock, changed, not_ready, pod
from tests.test_wait import IS_THREE, POD, READY, TEN, Readings


class Slow(Readings):
    """Each reading takes a minute."""

    def read(self) -> Any:
        """Take the next reading, after a minute."""
        self.clock.time += 60
        return super().read()


def test_state_that_was_read_too_late_to_know_when_it_was_met_decides_nothing(fake: FakeClock) -> None:
    for late in (Slow(fake, [3]), HeldUp(fake, [2, 3])):
        with pytest.raises(HarnessError, match=r"^cannot decide: expected three; it was seen after 60\.0 s, too late"):
            Waiter(fake).eventually(late, IS_THREE, within=TEN)


class HeldUp(Readings):
    """The process stands still for a minute while it waits."""

    def pause(self, after: int, seconds: float) -> None:  # noqa: ARG002
        """Stand still."""
        self.clock.time += 60


def test_reading_that_ends_a_little_after_the_deadline_counts(fake: FakeClock) -> None:
    readings = Readings(fake, [2] * 8 + [3])
    readings.pause = lambda after, seconds: fake.wait(threading.Condition(), 1.3)  # noqa: ARG005
    assert Waiter(fake).eventually(readings, IS_THREE, within=TEN).seconds == pytest.approx(10.4)


def test_watched_change_that_came_after_the_deadline_is_unmet_however_late_it_is_read(fake: FakeClock, history: History) -> None:
    start = fake.now()
    history.record("ADDED", not_ready(POD))
    fake.time += 40
    history.record("MODIFIED", changed(POD, "metadata.resourceVersion", "900"))
    fake.time += 20
    with pytest.raises(Unmet, match=r"^expected .*, got it after 40\.0 s \(waited 0\.0 s, 60\.0 of 10 s since its cause: "):
        Waiter(fake).eventually(history, READY, within=TEN, since=start)


@pytest.mark.parametrize(("resumed", "error"), [(39, HarnessError), (20, Unmet)])
def test_change_that_a_watch_delivered_as_it_resumed_may_have_been_in_time(
    fake: FakeClock, history: History, resumed: float, error: type[Exception]
) -> None:
    start = fake.now()
    history.record("ADDED", not_ready(POD))
    fake.time += 5
    history.lost("Pod", "timed out")
    fake.time = start + resumed
    history.restored("Pod", gap=False)
    fake.time = start + 40
    history.record("MODIFIED", changed(POD, "metadata.resourceVersion", "900"))
    fake.time += 20
    with pytest.raises(error) as caught:
        Waiter(fake).eventually(history, READY, within=TEN, since=start)
    assert type(caught.value) is error


def test_watched_change_that_came_in_time_is_met_however_late_it_is_read(fake: FakeClock, history: History) -> None:
    start = fake.now()
    fake.time += 9
    history.record("ADDED", POD)
    fake.time += 51
    history.record("MODIFIED", changed(POD, "metadata.resourceVersion", "900"))
    assert Waiter(fake).eventually(history, READY, within=TEN, since=start).seconds == 9


def test_history_of_a_process_that_was_held_up_knows_no_times(fake: FakeClock, history: History) -> None:
    history.record("ADDED", not_ready(POD))
    stand_still = fake.wait

    newer = changed(POD, "metadata.resourceVersion", "900")

    def wake_late(changed: threading.Condition, seconds: float) -> None:
        stand_still(changed, seconds + 50)
        history.record("MODIFIED", newer)

    fake.wait = wake_late
    with pytest.raises(HarnessError, match=r"cannot decide: .* it was seen after 60\.0 s"):
        Waiter(fake).eventually(history, READY, within=TEN)


def test_first_met_counts_the_state_that_a_list_leads_to_and_none_on_its_way(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.time += 5
    history.relist("Pod", [pod(1), pod(2)])
    lone: Condition[NamespaceState] = Condition("lone", lambda s: expect(len(s.objects) == 1, "more"))
    assert history.first_met(lambda s: lone(s).met, 1000) == 1000
    assert history.first_met(lambda s: lone(s).met, 1006) is None
    assert history.first_met(lambda s: len(s.objects) == 2, 1000) == 1005
    assert history.first_met(lambda s: len(s.objects) == 2, 1006) == 1006
