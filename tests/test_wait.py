import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kubechain.conditions.condition import Condition, equal, expect, hopeless
from kubechain.conditions.pods import ready, same_and_ready
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError, Transient, Unmet
from kubechain.kube.objects import NamespaceState
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter, require
from tests.fakes import FakeClock, not_ready, pod

TEN = Timeout(10, "ten will do")
IS_THREE: Condition[int] = Condition("three", lambda n: equal("number", n, 3))
POD = pod(0)
READY = ready(POD.name)


@dataclass
class Readings:
    """A source that returns each value in turn, or raises it if it is an exception; the last value repeats."""

    clock: FakeClock
    values: list[Any]
    what: str = "readings"
    gaps: int = 0
    down: str | None = None
    taken: int = 0

    def sequence(self) -> int:
        """Return the number of readings."""
        return self.taken

    def read(self) -> Any:
        """Take the next reading."""
        self.taken += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return value

    def since(self, after: int) -> Iterator[Any]:  # noqa: ARG002
        """Take the next reading."""
        yield self.read()

    def pause(self, after: int, seconds: float) -> None:  # noqa: ARG002
        """Wait for a second at most."""
        self.clock.wait(threading.Condition(), min(1.0, seconds))

    def refresh(self) -> bool:
        """Do nothing: each reading is new."""
        return False

    def first_met(self, holds: object, start: float) -> float | None:  # noqa: ARG002
        """Return None: the readings have no times of their own."""
        return None

    def seen_late(self, at: float) -> bool:  # noqa: ARG002
        """Return False: each reading shows what is there."""
        return False


def test_state_that_is_to_last_counts_only_in_a_history_that_is_up_to_date(fake: FakeClock) -> None:
    history = History("ns", fake)
    history.record("ADDED", POD)
    assert Waiter(fake).eventually(history, same_and_ready(POD)).readings == 1
    # The watch has not delivered yet that the Pod is gone.
    history.proved_by(lambda: history.record("DELETED", POD))
    assert Waiter(fake).eventually(history, READY).readings == 1
    with pytest.raises(Unmet, match=f"got no Pod {POD.name}"):
        Waiter(fake).eventually(history, same_and_ready(POD))
    history.proved_by(failing)
    history.record("ADDED", POD)
    with pytest.raises(HarnessError, match=r"cannot decide: .*the list failed"):
        Waiter(fake).eventually(history, same_and_ready(POD))


def failing() -> None:
    raise Transient("the list failed")


def test_eventually_is_met_at_once_without_waiting(fake: FakeClock) -> None:
    waiter = Waiter(fake)
    observation = waiter.eventually(Readings(fake, [3]), IS_THREE, within=TEN)
    assert (observation.state, observation.seconds, observation.readings) == (3, 0.0, 1)
    assert waiter.record[0].ended_by == "met at once"


def test_eventually_is_met_by_a_late_event_and_wakes_with_it(fake: FakeClock, history: History) -> None:
    fake.at(9, lambda: history.record("ADDED", POD))
    waiter = Waiter(fake)
    observation = waiter.eventually(history, READY, within=TEN)
    assert observation.seconds == 9
    assert waiter.record[0].ended_by == "change 1"


def test_eventually_reads_once_more_at_the_timeout(fake: FakeClock) -> None:
    observation = Waiter(fake).eventually(Readings(fake, [1] * 10 + [3]), IS_THREE, within=TEN)
    assert observation.seconds == 10


def test_unmet_message_has_expected_got_seconds_and_the_reason_of_the_timeout(fake: FakeClock) -> None:
    waiter = Waiter(fake)
    with pytest.raises(Unmet) as caught:
        waiter.eventually(Readings(fake, [7]), IS_THREE, within=TEN)
    message = str(caught.value)
    assert message == "expected number 3, got 7 (waited 10.0 of 10 s: ten will do)"
    assert waiter.record[0].ended_by == "timeout"
    assert waiter.record[0].as_json()["observations"] == 11


def test_timeout_counts_from_since(fake: FakeClock) -> None:
    start = fake.now()
    with pytest.raises(Unmet, match=r"\(waited 4\.0 s, 10\.0 of 10 s since its cause: ten will do\)"):
        Waiter(fake).eventually(Readings(fake, [2]), IS_THREE, within=TEN, since=start - 6)
    assert fake.now() == pytest.approx(start + 4)
    late = Waiter(fake)
    with pytest.raises(Unmet):
        late.eventually(Readings(fake, [2, 3]), IS_THREE, within=TEN, since=start - 60)
    assert late.record[0].observations == 1
    assert Waiter(fake).eventually(Readings(fake, [3]), IS_THREE, within=TEN, since=start - 60).state == 3


def test_condition_brings_its_usual_timeout_and_a_wait_may_give_another(fake: FakeClock) -> None:
    usual = Condition("three", IS_THREE.check, Timeout(5, "five will do"))
    with pytest.raises(Unmet, match=r"waited 5\.0 of 5 s: five will do"):
        Waiter(fake).eventually(Readings(fake, [7]), usual)
    with pytest.raises(Unmet, match=r"waited 10\.0 of 10 s: ten will do"):
        Waiter(fake).eventually(Readings(fake, [7]), usual, within=TEN)


def test_wait_without_a_timeout_is_a_harness_error(fake: FakeClock) -> None:
    readings = Readings(fake, [3])
    with pytest.raises(HarnessError, match=r"^no timeout for three: "):
        Waiter(fake).eventually(readings, IS_THREE)
    assert readings.taken == 0


def test_eventually_takes_no_longer_than_its_timeout(fake: FakeClock) -> None:
    began = fake.now()
    with pytest.raises(Unmet):
        Waiter(fake).eventually(Readings(fake, [7]), IS_THREE, within=TEN)
    assert fake.now() - began == 10


def test_hopeless_ends_the_wait_early(fake: FakeClock) -> None:
    lost: Condition[int] = Condition("pulled", lambda _: hopeless("ImagePullBackOff"))
    with pytest.raises(Unmet, match=r"^expected pulled, got ImagePullBackOff \(gave up after 0\.0 s: waiting cannot help\)$"):
        Waiter(fake).eventually(Readings(fake, [1]), lost, within=TEN)


def test_transient_error_at_the_timeout_is_a_harness_error(fake: FakeClock) -> None:
    readings = Readings(fake, [7, 7, Transient("503 from the server", ExitCode.UNREACHABLE)])
    with pytest.raises(HarnessError, match=r"^cannot decide: expected three; 503 from the server$") as caught:
        Waiter(fake).eventually(readings, IS_THREE, within=TEN)
    assert not isinstance(caught.value, AssertionError)


def test_transient_error_is_forgotten_once_the_state_is_met(fake: FakeClock) -> None:
    readings = Readings(fake, [Transient("503"), Transient("503"), 3])
    assert Waiter(fake).eventually(readings, IS_THREE, within=TEN).seconds == 2


def test_transient_error_before_an_unmet_state_is_ignored(fake: FakeClock) -> None:
    with pytest.raises(Unmet, match="got 7"):
        Waiter(fake).eventually(Readings(fake, [Transient("503"), 7]), IS_THREE, within=TEN)


def test_other_harness_errors_end_the_wait_at_once(fake: FakeClock) -> None:
    readings = Readings(fake, [HarnessError("no such program")])
    with pytest.raises(HarnessError, match="no such program"):
        Waiter(fake).eventually(readings, IS_THREE, within=TEN)
    assert readings.taken == 1


def test_source_that_is_not_up_to_date_at_the_timeout_is_a_harness_error(fake: FakeClock, history: History) -> None:
    history.record("ADDED", not_ready(POD))
    fake.at(4, lambda: history.lost("Pod", "connection refused"))
    with pytest.raises(HarnessError, match=r"watch of Pod down for 11\.0 s: connection refused"):
        Waiter(fake).eventually(history, READY, within=TEN)


def test_source_that_recovers_before_the_timeout_can_be_unmet(fake: FakeClock, history: History) -> None:
    history.record("ADDED", not_ready(POD))
    fake.at(4, lambda: history.lost("Pod", "connection refused"))
    fake.at(6, lambda: history.restored("Pod", gap=True))
    with pytest.raises(Unmet):
        Waiter(fake).eventually(history, READY, within=TEN)


def test_error_of_a_stopped_history_ends_eventually(fake: FakeClock, history: History) -> None:
    fake.at(3, lambda: history.fail(HarnessError("403", ExitCode.RIGHTS)))
    with pytest.raises(HarnessError, match="403"):
        Waiter(fake).eventually(history, READY, within=TEN)
    assert fake.now() == 1003


def test_pulled_source_is_asked_at_its_interval_and_not_between(fake: FakeClock) -> None:
    pulls: list[float] = []
    source = Polled("probe", lambda: pulls.append(fake.now()) or len(pulls), fake, interval=0.5)
    Waiter(fake).eventually(source, IS_THREE, within=TEN)
    assert pulls == [1000.0, 1000.5, 1001.0]


def test_polled_source_that_stays_wrong_is_unmet_at_the_timeout(fake: FakeClock) -> None:
    source = Polled("probe", lambda: 0, fake)
    with pytest.raises(Unmet, match=r"expected number 3, got 0 \(waited 10\.\d of 10 s"):
        Waiter(fake).eventually(source, IS_THREE, within=TEN)


def test_condition_that_raises_is_no_verdict_on_the_cluster(fake: FakeClock, history: History) -> None:
    bad: Condition[NamespaceState] = Condition("bad", lambda s: expect(bool(s.objects[0]), ""))
    with pytest.raises(IndexError):
        Waiter(fake).eventually(history, bad, within=TEN)


def test_every_wait_is_recorded_also_one_that_failed(fake: FakeClock) -> None:
    waiter = Waiter(fake)
    waiter.eventually(Readings(fake, [3]), IS_THREE, within=TEN)
    with pytest.raises(Unmet):
        waiter.eventually(Readings(fake, [1]), IS_THREE, within=TEN)
    entries: list[dict[str, Any]] = [entry.as_json() for entry in waiter.record]
    assert [entry["endedBy"] for entry in entries] == ["met at once", "timeout"]
    assert entries[1] | {"seconds": 10.0, "what": "readings", "condition": "three"} == entries[1]


def test_require_does_not_wait() -> None:
    require(3, IS_THREE)
    with pytest.raises(Unmet, match=r"^expected number 3, got 4$"):
        require(4, IS_THREE)
