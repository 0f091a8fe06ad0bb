"""Whole runs whose disk becomes full."""

import json
import re
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile.cases import full
from tests.test_run import Done, project

pytestmark = pytest.mark.whole_runs

CLAIMS = '''
from kubechain.claims.claim import claim

@claim("T-DEPLOYMENT-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-PODS-010", spec="x")
def test_passes_too():
    """It MUST pass."""
'''
EARLIER = {"run.json": '{"earlier": true}', "summary.md": "earlier", ".published.json": '{"names": ["run.json", "summary.md"]}'}


def full_at(folder: Path, phase: str, *words: str) -> Done:
    """Run claims in a folder with the results of an earlier run; the disk becomes full at a phase."""
    (folder / "out").mkdir()
    for name, text in EARLIER.items():
        (folder / "out" / name).write_text(text)
    environment = {"FULL_AT": phase, "PYTEST_PLUGINS": "tests.full_disk", "PYTHONDONTWRITEBYTECODE": "1", "KUBECHAIN_HTML": "0"}
    return project(folder, words, {**environment, "PYTHONPATH": str(ROOT)}, CLAIMS)


def entries(out: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in out.iterdir() if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(
    ("phase", "words"), [("collection", ()), ("call", ("-n", "2")), full("call", ()), full("collection", ("-n", "2"))]
)
def test_full_disk_ends_a_run_with_a_line_and_a_code_of_its_own(tmp_path: Path, phase: str, words: tuple[str, ...]) -> None:
    done = full_at(tmp_path, phase, *words)
    assert done.code == 14, done.output
    assert "INTERNALERROR" not in done.output
    assert re.search(
        r"^no verdict: the disk of \S+ is full \(File too large\): free space there and run again$", done.output, re.MULTILINE
    )
    assert entries(done.out) == EARLIER
    assert not (done.out / ".runs").exists()


@pytest.mark.parametrize("words", [(), full(("-n", "2"))])
def test_results_that_find_no_space_are_kept_and_those_of_the_run_before_stay(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = full_at(tmp_path, "reports", *words)
    assert done.code == 21, done.output
    assert "chain holds: 2 claims" in done.output
    line = done.output.strip().splitlines()[-1]
    assert re.match(
        r"after the verdict: the results could not be published in \S+: \[Errno 27\] File too large; they are in ", line
    )
    (kept,) = (done.out / "not-published").iterdir()
    assert line.endswith(str(kept))
    assert {"allure-results"} <= {path.name for path in kept.iterdir()}
    assert not {"secrets", "target.json", "kubeconfig", "tmp", "run.json"} & {path.name for path in kept.iterdir()}
    assert entries(done.out) == EARLIER
    assert not (done.out / ".runs").exists()
    again = tmp_path / "again"
    again.mkdir()
    next_run = project(again, words, {"KUBECHAIN_OUT": str(done.out), "KUBECHAIN_HTML": "0"}, CLAIMS)
    assert next_run.code == 0, next_run.output
    assert json.loads((done.out / "run.json").read_text())["holds"]


def test_fixtures_are_torn_down_if_a_file_of_pytest_finds_no_space(tmp_path: Path) -> None:
    done = full_at(tmp_path, "end", "--junitxml=of-pytest.xml")
    assert done.code == 21, done.output
    assert "after the verdict: the end of the last claim failed: [Errno 27] File too large" in done.output
    assert entries(done.out) == EARLIER
