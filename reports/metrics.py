"""metrics.txt: the figures of a run in the OpenMetrics text format; docs/REFERENCE.md lists their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector, CollectorRegistry

from kubechain.claims.records import RunRecord
from kubechain.results import runs as finished

PERCENTILES = ("p50", "p90", "p99")


class RunCollector(Collector):
    """The figures of one run."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run

    def collect(self) -> Iterator[Metric]:
        """Yield each family of figures."""
        run = self.run
        about = {
            "run": run.run,
            "cluster": finished.cluster(run),
            "kubernetes": finished.kubernetes(run),
            "kubechain": run.versions.get("kubechain", ""),
        }
        yield InfoMetricFamily("kubechain_run", "The run, its cluster and versions", about)
        holds = GaugeMetricFamily("kubechain_chain_holds", "1 if the chain holds, else 0", labels=["first_broken_link"])
        holds.add_metric([run.first_broken_link or ""], int(run.holds))
        yield holds
        yield GaugeMetricFamily("kubechain_run_exit_code", "Exit code of the verdict", int(run.exit_code))
        known = sum(claim.known is not None for claim in run.claims)
        yield GaugeMetricFamily("kubechain_known_issues", "Claims that fail for a known reason", known)
        yield self._claims()
        yield GaugeMetricFamily("kubechain_run_start_timestamp_seconds", "Start of the run, Unix time", run.started.timestamp())
        yield GaugeMetricFamily("kubechain_run_duration_seconds", "From first to last claim", finished.seconds(run))
        yield self._hand_overs()

    def _claims(self) -> Metric:
        claims = GaugeMetricFamily("kubechain_claims", "Claims by link and outcome", labels=["link", "outcome"])
        for (link, outcome), count in Counter((claim.link, claim.outcome) for claim in self.run.claims).items():
            claims.add_metric([link, outcome], count)
        return claims

    def _hand_overs(self) -> Metric:
        seconds = GaugeMetricFamily("kubechain_hand_over_seconds", "Duration of hand-overs", labels=["what", "percentile"])
        for each in self.run.hand_overs:
            for name in PERCENTILES:
                seconds.add_metric([each.what, name], getattr(each, name))
        return seconds


def document(run: RunRecord) -> str:
    """Return the file."""
    registry = CollectorRegistry()
    registry.register(RunCollector(run))
    generate: Callable[[CollectorRegistry], bytes] = vars(exposition)["generate_latest"]  # it has no types
    return generate(registry).decode()
