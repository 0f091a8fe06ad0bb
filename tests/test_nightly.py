"""The jobs of a night: what they call, what they say together, and nights of a Makefile that fails as a test wants."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from kubechain.claims.claim import Link
from kubechain.cli import children
from kubechain.cli.commands import FaultsCommand, RunCommand, UpgradeCommand
from kubechain.cli.options import options
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.images import pins
from kubechain.results import fleet as fleets
from tests import finished_runs
from tests.fakes import record
from tests.finished_runs import passed
from tests.hostile.cases import full
from tests.nightly.__main__ import row, tried
from tests.nightly.jobs import FAMILIES, MODES, Job, chosen, short, whole
from tests.nightly.records import JobResult, table, together

JOBS = whole(pins.load())
MAKEFILE = (ROOT / "Makefile").read_text()


def test_matrix_has_each_version_with_each_mode_and_family() -> None:
    matrix = [job for job in JOBS if job.matrix]
    assert len(matrix) == len(pins.load().kubernetes) * len(MODES) * len(FAMILIES)
    assert len({job.id for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", [*JOBS, *short(pins.load())], ids=lambda job: job.id)
def test_job_is_a_target_with_variables_of_make(job: Job) -> None:
    known = {"RUNS", "SECONDS", "N", "YES", "KEPT"}
    for command in (RunCommand, FaultsCommand, UpgradeCommand):
        known |= {option.variable.removeprefix("KUBECHAIN_") for option in options(command)}
    for target, *variables in job.calls:
        assert re.search(rf"^{target}: ", MAKEFILE, re.MULTILINE)
        assert {each.partition("=")[0] for each in variables} <= known


def test_unknown_job_is_refused() -> None:
    assert [job.id for job in chosen(JOBS, ["faults"])] == ["faults"]
    with pytest.raises(ValueError, match="no such job: fault; there are chain-"):
        chosen(JOBS, ["fault"])


def result(name: str, status: int = 0) -> JobResult:
    return JobResult(id=name, command=f"make {name}", status=status, seconds=90.0, verdict="a | b", report="")


def test_exit_code_is_that_of_the_matrix_first() -> None:
    broken = finished_runs.run(1, record(Link.DNS, "failed", "x", id="CHAIN-DNS-010"))
    holds = finished_runs.run(1, passed(Link.DNS, id="CHAIN-DNS-010"))
    now = datetime.now(UTC)
    bad, good = (fleets.record([fleets.row("c", [run], None, last=1)], now) for run in (broken, holds))
    assert together([result("chain", 2)], bad).exit_code == ExitCode.CHAIN_BROKEN
    assert together([result("chain"), result("faults", 2)], good).exit_code == ExitCode.CHAIN_BROKEN
    assert together([result("chain"), result("faults")], good).exit_code == ExitCode.HOLDS
    night = together([result("faults", 2)], None)
    assert "| faults | failed (2) | 1.5 | a \\| b |" in table(night)
    assert table(night).endswith("1 jobs, 1 failed.\n")


STUB = """
e2e:
\t@mkdir -p $(OUT) $(HISTORY) && cp $(RUN) $(OUT)/run.json && cp $(RUN) $(HISTORY)/2026-01-01T000000Z-00000001.json
\t@echo the gate is $(GATE) && exit $(CODE)
faults:
\t@echo all found
soak:
\t@echo lost memory && exit 1
slow:
\t@sleep 60
clean:
\t@echo cleaned $(CLUSTER)
"""


def stub(folder: Path, code: int = 0, claim: str = "passed") -> str:
    """Write a make that leaves a finished run, and exits with a code; return the PATH on which it is found."""
    run = finished_runs.run(1, record(Link.DNS, claim, "x", id="CHAIN-DNS-010"))
    # Of this night, whenever that is.
    run = run.model_copy(update={"started": datetime(2999, 1, 1, tzinfo=UTC)})
    (folder / "run.json").write_text(json.dumps(run.as_json()))
    (folder / "Makefile").write_text(STUB)
    program = folder / "bin" / "make"
    program.parent.mkdir()
    real = subprocess.run(["which", "make"], capture_output=True, text=True, check=True).stdout.strip()
    program.write_text(f'#!/bin/sh\nexec {real} -f {folder}/Makefile RUN={folder}/run.json CODE={code} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def night(folder: Path, *words: str, code: int = 0, claim: str = "passed") -> subprocess.CompletedProcess[str]:
    """Try jobs with the make of `stub`."""
    environment = {**os.environ, "PATH": stub(folder, code, claim)}
    argv = [sys.executable, "-m", "tests.nightly", "--short", "--out", str(folder / "out"), *words]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


MATRIX = ",".join(job.id for job in short(pins.load()) if job.matrix)


@pytest.mark.parametrize(("claim", "code", "expected"), [full("passed", 0, 0), ("failed", 2, 1), full("inconclusive", 2, 10)])
def test_night_is_a_site_with_its_history(tmp_path: Path, claim: str, code: int, expected: int) -> None:
    done = night(tmp_path, "--jobs", f"{MATRIX},faults", code=code, claim=claim)
    assert done.returncode == expected, done.stdout + done.stderr
    out = tmp_path / "out"
    assert "| faults | passed |" in (out / "summary.md").read_text()
    rows = json.loads((out / "fleet.json").read_text())["clusters"]
    assert sorted(row["name"] for row in rows) == sorted(MATRIX.split(","))
    assert "all found" in (out / "faults.log").read_text()
    assert (out / "fleet.html").is_file()
    assert len(list((out / "history").glob("chain-*/*.json"))) == len(MODES)
    # The jobs may have been tried on several machines, of which one was lost.
    (out / "results" / "faults.json").unlink()
    joined = subprocess.run(
        [sys.executable, "-m", "tests.nightly", "--short", "--join", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert joined.returncode == (expected or 1), joined.stdout + joined.stderr
    assert "| faults | failed (10) | 0.0 | no result |" in joined.stdout


@pytest.mark.parametrize(
    ("job", "said"),
    [(Job("soak", ("soak", "RUNS=2"), on_kept=True), "cleaned kubechain-nightly"), (Job("slow", ("slow",), minutes=0), "")],
)
def test_job_that_fails_or_takes_too_long_puts_things_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Job, said: str
) -> None:
    monkeypatch.setenv("PATH", stub(tmp_path))
    result = tried(job, tmp_path, tmp_path / "history", None)
    assert (result.status != 0, said in (tmp_path / f"{job.id}.log").read_text()) == (True, True)


def test_run_of_an_earlier_night_is_no_result_of_this_one(tmp_path: Path) -> None:
    earlier = finished_runs.run(1, passed(Link.DNS, id="CHAIN-DNS-010"))
    for folder in (tmp_path / "history" / "chain", tmp_path / "chain"):
        folder.mkdir(parents=True)
    (tmp_path / "history" / "chain" / "2026-01-01T000000Z-00000001.json").write_text(json.dumps(earlier.as_json()))
    (tmp_path / "chain" / "run.json").write_text(json.dumps(earlier.as_json()))
    ended = JobResult(id="chain", command="make e2e", status=2, seconds=9.0, verdict="no verdict: x", report="", run="")
    assert row(ended, tmp_path / "history", None).state == "undecided"
    assert row(ended.model_copy(update={"run": earlier.run}), tmp_path / "history", None).state == "holds"
    assert children.result(tmp_path / "chain", datetime.now(UTC)) is None


def test_rule_of_the_gate_that_is_not_kept_decides(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("passed: 2\n")
    done = night(tmp_path, "--jobs", MATRIX, "--gate", str(tmp_path / "gate.yaml"))
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    (log, *_) = (tmp_path / "out").glob("chain-*.log")
    assert f"the gate is {tmp_path}/gate.yaml" in log.read_text()


def test_ids_are_printed_for_the_matrix_of_a_ci_system(tmp_path: Path) -> None:
    done = night(tmp_path, "--format", "json")
    assert json.loads(done.stdout) == [job.id for job in short(pins.load())]
    assert not (tmp_path / "out").exists()


def test_workflow_calls_make_nightly_for_each_job() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert any("make -s nightly FORMAT=json" in each for each in commands)
    assert any('make nightly "JOBS=$JOB"' in each for each in commands)
