"""What must hold all the time: the other half of the one wait."""

import pytest

from kubechain.conditions.condition import Condition, equal
from kubechain.conditions.pods import ready
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError, Unmet
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from tests.fakes import FakeClock, changed, not_ready, pod

TEN = Timeout(10, "ten will do")
IS_THREE: Condition[int] = Condition("three", lambda n: equal("number", n, 3))
POD = pod(0)
READY = ready(POD.name)


def test_consistently_holds_for_the_whole_time(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    waiter = Waiter(fake)
    seen = waiter.consistently(history, READY, during=TEN)
    assert seen.seconds == 10
    assert waiter.record[0].ended_by == "held for 10 s"


def test_consistently_is_broken_by_the_first_state(fake: FakeClock, history: History) -> None:
    with pytest.raises(Unmet, match=f"no Pod {POD.name}"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_catches_a_violation_between_two_readings(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)

    def flicker() -> None:
        history.record("MODIFIED", changed(not_ready(POD), "metadata.resourceVersion", "900"))
        history.record("MODIFIED", changed(POD, "metadata.resourceVersion", "901"))

    fake.at(5, flicker)
    with pytest.raises(Unmet, match="ContainersReady is False"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_catches_an_object_that_was_gone_between_two_readings(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(5, lambda: (history.record("DELETED", POD), history.record("ADDED", POD)))
    with pytest.raises(Unmet, match="no Pod"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_looks_at_what_happened_at_the_very_end(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(10, lambda: history.record("DELETED", POD))
    with pytest.raises(Unmet):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_with_versions_missed_cannot_tell(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(5, lambda: history.restored("Pod", gap=True))
    with pytest.raises(HarnessError, match="versions were missed"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_with_a_watch_that_is_down_cannot_tell(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(5, lambda: history.lost("Pod", "reset"))
    with pytest.raises(HarnessError, match="watch of Pod down"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_waits_for_a_watch_that_is_cut_at_its_end(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(9.8, lambda: history.lost("Pod", "reset"))
    fake.at(10.4, lambda: history.restored("Pod", gap=False))
    # Cut once more: it has been up since the end.
    fake.at(10.4, lambda: history.lost("Pod", "reset"))
    Waiter(fake).consistently(history, READY, during=TEN)
    assert fake.time == 1010.4


def test_consistently_is_broken_by_what_a_watch_delivers_that_was_cut_at_its_end(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(9.8, lambda: history.lost("Pod", "reset"))
    fake.at(10.4, lambda: (history.record("DELETED", POD), history.record("ADDED", POD), history.restored("Pod", gap=False)))
    with pytest.raises(Unmet):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_nothing_is_decided_between_a_version_that_is_gone_and_the_new_list(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    history.lost("Pod", "410 Expired", gap=True)
    with pytest.raises(HarnessError, match="410 Expired"):
        Waiter(fake).consistently(history, READY, during=TEN)
    fake.at(5, lambda: history.restored("Pod", gap=True))
    with pytest.raises(HarnessError, match="versions were missed"):
        Waiter(fake).consistently(history, READY, during=TEN)
    history.lost("Pod", "410 Expired", gap=True)
    with pytest.raises(HarnessError, match="410 Expired"):
        Waiter(fake).eventually(history, ready("other"), within=TEN)


def test_consistently_on_a_history_that_cannot_go_on_does_not_hold(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    fake.at(5, lambda: history.fail(HarnessError("403", ExitCode.RIGHTS)))
    with pytest.raises(HarnessError, match="403"):
        Waiter(fake).consistently(history, READY, during=TEN)


def test_consistently_counts_an_earlier_gap_against_nobody(fake: FakeClock, history: History) -> None:
    history.record("ADDED", POD)
    history.restored("Pod", gap=True)
    assert Waiter(fake).consistently(history, READY, during=TEN).seconds == 10


def test_pulled_source_breaks_consistently_as_soon_as_it_is_wrong(fake: FakeClock) -> None:
    answers = iter([3, 3, 4])
    with pytest.raises(Unmet, match=r"^expected number 3, got 4 \(at 0\.2 of 10 s: must hold at every moment\)$"):
        Waiter(fake).consistently(Polled("probe", lambda: next(answers), fake), IS_THREE, during=TEN)
