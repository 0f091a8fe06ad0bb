"""What a wait reads: a state that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

S_co = TypeVar("S_co", covariant=True)


class Source(Protocol[S_co]):
    """A state that changes: a watched namespace (History) or anything that is read again and again (Polled)."""

    @property
    def what(self) -> str:
        """The name of the source in messages."""
        ...

    def sequence(self) -> int:
        """Return the number of changes so far; each change ends a `pause`."""
        ...

    def read(self) -> S_co:
        """Return the current state; Transient if this reading failed and the next may succeed."""
        ...

    def since(self, after: int) -> Iterator[S_co]:
        """Yield the state after each change that came after number `after`."""
        ...

    def pause(self, after: int, seconds: float) -> None:
        """Wait for a change after number `after`, at most `seconds`."""
        ...

    def refresh(self) -> bool:
        """Bring the source up to date before a verdict; return whether it has to be read again; Transient if it cannot be."""
        ...

    def first_met(self, holds: Callable[[S_co], bool], start: float) -> float | None:
        """Return when (monotonic seconds), at `start` or later, a state met a check first; None where it is not known."""
        ...

    def seen_late(self, at: float) -> bool:
        """Whether a state that was seen at `at` (monotonic seconds) may have come to be long before."""
        ...

    @property
    def gaps(self) -> int:
        """A number that grows whenever states may be missed."""
        ...
