import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.upgrade.samplers import require
from tests.fakes import FakeClock


def test_samplers_that_do_not_start_are_a_harness_error() -> None:
    never = Condition[bool]("begun", lambda begun: expect(begun, "not yet"))
    source = Polled("samplers", lambda: False, RealClock(), interval=0.01)
    with pytest.raises(HarnessError, match="the samplers do not work: expected begun, got not yet") as caught:
        require(Waiter(RealClock()), source, never, Timeout(0.05, "a test"))
    assert not isinstance(caught.value, Unmet)


def test_samplers_that_are_looked_at_for_long_work() -> None:
    clock, seen = FakeClock(), list[bool]()

    def look() -> bool:
        """Look at samplers on so many Nodes that it takes longer than the timeout."""
        clock.time += 70
        seen.append(True)
        return True

    working = Condition[bool]("begun", lambda begun: expect(begun, "not yet"))
    require(Waiter(clock), Polled("samplers", look, clock), working, Timeout(60, "a test"))
    assert seen
