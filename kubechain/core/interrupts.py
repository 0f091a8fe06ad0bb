"""Signals that end a program: the first signal interrupts it, further signals are ignored while it puts things back."""

from __future__ import annotations

import signal
import sys
import types
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

# A shell sends SIGINT for Ctrl-C, and SIGHUP when its terminal is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")


class Interrupts:
    """The handler of the signals in one process."""

    def __init__(self) -> None:
        self.handled: list[signal.Signals] = []
        self._held = False
        self._pending = False
        self._arrived = False

    def arm(self) -> None:
        """Let the next signal interrupt the program; a signal that was ignored when it began (nohup) stays ignored."""
        self._arrived = False
        self.handled = self.handled or [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self.handled:
            signal.signal(number, self._interrupt)

    def ignore(self) -> None:
        """Ignore all signals from now on, also one that is kept."""
        self._silence()
        self._pending = False

    def hold(self) -> None:
        """Keep a signal until `release`."""
        self._held = True

    def release(self) -> None:
        """Raise KeyboardInterrupt if a signal arrived since `hold`."""
        self._set(held=False)

    def require_none(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived since `arm`, whatever became of it.

        Python drops an exception that a signal raises while an object is finalized, such as an answer of the API server.
        """
        if self._arrived:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep a signal until the end of the block; within another such block, until the end of that one."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._set(held=before)

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """Let a signal interrupt this block, within a block that keeps it."""
        before = self._held
        try:
            self._set(held=False)
            yield
        finally:
            self._held = before

    def unless_interrupted(self, work: Callable[[], T], otherwise: T) -> T:
        """Return what `work` returns, or `otherwise` as soon as there is a signal, which is kept as it was before."""
        held = self._held
        try:
            with self.interruptible():
                return work()
        except KeyboardInterrupt:
            if not held:
                raise
            self._pending = True
            return otherwise

    def _set(self, *, held: bool) -> None:
        self._held = held
        if self._pending and not held:
            self._pending = False
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: types.FrameType | None) -> None:
        self._silence()
        self._arrived = True
        if self._held:
            self._pending = True
        else:
            raise KeyboardInterrupt

    def _silence(self) -> None:
        for number in self.handled:
            signal.signal(number, signal.SIG_IGN)


INTERRUPTS = Interrupts()


def leave(code: int) -> NoReturn:
    """Exit with a code, also after an interrupt.

    One that has passed through an `exec` or `eval` of a text, as many libraries have, is remembered by Python until the next
    such call: `python -m` would end itself by SIGINT, whatever its exit code is.
    """
    eval("None")  # noqa: S307  # nosec B307  # a constant
    sys.exit(code)
