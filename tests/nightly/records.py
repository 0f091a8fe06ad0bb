"""What the jobs of a night say, one by one and together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kubechain.core.errors import ExitCode
from kubechain.core.records import JsonRecord
from kubechain.results.fleet import FleetRecord

PASSED = "passed"


class JobResult(JsonRecord):
    """A job: `status` is the exit status of make, `verdict` the verdict of its run, else the last line of its output."""

    id: str
    command: str
    status: int
    seconds: float
    verdict: str
    report: str
    """The page of its run, from the folder of the results; "" for none."""
    run: str = ""
    """The id of its run, "" if none has begun."""


class Night(JsonRecord):
    """A night: `fleet` is the verdict on all runs of the matrix, "" without one."""

    jobs: list[JobResult]
    fleet: str
    exit_code: int


def together(jobs: Sequence[JobResult], fleet: FleetRecord | None) -> Night:
    """Return the night; its exit code is that of the fleet of the matrix (the gate among it), else 1 if a job failed."""
    code = ExitCode.HOLDS if fleet is None else ExitCode(fleet.exit_code)
    if code == ExitCode.HOLDS and any(job.status for job in jobs):
        code = ExitCode.CHAIN_BROKEN
    return Night(jobs=list(jobs), fleet=fleet.line if fleet else "", exit_code=code)


def table(night: Night) -> str:
    """Return the night as a Markdown table."""
    lines = ["| job | result | minutes | verdict |", "|---|---|---|---|"]
    for job in night.jobs:
        result = PASSED if job.status == 0 else f"failed ({job.status})"
        name = f"[{job.id}]({job.report})" if job.report else job.id
        verdict = job.verdict.replace("|", "\\|")
        lines.append(f"| {name} | {result} | {job.seconds / 60:.1f} | {verdict} |")
    failed = sum(job.status != 0 for job in night.jobs)
    lines += ["", f"{len(night.jobs)} jobs, {failed} failed. {night.fleet}".rstrip()]
    return "\n".join(lines) + "\n"
