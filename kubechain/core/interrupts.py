"""Signals that end a program: the first signal interrupts it, further signals are ignored while it puts things back."""

from __future__ import annotations

import signal
import types
from collections.abc import Generator
from contextlib import contextmanager

# A shell sends SIGINT for Ctrl-C, and SIGHUP when its terminal is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The handler of the signals in one process."""

    def __init__(self) -> None:
        self.handled: list[signal.Signals] = []
        self._held = False
        self._pending = False

    def arm(self) -> None:
        """Let the next signal interrupt the program; a signal that was ignored when it began (nohup) stays ignored."""
        self.handled = self.handled or [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self.handled:
            signal.signal(number, self._interrupt)

    def ignore(self) -> None:
        """Ignore all signals from now on."""
        for number in self.handled:
            signal.signal(number, signal.SIG_IGN)

    def hold(self) -> None:
        """Keep a signal until `release`."""
        self._held = True

    def release(self) -> None:
        """Raise KeyboardInterrupt if a signal arrived since `hold`."""
        self._set(held=False)

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

    def _set(self, *, held: bool) -> None:
        self._held = held
        if self._pending and not held:
            self._pending = False
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: types.FrameType | None) -> None:
        self.ignore()
        if self._held:
            self._pending = True
        else:
            raise KeyboardInterrupt


INTERRUPTS = Interrupts()
