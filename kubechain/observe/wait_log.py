"""The waits of this process, whoever waits: those of claims, of fixtures that several claims share, and of a run's end."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from kubechain.observe.wait_record import WaitRecord

# Waits that nobody takes are forgotten: a measurement makes hundreds of short ones.
MOST = 10_000


@dataclass
class WaitLog:
    """The waits since the last call of `take`. Safe for threads."""

    _waits: deque[tuple[int, WaitRecord]] = field(default_factory=lambda: deque[tuple[int, WaitRecord]](maxlen=MOST))

    def add(self, wait: WaitRecord) -> None:
        """Note that a wait begins in this thread."""
        self._waits.append((threading.get_ident(), wait))

    def take(self) -> list[WaitRecord]:
        """Return the waits of this thread since the last call, and forget those of all threads."""
        taken = list[WaitRecord]()
        while self._waits:
            thread, wait = self._waits.popleft()
            if thread == threading.get_ident():
                taken.append(wait)
        return taken


WAITS = WaitLog()
