"""The record of a wait, for messages and reports."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict

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
    observations: int = 0
    ended_by: str = ""
    """What ended the wait; "" if the claim ended first."""

    def waited(self, limit: Timeout) -> str:
        """Return how long was waited, of what, and why that long, as the end of a message."""
        return f"waited {self.seconds:.1f} of {round(limit.seconds, 1):g} s: {limit.reason}"
