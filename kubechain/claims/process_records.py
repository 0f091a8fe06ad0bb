"""What each process of a run did, and when, in run.json."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from kubechain.core.records import JsonRecord, rounded

# What takes less is left out.
LEAST_SECONDS = 0.01


class Work(StrEnum):
    """What a process does for a time."""

    STEP = "step"
    """A step of the run, such as the creation of its cluster."""
    SET_UP = "set-up"
    """The fixtures of a claim are set up."""
    CLAIM = "claim"
    """The claim itself is judged."""
    TEARDOWN = "teardown"
    """Fixtures that no later claim of the process needs are torn down."""


class Cause(StrEnum):
    """What takes a part of that time."""

    FIXTURE = "fixture"
    WAIT = "wait"


class PartRecord(JsonRecord):
    """A fixture or a wait in a span; fixtures may contain each other and waits."""

    cause: Cause
    name: str
    """The name of the fixture, or the condition that was waited for."""
    began: Annotated[float, rounded(3)]
    ended: Annotated[float, rounded(3)]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class SpanRecord(JsonRecord):
    """One thing that a process did, in seconds after the start of the run."""

    work: Work
    name: str
    """The id of the claim, or the title of the step."""
    began: Annotated[float, rounded(3)]
    ended: Annotated[float, rounded(3)]
    parts: list[PartRecord]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def waited(self) -> float:
        """The seconds of its waits."""
        return sum(part.seconds for part in self.parts if part.cause == Cause.WAIT)

    def after(self, start: float) -> SpanRecord:
        """Return the span with its times counted from `start`, which is in the same seconds."""
        parts = [part.model_copy(update={"began": part.began - start, "ended": part.ended - start}) for part in self.parts]
        return self.model_copy(update={"began": self.began - start, "ended": self.ended - start, "parts": parts})


class ProcessRecord(JsonRecord):
    """What one process of a run did; between its spans it waited for a claim, or did what takes less than 0.01 s."""

    process: str
    """"main", or the name of a worker, such as "gw0"."""
    spans: list[SpanRecord]
    """In the order of time."""

    def seconds(self, work: Work) -> float:
        """The seconds of one sort of work."""
        return sum(span.seconds for span in self.spans if span.work == work)
