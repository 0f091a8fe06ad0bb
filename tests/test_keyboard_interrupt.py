"""A run that a signal interrupts ends in an orderly way wherever the signal arrives."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubechain.core.errors import ExitCode
from kubechain.core.interrupts import Interrupts
from kubechain.pytest import interrupts
from tests.test_run import project

# Functions that other plugins call before a claim, in it and after it, and that leave something half done.
HALF_DONE = ["schedule_test", "drop_test", "start_group", "close_test"]
# Sends a signal when the function has been called for the first time.
SIGNAL_AFTER = """
import signal
import allure_commons.reporter

def interrupted(owner, name):
    function, calls = getattr(owner, name), []
    def then_signal(*args, **named):
        try:
            return function(*args, **named)
        finally:
            if not calls:
                calls.append(1)
                os.kill(os.getpid(), signal.SIGTERM)
    setattr(owner, name, then_signal)

interrupted(allure_commons.reporter.AllureReporter, "NAME")
"""
ONE_CLAIM = """
import pytest
from kubechain.claims.claim import claim

@pytest.fixture
def thing():
    return 1

@claim("T-IMAGE-010", spec="x")
def test_a(thing):
    \"\"\"It MUST hold.\"\"\"

@claim("T-IMAGE-020", spec="x")
def test_b(thing):
    \"\"\"It MUST hold, too.\"\"\"
"""


def test_frame_without_a_line_is_left_out() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    # As the instructions that Python adds, such as those that leave a `with`.
    interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    with pytest.raises(TypeError):
        caught.getrepr(funcargs=True)
    interrupts.pytest_keyboard_interrupt(caught)
    assert "test_keyboard_interrupt.py" in str(caught.getrepr(funcargs=True))


@pytest.mark.parametrize("function", HALF_DONE)
@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_signal_that_meets_another_plugin_interrupts_the_run(tmp_path: Path, function: str, workers: tuple[str, ...]) -> None:
    more = SIGNAL_AFTER.replace("NAME", function)
    done = project(tmp_path, workers, {}, ONE_CLAIM, more)
    assert "INTERNALERROR" not in done.output
    assert "no verdict" in done.output
    assert done.code == ExitCode.INTERRUPTED, done.output


@contextmanager
def armed() -> Generator[Interrupts]:
    """Yield interrupts that handle SIGTERM alone; the handler of before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    found = Interrupts()
    found.handled = [signal.SIGTERM]
    found.arm()
    try:
        yield found
    finally:
        signal.signal(signal.SIGTERM, before)


def signal_within(found: Interrupts, reached: list[str], place: str) -> None:
    """Send a signal to this process within a part that may be interrupted, and note the place if it goes on."""
    with found.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append(place)


def test_signal_that_is_held_interrupts_at_the_next_place_that_may_be_interrupted() -> None:
    reached: list[str] = []
    with armed() as found, found.held():
        with found.held():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("held")
        reached.append("held still")
        with pytest.raises(KeyboardInterrupt):
            signal_within(found, reached, "interruptible")
    assert reached == ["held", "held still"]


def test_signal_interrupts_a_part_that_may_be_interrupted_at_once_and_is_held_after_it() -> None:
    reached: list[str] = []
    with armed() as found, found.held():
        with pytest.raises(KeyboardInterrupt):
            signal_within(found, reached, "interruptible")
        found.arm()
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("held")
        with pytest.raises(KeyboardInterrupt):
            found.release()
    assert reached == ["held"]
