"""A run that tried a part of the claims of its level says so, whichever option left out the others."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import SelectionRecord
from kubechain.claims.verdict import of_a_part, verdict_of
from kubechain.core.bundle import ROOT
from kubechain.nested.suite_run import SUITES
from kubechain.results import gate
from kubechain.results.rules import Gate, Rules
from tests.fakes import record, run_record
from tests.hostile.cases import full
from tests.test_run import Done, prepare

CLAIMS = '''
import pytest
from kubechain.claims.claim import claim

@claim("T-PODS-010", spec="x")
def test_first():
    """It MUST run."""

@claim("T-PODS-020", spec="x")
def test_second():
    """It MUST run, too."""
    assert False

@claim("T-PODS-030", spec="x", level="full")
def test_of_another_level():
    """It MUST run at the level full."""
'''
OTHER = '''
from kubechain.claims.claim import claim

@claim("T-DNS-010", spec="x")
def test_third():
    """It MUST resolve."""
    assert False
'''
BOTH = ["T-DNS-010", "T-PODS-020"]
SECOND = "suites/test_x.py::test_second"


def made(folder: Path, environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Make two modules of claims, of which one claim of the level passes; return pytest's command and environment."""
    words, told = prepare(folder, environment, CLAIMS)
    (folder / "suites" / "test_y.py").write_text(OTHER)
    return [word for word in words if word not in {"-p", "no:cacheprovider"}], told


def run(folder: Path, words: Sequence[str], told: Mapping[str, str]) -> Done:
    done = subprocess.run(words, cwd=folder, env=told, capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, folder / "out")


@pytest.mark.whole_runs
@pytest.mark.parametrize(
    ("arguments", "environment", "by", "left_out", "files"),
    [
        ((), {"PYTEST_ADDOPTS": "-k first"}, ["-k first", "PYTEST_ADDOPTS=-k first"], BOTH, []),
        full((), {"PYTEST_ADDOPTS": "--deselect=suites/test_y.py --deselect=suites/test_x.py::test_second"}, None, BOTH, []),
        full(("-m", "claim", "-k", "first", "-n", "2"), {}, ["-k first", "-m claim"], BOTH, []),
        full((), {"KUBECHAIN_ONLY": "T-PODS-010"}, ["--only=T-PODS-010"], BOTH, []),
        (
            ("--ignore=suites/test_y.py", f"--deselect={SECOND}"),
            {},
            [f"--deselect={SECOND}", "--ignore=suites/test_y.py"],
            ["T-PODS-020"],
            ["suites/test_y.py"],
        ),
    ],
)
def test_verdict_and_run_json_say_what_was_left_out(
    tmp_path: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    by: list[str] | None,
    left_out: list[str],
    files: list[str],
) -> None:
    words, told = made(tmp_path, environment)
    done = run(tmp_path, [*words, *arguments], told)
    assert (done.code, list(done.outcomes)) == (0, ["T-PODS-010"]), done.output
    selection = done.run["selection"]
    assert (selection["leftOut"], selection["files"]) == (left_out, files)
    assert by is None or selection["by"] == by
    said = "2 claims left out" if not files else "1 claim and 1 module left out"
    last = done.output.strip().splitlines()[-1]
    assert last.startswith("chain holds: 1 claim in "), last
    assert last.endswith(f": {said}"), last
    assert "; only a part was tried (-" in last
    assert done.run["verdict"] == last


@pytest.mark.whole_runs
@pytest.mark.parametrize("processes", ["0", full("2")])
def test_run_of_all_claims_of_its_level_says_nothing_of_the_others(tmp_path: Path, processes: str) -> None:
    words, told = made(tmp_path, {})
    done = run(tmp_path, [*words, "-n", processes], told)
    assert done.run["selection"] is None, done.output
    assert "only a part" not in done.output


@pytest.mark.whole_runs
@pytest.mark.hostile
def test_claims_that_passed_before_are_missed_with_lf(tmp_path: Path) -> None:
    words, told = made(tmp_path, {})
    run(tmp_path, words, told)
    (tmp_path / "suites" / "test_y.py").write_text(OTHER.replace("assert False", "pass"))
    run(tmp_path, [*words, "-k", "third"], told)
    done = run(tmp_path, [*words, "--lf"], told)
    assert done.outcomes == {"T-PODS-020": "failed"}, done.output
    assert done.run["selection"] == {"by": ["--lf"], "leftOut": ["T-PODS-010"], "files": ["suites/test_y.py"]}
    assert done.output.strip().endswith("; only a part was tried (--lf): 1 claim and 1 module left out")


def test_every_module_of_the_suites_has_claims() -> None:
    """Else a run of all claims would say that it left out a module."""
    modules = [file for suite in SUITES for file in (ROOT / suite).rglob("test_*.py")]
    assert len(modules) > 10
    assert [file for file in modules if "@claim(" not in file.read_text()] == []


PART = SelectionRecord(by=["--only=A,B", "PYTEST_ADDOPTS=-k x"], left_out=["T-DNS-010"], files=[])
SAID = "only a part was tried (--only, PYTEST_ADDOPTS): 1 claim left out"


def test_verdict_on_a_part_keeps_all_else() -> None:
    verdict = verdict_of([record(Link.PODS, "passed")], 1.0)
    assert of_a_part(verdict, None) == verdict
    partial = of_a_part(verdict, PART)
    assert partial.line == f"{verdict.line}; {SAID}"
    assert (partial.holds, partial.exit_code) == (verdict.holds, verdict.exit_code)


def test_gate_says_that_the_result_is_one_on_a_part() -> None:
    run = run_record(None, record(Link.PODS, "passed"), code=0).model_copy(update={"selection": PART})
    assert gate.check(Gate(Rules(), None), run).line.endswith(f"(complete: {SAID})")
