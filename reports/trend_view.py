"""What chain.html shows of the runs before: how each ended, the median of each hand-over, and what got slower. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.core.errors import ExitCode
from kubechain.results import runs as finished
from kubechain.results import speed
from kubechain.results.speed import Speed

from .chain_view import State

# Runs of a trend, the present one included.
LAST = 20


@dataclass(frozen=True)
class Point:
    """A run: how it ended and where, its claims by outcome, and the seconds that they took."""

    started: datetime
    run: str
    state: State
    where: str
    counts: str
    seconds: float


@dataclass(frozen=True)
class Strip:
    """The medians of a hand-over in seconds: of the oldest run, of all runs, of the last one, and all as heights in percent."""

    what: str
    oldest: float
    usual: float
    last: float
    heights: Sequence[float]


@dataclass(frozen=True)
class Trend:
    """The last runs, the newest first; `hold` counts those whose chain holds."""

    points: Sequence[Point]
    strips: Sequence[Strip]
    speed: Speed
    hold: int


def trend(run: RunRecord, earlier: Sequence[RunRecord]) -> Trend | None:
    """Return the trend of a run and those before it, the newest last; None if there are none before it."""
    if not earlier:
        return None
    every = [*earlier, run]
    points = [_point(each) for each in reversed(every)]
    pace = speed.changes(every[: -speed.MIN_RUNS], every[-speed.MIN_RUNS :])
    return Trend(points, list(_strips(every)), pace, sum(each.holds for each in every))


def _point(run: RunRecord) -> Point:
    broken = run.exit_code == ExitCode.CHAIN_BROKEN
    state = State.HOLDS if run.holds else State.BROKEN if broken else State.INCONCLUSIVE
    known = sum(claim.known is not None for claim in run.claims)
    counts = [f"{run.counts[outcome]} {outcome}" for outcome in Outcome if run.counts.get(outcome)]
    counts += [f"{known} of them known"] if known else []
    where = f"at {run.first_broken_link}" if broken and run.first_broken_link else ""
    return Point(run.started, run.run, state, where, ", ".join(counts), finished.seconds(run))


def _strips(every: Sequence[RunRecord]) -> list[Strip]:
    last = [each.what for each in every[-1].hand_overs]
    medians = [{each.what: each.p50 for each in run.hand_overs} for run in every]
    strips: list[Strip] = []
    for what in last:
        values = [known.get(what) for known in medians]
        measured = [value for value in values if value is not None]
        if len(measured) > 1:
            most = max(measured) or 1.0
            heights = [100 * value / most if value is not None else 0.0 for value in values]
            strips.append(Strip(what, measured[0], median(measured), measured[-1], heights))
    return strips
