"""The outages of a route, computed from its samples, and their error bounds. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kubechain.probes.load import Sample, Tally


@dataclass(frozen=True)
class Outage:
    """An outage of a route from `start` to `end` (Unix seconds).

    The true duration is within `error` seconds of `seconds`. `lost` is the number of requests that are down, `errors` maps
    each error to its number of requests.
    """

    start: float
    end: float
    error: float
    lost: int
    errors: dict[str, int]

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.end - self.start


def outages(*parts: Tally) -> list[Outage]:
    """Return the outages of a route: each run of samples between two that are up, if it has a sample that is down.

    An outage begins when its first down sample is sent and ends when the next up sample is sent. An outage at the beginning or
    the end of the samples may have lasted longer. `parts` are the samples of a route, in one part or in one for each time
    in which the route counts: no outage lasts from one part to the next.
    """
    return [outage for part in parts for outage in _outages(part)]


def _outages(tally: Tally) -> list[Outage]:
    found: list[Outage] = []
    before: Sample | None = None
    between: list[Sample] = []
    for sample in tally.samples:
        if sample.state != "up":
            between.append(sample)
            continue
        found += _outage(before, between, sample)
        before, between = sample, []
    return found + _outage(before, between, None)


def _outage(before: Sample | None, between: Sequence[Sample], after: Sample | None) -> list[Outage]:
    """Return the outage in the samples between two that are up (None at either end of all samples), or no outage."""
    down = [sample for sample in between if sample.state == "down"]
    if not down:
        return []
    start, end = down[0].sent, after.sent if after else between[-1].done
    # The outage began after the sample `before` was sent, and ended after the last down sample was sent.
    error = max(start - (before or between[0]).sent, end - down[-1].sent)
    errors = Counter[str]()
    for sample in down:
        errors[sample.error] += sample.count
    return [Outage(start, end, error, errors.total(), dict(errors))]


def downtime(*parts: Tally) -> tuple[float, float]:
    """Return the total seconds of all outages of a route, and the sum of their errors."""
    all_outages = outages(*parts)
    return sum(outage.seconds for outage in all_outages), sum(outage.error for outage in all_outages)
