"""run.json: what a run found, for programs. Pure functions, described in docs/REFERENCE.md."""

from __future__ import annotations

import platform
import resource
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from kubechain.claims.records import (
    ClaimRecord,
    ClusterRecord,
    LatencyRecord,
    MilestoneRecord,
    PeakRecord,
    PhaseRecord,
    RunRecord,
)
from kubechain.claims.verdict import Verdict
from kubechain.core.bundle import ROOT
from kubechain.core.process import run as run_command
from kubechain.core.progress import Step
from kubechain.core.run import Run

PACKAGES = ("pytest", "pytest-kind", "pytest-xdist", "kubernetes", "requests", "allure-pytest")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share (0 to 1) of the values lies; they must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency(milliseconds: Sequence[float]) -> LatencyRecord | None:
    """Return count, median, 99th percentile and maximum in milliseconds; None without values."""
    if not milliseconds:
        return None
    return LatencyRecord(
        count=len(milliseconds),
        median=percentile(milliseconds, 0.5),
        p99=percentile(milliseconds, 0.99),
        max=max(milliseconds),
    )


def project_version() -> str:
    """Return `git describe` of the checkout, "unknown" outside one."""
    command = ["git", "-C", ROOT, "describe", "--always", "--dirty", "--tags"]
    return run_command(command, timeout=10).stdout.strip() or "unknown"


def versions(cluster: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of everything that had a part in the run."""
    packages = {name: version(name) for name in PACKAGES}
    return {"kubechain": project_version(), "python": platform.python_version(), **packages, **cluster}


def peak_mib() -> PeakRecord:
    """Return the largest resident set of this process and of its largest child, in MiB."""
    harness, child = (resource.getrusage(kind).ru_maxrss / 1024 for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return PeakRecord(harness=harness, largest_child=child)


def document(
    verdict: Verdict,
    records: Sequence[ClaimRecord],
    *,
    run: Run,
    steps: Sequence[Step],
    claims_seconds: float,
    cluster: Mapping[str, Any],
    measured: Sequence[Mapping[str, Any]],
    report: str | None,
) -> RunRecord:
    """Return the content of run.json; `measured` is what each process measured, `report` a path or None."""
    phases = [PhaseRecord(phase=step.title, seconds=step.seconds, notes=step.notes) for step in steps]
    return RunRecord(
        run=run.id,
        started=run.started.replace(microsecond=0),
        verdict=verdict.line,
        holds=verdict.holds,
        first_broken_link=verdict.first_broken_link,
        exit_code=verdict.exit_code,
        counts=verdict.counts,
        cluster=ClusterRecord(**{key: cluster.get(key) for key in ClusterRecord.model_fields}),
        versions=versions(cluster.get("versions", {})),
        probe_from=measured[0]["vantage"] if measured else None,
        phases=[*phases, PhaseRecord(phase="claims", seconds=claims_seconds, notes=[])],
        change_to_wait_ms=latency([ms for each in measured for ms in each["changeToWaitMs"]]),
        timeline=[MilestoneRecord.model_validate(milestone) for each in measured[:1] for milestone in each["timeline"]],
        peak_mib=peak_mib(),
        report=report,
        claims=list(records),
    )
