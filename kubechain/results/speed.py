"""What got slower or faster beyond noise: exact rank tests, corrected for their number. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from statistics import NormalDist, median
from typing import Annotated, Literal

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.core.records import JsonRecord, rounded

ALPHA = 0.05
# With 8 runs on each side, one of up to 320 figures can be told from noise; with 7, one of 85.
MIN_RUNS = 8
# Above this number of runs on each side, the normal distribution is close enough, and the exact one takes long.
EXACT = 20
# A figure that is below this in every run matters to nobody; the choice does not look at the side, so it favours none.
FLOOR_SECONDS = 0.5
LEAST_CHANGE = 0.1
RULE = (
    f"two-sided Mann-Whitney U test for each figure (exact, or by the normal distribution above {EXACT} runs a side), "
    f"Holm's correction for their number, alpha {ALPHA:g}; "
    f"medians differ by {LEAST_CHANGE:.0%} at least; figures under {FLOOR_SECONDS:g} s in every run are left out"
)
PERCENTILES = ("p50", "p99")
Kind = Literal["claim", "hand-over"]


class SpeedChange(JsonRecord):
    """A figure that differs beyond noise, with the medians of its seconds."""

    kind: Kind
    what: str
    before: Annotated[float, rounded(3)]
    after: Annotated[float, rounded(3)]
    slower: bool
    p: float
    """The probability of a difference like this by chance, before the correction."""


class Speed(JsonRecord):
    """What can be said about speed; `silent` is why nothing can, "" if something can."""

    rule: str = RULE
    silent: str
    tested: int
    """Number of figures that were compared."""
    changes: list[SpeedChange]


def changes(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> Speed:
    """Compare the seconds of passed claims and of hand-overs in two sets of runs."""
    if min(len(before), len(after)) < MIN_RUNS:
        silent = f"no verdict on speed under {MIN_RUNS} runs on each side (got {len(before)} and {len(after)})"
        return Speed(silent=silent, tested=0, changes=[])
    old, new = _figures(before), _figures(after)
    testable = [key for key in old if min(len(old[key]), len(new.get(key, ()))) >= MIN_RUNS]
    tested = [key for key in testable if max(*old[key], *new[key]) >= FLOOR_SECONDS]
    chances = [chance(old[key], new[key]) for key in tested]
    found: list[SpeedChange] = []
    for key, p, beyond in zip(tested, chances, holm(chances), strict=True):
        first, second = median(old[key]), median(new[key])
        if beyond and abs(second - first) >= LEAST_CHANGE * first:
            found.append(SpeedChange(kind=key[0], what=key[1], before=first, after=second, slower=second > first, p=p))
    silent = "" if tested else f"no verdict on speed: no figure has {MIN_RUNS} values on each side"
    return Speed(silent=silent, tested=len(tested), changes=sorted(found, key=lambda change: change.p))


def _figures(runs: Iterable[RunRecord]) -> Mapping[tuple[Kind, str], list[float]]:
    figures: dict[tuple[Kind, str], list[float]] = {}
    for run in runs:
        for claim in run.claims:
            if claim.outcome == Outcome.PASSED:
                figures.setdefault(("claim", claim.id), []).append(claim.seconds)
        for each in run.hand_overs:
            for name in PERCENTILES:
                figures.setdefault(("hand-over", f"{each.what} {name}"), []).append(getattr(each, name))
    return figures


def chance(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the two-sided probability of the Mann-Whitney U test; equal values count against a difference."""
    pairs = [(old, new) for old in before for new in after]
    least = min(sum(old >= new for old, new in pairs), sum(old <= new for old, new in pairs))
    number = len(pairs)
    if number > EXACT**2:
        deviation = math.sqrt(number * (len(before) + len(after) + 1) / 12)
        return min(1.0, 2 * NormalDist().cdf((least + 0.5 - number / 2) / deviation))
    total = math.comb(len(before) + len(after), len(before))
    return min(1.0, 2 * sum(_orders(len(before), len(after), u) for u in range(least + 1)) / total)


@cache
def _orders(first: int, second: int, u: int) -> int:
    """Return in how many orders of two samples, of these sizes, exactly `u` pairs are in the wrong order."""
    if u < 0:
        return 0
    if not first or not second:
        return int(u == 0)
    return _orders(first - 1, second, u - second) + _orders(first, second - 1, u)


def holm(chances: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Return which of the differences are no chance, by the method of Holm."""
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    beyond = [False] * len(chances)
    for place, index in enumerate(order):
        if chances[index] > alpha / (len(chances) - place):
            break
        beyond[index] = True
    return beyond
