"""run.json: the results of a run for programs; docs/REFERENCE.md describes the file."""

from __future__ import annotations

import platform
import resource
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from kubechain import __version__
from kubechain.claims.records import (
    ClusterRecord,
    LatencyRecord,
    MilestoneRecord,
    PeakRecord,
    PhaseRecord,
    RunRecord,
)
from kubechain.pytest.results import RunResult

from . import hand_overs

PACKAGES = ("pytest", "pytest-kind", "pytest-xdist", "kubernetes", "requests", "allure-pytest")


def latency(milliseconds: Sequence[float]) -> LatencyRecord | None:
    """Return count, median, 99th percentile and maximum in milliseconds; None if there are no values."""
    if not milliseconds:
        return None
    # quantiles() needs at least two values.
    p99 = statistics.quantiles(milliseconds, n=100, method="inclusive")[-1] if len(milliseconds) > 1 else milliseconds[0]
    median = statistics.median(milliseconds)
    return LatencyRecord(count=len(milliseconds), median=median, p99=p99, max=max(milliseconds))


def versions(cluster: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of kubechain, Python and its packages, and those of the cluster."""
    packages = {name: version(name) for name in PACKAGES}
    return {"kubechain": __version__, "python": platform.python_version(), **packages, **cluster}


def peak_mib() -> PeakRecord:
    """Return the largest resident set sizes of this process and of its child processes, in MiB."""
    harness, child = (resource.getrusage(kind).ru_maxrss / 1024 for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return PeakRecord(harness=harness, largest_child=child)


def document(result: RunResult) -> RunRecord:
    """Return the content of run.json before the HTML report is written."""
    run, verdict, measured = result.run, result.verdict, result.measured
    # Of a run that could not begin, what it was asked for is all that is known.
    cluster = result.cluster or {"context": result.settings.context or None}
    return RunRecord(
        run=run.id,
        started=run.started.replace(microsecond=0),
        verdict=verdict.line,
        holds=verdict.holds,
        first_broken_link=verdict.first_broken_link,
        exit_code=verdict.exit_code,
        counts=verdict.counts,
        cluster=ClusterRecord(**{key: cluster.get(key) for key in ClusterRecord.model_fields}),
        versions=versions({**cluster.get("versions", {}), **(measured[0]["images"] if measured else {})}),
        probe_from=measured[0]["probeFrom"] if measured else None,
        phases=_phases(result),
        change_to_wait_ms=latency([ms for worker in measured for ms in worker["changeToWaitMs"]]),
        timeline=[MilestoneRecord.model_validate(milestone) for worker in measured[:1] for milestone in worker["timeline"]],
        hand_overs=hand_overs.summarized(result.chains),
        chains=hand_overs.shown(result.chains),
        processes=list(result.processes),
        peak_mib=peak_mib(),
        load=result.load,
        shard=result.shard,
        selection=result.selection,
        report=None,
        claims=list(result.records),
    )


def reported(content: RunRecord, result: RunResult, report: str | None) -> RunRecord:
    """Return the content with the path of the HTML report relative to the run's folder, or None, and the phases until then."""
    return content.model_copy(update={"report": report, "phases": _phases(result)})


def _phases(result: RunResult) -> list[PhaseRecord]:
    steps = [PhaseRecord(phase=step.title, seconds=step.seconds, notes=step.notes) for step in result.progress.steps]
    return [*steps, PhaseRecord(phase="claims", seconds=result.seconds, notes=[])]
