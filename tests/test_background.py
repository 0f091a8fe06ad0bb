import threading

import pytest

from kubechain.core.errors import HarnessError
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import RealClock


def test_work_that_fails_is_repeated_until_the_body_ends() -> None:
    done, enough = list[int](), threading.Event()

    def work() -> None:
        done.append(len(done))
        if len(done) >= 3:
            enough.set()
        raise HarnessError("not just now")

    with run_periodically("test", 0.01, work, RealClock()):
        assert enough.wait(5)
    assert "test" not in {thread.name for thread in threading.enumerate()}


def test_exception_of_the_body_ends_the_work() -> None:
    with pytest.raises(ValueError, match="mine"), run_periodically("test", 60, list, RealClock()):
        raise ValueError("mine")
    assert "test" not in {thread.name for thread in threading.enumerate()}
