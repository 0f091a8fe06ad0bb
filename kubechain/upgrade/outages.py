"""When a path was away, as its samples tell, and how exactly they tell it. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kubechain.probes.load import Sample, Tally


@dataclass(frozen=True)
class Outage:
    """A path away from `start` to `end` (Unix seconds).

    The true duration lies within `error` seconds of `seconds`. `lost` is the number of samples that were down, `errors`
    says how many for which reason.
    """

    start: float
    end: float
    error: float
    lost: int
    errors: dict[str, int]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def outages(tally: Tally) -> list[Outage]:
    """Return the outages of a path: each stretch of samples without one that is up, but with one that is down.

    An outage begins with the first sample that is down and ends when the next one that is up was sent. What was before
    the first sample is not known: an outage that they begin with may have lasted longer, and so may one that they end with.
    """
    found: list[Outage] = []
    before: Sample | None = None
    stretch: list[Sample] = []
    for sample in tally.samples:
        if sample.state != "up":
            stretch.append(sample)
            continue
        found += _outage(before, stretch, sample)
        before, stretch = sample, []
    return found + _outage(before, stretch, None)


def _outage(before: Sample | None, stretch: Sequence[Sample], after: Sample | None) -> list[Outage]:
    """Return the outage in a stretch between two samples that are up, if there is one."""
    down = [sample for sample in stretch if sample.state == "down"]
    if not down:
        return []
    start, end = down[0].sent, after.sent if after else stretch[-1].done
    # The path went away after the sample `before` was sent, and came back after the last that is down.
    error = max(start - (before or stretch[0]).sent, end - down[-1].sent)
    return [Outage(start, end, error, len(down), dict(Counter(sample.error for sample in down)))]


def away(tally: Tally) -> tuple[float, float]:
    """Return for how many seconds in all a path was away, and the sum of the errors of that."""
    found = outages(tally)
    return sum(each.seconds for each in found), sum(each.error for each in found)
