"""`make nightly`: every job of a night, one after another, for any scheduler (JOBS=ids for some, SHORT=1 for a quick night).

JOIN=1 tries nothing, and joins what JOBS have left in one folder that were tried on several machines.

The folder of the results (OUT) is a site: fleet.html has a row for each cell of the matrix with its last runs, summary.md a row
for each job; HISTORY (OUT/history) keeps the runs for the next night. The exit code is that of the matrix by the rules of GATE
as `kubechain fleet` has it, else 1 if another job failed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kubechain.cli import children
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.images import pins
from kubechain.results import fleet as fleets
from kubechain.results import rules, runs
from kubechain.results.fleet import ClusterRow
from kubechain.results.rules import Gate
from reports import fleet_page
from tests.nightly.jobs import Job, chosen, short, whole
from tests.nightly.records import JobResult, table, together

# A job that is told to end puts things back first.
END_SECONDS = 300.0
LAST = 20
# Folder with the results of the jobs.
RESULTS = "results"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tried(job: Job, out: Path, history: Path, gate: Path | None) -> JobResult:
    """Run a job with its results in its folder of `out`, and its output beside it."""
    folder, log = out / job.id, out / f"{job.id}.log"
    log.unlink(missing_ok=True)
    began, started, status = time.monotonic(), datetime.now(UTC), 0
    say(f"{started:%H:%M:%S} {job.id}")
    for number, call in enumerate(job.calls):
        # The last call of several puts back what the first has made.
        if status == 0 or number + 1 == len(job.calls):
            words = [*call, f"OUT={folder if call[: len(job.words)] == job.words else out / f'{job.id}-{call[0]}'}"]
            if job.matrix:
                words += [f"HISTORY={history / job.id}", *([f"GATE={gate}"] if gate else [])]
            status = made(words, log, job.minutes * 60) or status
    seconds = round(time.monotonic() - began, 1)
    ended = children.result(folder, started)
    found = JobResult(
        id=job.id,
        command="; ".join(f"make {' '.join(call)}" for call in job.calls),
        status=status,
        seconds=seconds,
        verdict=ended[0].verdict if ended else last_words(log),
        run=ended[0].run if ended else "",
        report=next((f"{job.id}/{page}" for page in ("chain.html", "upgrade.html") if (folder / page).is_file()), ""),
    )
    (out / RESULTS).mkdir(exist_ok=True)
    (out / RESULTS / f"{job.id}.json").write_text(json.dumps(found.as_json(), indent=2), encoding="utf-8")
    say(f"         {job.id}: {found.verdict} ({seconds:.0f} s, exit status {status})")
    return found


def kept(job: Job, out: Path) -> JobResult:
    """Return the result of a job that another machine has tried."""
    try:
        return JobResult.model_validate_json((out / RESULTS / f"{job.id}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return JobResult(id=job.id, command="", status=int(ExitCode.HARNESS), seconds=0.0, verdict="no result", report="")


def made(words: Sequence[str], log: Path, seconds: float) -> int:
    """Call make with its output at the end of a file, for at most so long; return its exit status."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "MAKE", "MFLAGS"))}
    with log.open("ab") as output:
        # A group of its own, so that all that make has begun can be told to end.
        process = subprocess.Popen(
            ["make", *words], cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        return ended(process, seconds)


def ended(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Wait for a process, at most so long; return its exit status. It ends with this program."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    except KeyboardInterrupt:
        end(process)
        raise
    end(process)
    return process.returncode or ExitCode.INTERRUPTED


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell a process and all that it has begun to end, and wait for it."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(log: Path) -> str:
    """Return the last line of an output that is not of make."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("make")), "it said nothing")


def row(job: JobResult, history: Path, gate: Gate | None) -> ClusterRow:
    """Return the row of a job of the matrix, from this run and those of earlier nights."""
    try:
        found = runs.read_all(history / job.id)
    except SetupError:
        found = []
    if job.run not in {run.run for run in found}:
        # What an earlier night says is no result of this one.
        return fleets.without_run(job.id, job.verdict, ExitCode.HARNESS)
    return fleets.row(job.id, found, gate, last=LAST, report=job.report)


def write(jobs: Sequence[Job], results: Sequence[JobResult], out: Path, history: Path, gate: Gate | None) -> int:
    """Write what is known so far; return the exit code of the night."""
    matrix = {job.id for job in jobs if job.matrix}
    rows = [row(each, history, gate) for each in results if each.id in matrix]
    fleet = fleets.record(rows, datetime.now(UTC).replace(microsecond=0)) if rows else None
    if fleet:
        fleet_page.write(fleet, out)
    night = together(results, fleet)
    (out / "nightly.json").write_text(json.dumps(night.as_json(), indent=2), encoding="utf-8")
    (out / "summary.md").write_text(table(night), encoding="utf-8")
    return night.exit_code


def main() -> int:
    """Try the jobs that the command line names."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.nightly", description=__doc__)
    parser.add_argument("--jobs", default=environment("NIGHTLY_JOBS") or "", help="ids separated by commas; default: all")
    parser.add_argument("--short", action="store_true", default=environment("KUBECHAIN_SHORT") == "1", help="a quick night")
    parser.add_argument("--join", action="store_true", default=environment("NIGHTLY_JOIN") == "1", help="join results")
    parser.add_argument("--format", default=environment("KUBECHAIN_FORMAT") or "", help="json: print the ids, and do nothing")
    parser.add_argument("--out", type=Path, default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "nightly", help="results")
    parser.add_argument("--history", type=Path, default=environment("KUBECHAIN_HISTORY") or None, help="the runs of all nights")
    parser.add_argument("--gate", type=Path, default=environment("KUBECHAIN_GATE") or None, help="rules for the matrix")
    given = parser.parse_args()
    listed = (short if given.short else whole)(pins.load())
    try:
        jobs = chosen(listed, [each for each in given.jobs.split(",") if each])
        gate = rules.read(given.gate) if given.gate else None
    except ValueError as error:
        raise SetupError(str(error), ExitCode.USAGE) from error
    if given.format == "json":
        say(json.dumps([job.id for job in jobs]))
        return 0
    out = Path(given.out).absolute()
    history = Path(given.history or out / "history").absolute()
    for folder in (out, history):
        folder.mkdir(parents=True, exist_ok=True)
    results: list[JobResult] = []
    code = int(ExitCode.HOLDS)
    for job in jobs:
        results.append(kept(job, out) if given.join else tried(job, out, history, given.gate and given.gate.absolute()))
        code = write(jobs, results, out, history, gate)
    say((out / "summary.md").read_text(encoding="utf-8"))
    return code


if __name__ == "__main__":
    cli.main(main)
