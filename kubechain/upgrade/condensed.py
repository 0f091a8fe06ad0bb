"""Samples of hours in little space: requests with the same result, one soon after another, are one run. Pure functions.

A run keeps the times of its first and its last request, so that the beginning, the end and the error of every outage stay what
they were. What it does not keep is when exactly the others were sent: none was more than CLOSE_SECONDS after the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubechain.probes.load import Sample, State

# Below the time for which the state of a route may be unknown (availability.KNOWN_SECONDS).
CLOSE_SECONDS = 1.0
# A run of up to this many requests stands for as many samples, so that a short time has some of them.
WHOLE = 600


@dataclass(slots=True)
class SampleRun:
    """`count` requests of a route with the same result, sent from `first` to `last`; the last ended at `done` (Unix seconds)."""

    first: float
    last: float
    done: float
    state: State
    error: str
    count: int

    def takes(self, later: SampleRun) -> bool:
        """Whether a run that begins later can be joined with this one."""
        alike = (later.state, later.error) == (self.state, self.error)
        return alike and later.first - self.last <= CLOSE_SECONDS

    def join(self, later: SampleRun) -> None:
        """Become one run with a later one."""
        self.last, self.done, self.count = max(self.last, later.last), max(self.done, later.done), self.count + later.count


def run_of(sample: Sample) -> SampleRun:
    """Return a run of one sample."""
    return SampleRun(sample.sent, sample.sent, sample.done, sample.state, sample.error, sample.count)


def condensed(runs: Iterable[SampleRun], settled: float = math.inf) -> list[SampleRun]:
    """Return runs in the order of time, joined where they can be.

    Only what was sent before `settled` is joined: of later samples, some with another result may still be on their way.
    """
    found: list[SampleRun] = []
    for run in sorted(runs, key=lambda run: run.first):
        if found and run.last < settled and found[-1].takes(run):
            found[-1].join(run)
        else:
            found.append(SampleRun(run.first, run.last, run.done, run.state, run.error, run.count))
    return found


def samples_of(run: SampleRun) -> Iterator[Sample]:
    """Yield samples that stand for the requests of a run, evenly spread: at most WHOLE, or as many as CLOSE_SECONDS apart."""
    parts = min(run.count - 1, max(math.ceil((run.last - run.first) / CLOSE_SECONDS), WHOLE))
    if parts == 0:
        yield Sample(run.first, run.done, run.state, run.error, run.count)
        return
    share, more = divmod(run.count, parts + 1)
    for number in range(parts):
        sent = run.first + (run.last - run.first) * number / parts
        yield Sample(sent, sent, run.state, run.error, share + (number < more))
    yield Sample(run.last, run.done, run.state, run.error, share)
