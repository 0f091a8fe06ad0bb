"""The figures of a watch for Prometheus: of its rounds, and of the last run; docs/REFERENCE.md lists their names."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.results.rounds import Rounds

from .metrics import RunCollector

STATES = ("holds", "broken", "undecided")
# Hand-overs take from milliseconds to the timeouts of claims.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)


class WatchCollector(Collector):
    """The figures of a watch with a round every `interval` seconds, which stands still if none ends for `stale` seconds."""

    def __init__(self, rounds: Rounds, interval: float, stale: float) -> None:
        self.rounds, self.interval, self.stale = rounds, interval, stale

    def collect(self) -> Iterator[Metric]:
        """Yield each family of figures."""
        rounds = self.rounds
        counts = CounterMetricFamily("kubechain_watch_rounds", "Rounds by result", labels=["result"])
        for state in STATES:
            counts.add_metric([state], rounds.results[state])
        yield counts
        name, what = "kubechain_watch_link_broken_rounds", "Rounds in a row in which the chain is first broken at the link"
        broken = GaugeMetricFamily(name, what, labels=["link"])
        # Each link at all times: an alert that is resolved has a value, and not none.
        for link in Link:
            broken.add_metric([link], rounds.broken[link])
        yield broken
        for name, what, value in (
            ("rounds_without_verdict", "Rounds in a row without a verdict", rounds.without_verdict),
            ("last_round_timestamp_seconds", "End of the last round, else begin of the watch, Unix time", rounds.ended),
            ("last_verdict_timestamp_seconds", "End of the last round with a verdict, Unix time", rounds.decided),
            ("interval_seconds", "Seconds from the begin of a round to that of the next", self.interval),
            ("stale_after_seconds", "Seconds without the end of a round after which the watch stands still", self.stale),
        ):
            yield GaugeMetricFamily(f"kubechain_watch_{name}", what, value)
        if rounds.last:
            yield from RunCollector(rounds.last).collect()


class WatchRegistry(CollectorRegistry):
    """All figures of a watch."""

    def __init__(self, rounds: Rounds, interval: float, stale: float) -> None:
        super().__init__()
        self.register(WatchCollector(rounds, interval, stale))
        name, what = "kubechain_watch_hand_over_seconds", "Durations of hand-overs in all rounds"
        self._hand_overs = Histogram(name, what, ["what"], buckets=BUCKETS, registry=self)

    def add(self, run: RunRecord) -> None:
        """Add the hand-overs of a run."""
        for chain in run.chains:
            for step in chain.steps:
                self._hand_overs.labels(step.what).observe(step.seconds)
