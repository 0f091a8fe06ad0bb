"""Hand-overs of all chains of a run: counts and percentiles, and the chains that run.json shows. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from kubechain.claims import chain_records as steps
from kubechain.claims.chain_records import ChainRecord, HandOverRecord

MOST_CHAINS = 50
# p99 from the creation of a stateless Pod until a watch shows its containers as started, without the pull of images:
# https://github.com/kubernetes/community/blob/master/sig-scalability/slos/pod_startup_latency.md
START_UP_SLO = 5.0


def summarized(chains: Sequence[ChainRecord]) -> list[HandOverRecord]:
    """Return each hand-over that happened, in the order of the chain, then the sums of several."""
    taken = [(step.what, step.seconds) for chain in chains for step in chain.steps]
    each = [_summary(what, [seconds for name, seconds in taken if name == what]) for what in steps.STEPS]
    start_up = [took for chain in chains if chain.pulled is False for took in _between(chain, steps.POD, steps.STARTED)]
    pod_up = [took for chain in chains for took in _between(chain, steps.POD, steps.READY)]
    chain_up = [at for chain in chains if (at := chain.ended(steps.LISTED)) is not None]
    sums = [
        _summary(steps.START_UP, start_up, START_UP_SLO),
        _summary(steps.POD_UP, pod_up),
        _summary(steps.CHAIN_UP, chain_up),
    ]
    return [record for record in (*each, *sums) if record]


def shown(chains: Iterable[ChainRecord]) -> list[ChainRecord]:
    """Return the MOST_CHAINS slowest chains, the slowest first; those whose address was never listed come last."""

    def speed(chain: ChainRecord) -> float:
        listed = chain.ended(steps.LISTED)
        return float("inf") if listed is None else -listed

    return sorted(chains, key=speed)[:MOST_CHAINS]


def _between(chain: ChainRecord, first: str, last: str) -> list[float]:
    """Return the seconds from the end of one step to the end of another, [] if one of them did not happen."""
    began, ended = chain.ended(first), chain.ended(last)
    return [] if began is None or ended is None else [ended - began]


def _summary(what: str, seconds: Sequence[float], slo: float | None = None) -> HandOverRecord | None:
    """Return count and percentiles of the durations of a hand-over; None if there are none."""
    if not seconds:
        return None
    # quantiles() needs at least two values.
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
    return HandOverRecord(what=what, count=len(seconds), p50=cuts[49], p90=cuts[89], p99=cuts[98], max=max(seconds), slo=slo)
