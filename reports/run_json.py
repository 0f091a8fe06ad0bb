"""run.json: what a run found, for programs. Pure functions, described in docs/REFERENCE.md."""

from __future__ import annotations

import platform
import resource
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from kubechain.core.bundle import ROOT
from kubechain.core.process import run as run_command
from kubechain.pytest.results import RunResult

SCHEMA = 1
PACKAGES = ("pytest", "pytest-kind", "pytest-xdist", "kubernetes", "requests", "allure-pytest")


def latency(milliseconds: Sequence[float]) -> dict[str, float | int] | None:
    """Return count, median, 99th percentile and maximum in milliseconds; None without values."""
    if not milliseconds:
        return None
    # Of one value there are no quantiles.
    p99 = statistics.quantiles(milliseconds, n=100, method="inclusive")[-1] if len(milliseconds) > 1 else milliseconds[0]
    found = {"median": statistics.median(milliseconds), "p99": p99, "max": max(milliseconds)}
    return {"count": len(milliseconds), **{name: round(value, 2) for name, value in found.items()}}


def project_version() -> str:
    """Return `git describe` of the checkout, "unknown" outside one."""
    command = ["git", "-C", ROOT, "describe", "--always", "--dirty", "--tags"]
    return run_command(command, timeout=10).stdout.strip() or "unknown"


def versions(cluster: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of everything that had a part in the run."""
    packages = {name: version(name) for name in PACKAGES}
    return {"kubechain": project_version(), "python": platform.python_version(), **packages, **cluster}


def peak_mib() -> dict[str, float]:
    """Return the largest resident set of this process and of its largest child, in MiB."""
    kinds = {"harness": resource.RUSAGE_SELF, "largestChild": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(kind).ru_maxrss / 1024, 1) for name, kind in kinds.items()}


def document(result: RunResult, report: str | None) -> dict[str, Any]:
    """Return the content of run.json; `report` is the path of the HTML report in the run's folder, or None."""
    run, verdict, measured, cluster = result.run, result.verdict, result.measured, result.cluster
    return {
        "schema": SCHEMA,
        "run": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "verdict": verdict.line,
        "holds": verdict.holds,
        "firstBrokenLink": verdict.first_broken_link,
        "exitCode": int(verdict.exit_code),
        "counts": verdict.counts,
        "cluster": {key: cluster.get(key) for key in ("name", "context", "uid", "owned")},
        "versions": versions(cluster.get("versions", {})),
        "vantage": next((each["vantage"] for each in measured), None),
        "phases": [
            *({"phase": s.title, "seconds": round(s.seconds, 2), "notes": s.notes} for s in result.progress.steps),
            {"phase": "claims", "seconds": round(result.seconds, 2), "notes": []},
        ],
        "changeToWaitMs": latency([ms for each in measured for ms in each["changeToWaitMs"]]),
        "timeline": next((each["timeline"] for each in measured), None) or [],
        "peakMiB": peak_mib(),
        "report": report,
        "claims": list(result.records),
    }
