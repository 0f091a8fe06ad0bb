"""The record of a wait, for messages and reports."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from kubechain.conditions.timeouts import Timeout
from kubechain.core.records import JsonRecord, rounded


class WaitRecord(JsonRecord):
    """The record of one wait, for the report, filled in as it goes on."""

    model_config = ConfigDict(frozen=False)

    what: str
    """The source."""
    condition: str
    """The condition."""
    seconds: Annotated[float, rounded(4)] = 0.0
    """How long the wait lasted."""
    since_cause: Annotated[float, rounded(4)] | None = None
    """From the beginning of what is waited for to the end of the wait, where that began before the wait; else null."""
    observations: int = 0
    ended_by: str = ""
    """What ended the wait; "" if the claim ended first."""
    began: float = Field(default=0.0, exclude=True)
    """Monotonic seconds; not written to files."""

    @property
    def counted(self) -> float:
        """The seconds that count against the timeout: since the cause where there is one, else of the wait itself."""
        return self.seconds if self.since_cause is None else self.since_cause

    def at(self, now: float, began: float, cause: float | None) -> None:
        """Bring the seconds up to date, given when the wait and its cause began (monotonic seconds; no cause: None)."""
        self.seconds = now - began
        self.since_cause = None if cause is None else now - cause

    def waited(self, limit: Timeout) -> str:
        """Return how long was waited, of what, and why that long, as the end of a message."""
        counted = f"{self.counted:.1f} of {round(limit.seconds, 1):g} s"
        if self.since_cause is not None:
            counted = f"{self.seconds:.1f} s, {counted} since its cause"
        return f"waited {counted}: {limit.reason}"
