"""The waits that this process is in, for whoever shows how a run goes on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class PresentWait:
    """A wait that has not ended: its source and condition, what there was at last, and its monotonic seconds."""

    what: str
    condition: str
    began: float
    ends: float
    got: str = ""


@dataclass
class PresentWaits:
    """The waits of a process, the one that began last at the end."""

    waits: list[PresentWait] = field(default_factory=list[PresentWait])

    @contextmanager
    def wait(self, what: str, condition: str, began: float, seconds: float) -> Generator[PresentWait]:
        """List a wait while the body runs; the body fills in `got`."""
        present = PresentWait(what, condition, began, began + seconds)
        self.waits.append(present)
        try:
            yield present
        finally:
            # Waits of several threads may look alike.
            self.waits[:] = [each for each in self.waits if each is not present]

    def last(self) -> PresentWait | None:
        """Return the wait that began last, None if this process waits for nothing."""
        waits = self.waits[-1:]
        return waits[0] if waits else None


PRESENT_WAITS = PresentWaits()
