import threading

import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.background import repeating
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.upgrade.samplers import require


def test_goes_on_although_it_fails_and_ends_with_the_body() -> None:
    done, enough = list[int](), threading.Event()

    def do() -> None:
        done.append(len(done))
        if len(done) >= 3:
            enough.set()
        raise HarnessError("not just now")

    with repeating("test", 0.01, do, RealClock()):
        assert enough.wait(5)
    count = len(done)
    assert not enough.wait(0) or count == len(done)
    assert "test" not in {thread.name for thread in threading.enumerate()}


def test_what_the_body_raises_ends_it_too() -> None:
    with pytest.raises(ValueError, match="mine"), repeating("test", 60, list, RealClock()):
        raise ValueError("mine")
    assert "test" not in {thread.name for thread in threading.enumerate()}


def test_samplers_that_do_not_begin_say_nothing_of_the_chain() -> None:
    never = Condition[bool]("begun", lambda begun: expect(begun, "not yet"))
    source = Polled("samplers", lambda: False, RealClock(), interval=0.01)
    with pytest.raises(HarnessError, match="the samplers do not work: expected begun, got not yet") as caught:
        require(Waiter(RealClock()), source, never, Timeout(0.05, "a test"))
    assert not isinstance(caught.value, Unmet)
