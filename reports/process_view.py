"""Where the time of a run goes: one lane for each process, its sums, and which fixtures and waits took most. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubechain.claims.process_records import Cause, PartRecord, ProcessRecord, SpanRecord, Work
from kubechain.claims.records import RunRecord

MOST_CAUSES = 12
# What a span does besides its fixtures and waits, as the name of a cause.
REST = {
    Work.STEP: "",
    Work.SET_UP: "set-up besides fixtures and waits",
    Work.CLAIM: "claims besides waits",
    Work.TEARDOWN: "teardown besides fixtures and waits",
}


@dataclass(frozen=True)
class Segment:
    """A span in a lane: what it is, for whom, how long, and where it begins and how long it is in percent of the lane."""

    work: Work
    name: str
    seconds: float
    left: float
    width: float


@dataclass(frozen=True)
class Lane:
    """One process: its segments, and the seconds that it spent on each work, waiting in claims, and with nothing."""

    process: str
    segments: Sequence[Segment]
    step: float
    set_up: float
    claim: float
    waited: float
    teardown: float
    idle: float


@dataclass(frozen=True)
class CauseSum:
    """What a fixture, a wait or a step took in all processes together, without what is nested in it."""

    work: Work
    cause: str
    name: str
    count: int
    seconds: float
    longest: float


def lanes(run: RunRecord) -> list[Lane]:
    """Return the lanes of a run on one scale, which ends with the last span."""
    end = max((span.ended for process in run.processes for span in process.spans), default=0.0)
    return [_lane(process, end) for process in run.processes] if end > 0 else []


def _lane(process: ProcessRecord, end: float) -> Lane:
    segments = [
        Segment(span.work, span.name, span.seconds, 100 * max(0.0, span.began) / end, 100 * span.seconds / end)
        for span in process.spans
    ]
    sums = {work: process.seconds(work) for work in Work}
    waited = sum(span.waited for span in process.spans if span.work == Work.CLAIM)
    began = process.spans[0].began if process.spans else end
    # From its first work on: a worker that is started later was not idle before.
    idle = max(0.0, end - began - sum(sums.values()))
    return Lane(
        process.process, segments, sums[Work.STEP], sums[Work.SET_UP], sums[Work.CLAIM], waited, sums[Work.TEARDOWN], idle
    )


def causes(run: RunRecord) -> list[CauseSum]:
    """Return what took most of the time of all processes, the longest first."""
    taken: dict[tuple[Work, str, str], list[float]] = {}
    for span in (span for process in run.processes for span in process.spans):
        for cause, name, seconds in _own_seconds(span):
            taken.setdefault((span.work, cause, name), []).append(seconds)
    sums = [CauseSum(*key, len(each), sum(each), max(each)) for key, each in taken.items()]
    return sorted(sums, key=lambda each: -each.seconds)[:MOST_CAUSES]


def _own_seconds(span: SpanRecord) -> Iterable[tuple[str, str, float]]:
    """Return cause, name and seconds of each part of a span without the parts within it, and of what is left of the span."""
    if span.work == Work.STEP:
        return [("step", span.name, span.seconds)]
    own, open_parts, within = dict[int, float](), list[int](), 0.0
    for index, part in enumerate(span.parts):
        while open_parts and not _contains(span.parts[open_parts[-1]], part):
            open_parts.pop()
        own[index] = part.seconds
        if open_parts:
            own[open_parts[-1]] -= part.seconds
        else:
            within += part.seconds
        # A wait contains nothing: its condition is only looked at.
        if part.cause == Cause.FIXTURE:
            open_parts.append(index)
    found = [(span.parts[index].cause.value, span.parts[index].name, max(0.0, seconds)) for index, seconds in own.items()]
    return [*found, ("rest", REST[span.work], max(0.0, span.seconds - within))]


def _contains(outer: PartRecord, inner: PartRecord) -> bool:
    return outer.began <= inner.began and inner.ended <= outer.ended
