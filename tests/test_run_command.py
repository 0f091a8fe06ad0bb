"""Whole runs of `kubechain run` from an empty folder, on claims that need no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile.cases import full
from tests.test_run import CONFTEST

pytestmark = pytest.mark.whole_runs

# Starts the command with another folder in the place of the project's own suites.
COMMAND = """
import sys
from pathlib import Path
from kubechain.core import bundle
bundle.ROOT = Path(sys.argv.pop(1))
from kubechain.cli import main
main()
"""
CLAIMS = '''
import os
from pathlib import Path
from kubechain.claims.claim import claim
from kubechain.core.settings import load

@claim("T-DEPLOYMENT-010", spec="x")
def test_settings(request):
    """It MUST read the settings of the command line, in every process."""
    settings = load()
    assert (settings.level, settings.patience) == ("full", 2.5)
    assert request.config.option.cluster_name == "a-b"
    assert "PYTEST_XDIST_WORKER" in os.environ or request.config.option.numprocesses is None

@claim("T-PODS-010", spec="x")
def test_other():
    """It MUST NOT be chosen."""
    assert False
'''


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """A folder with suites of its own; what it holds else is the project's."""
    folder = tmp_path / "bundle"
    for suite in ("chain", "lifecycle", "walkthrough"):
        (folder / "suites" / suite).mkdir(parents=True)
    (folder / "suites" / "chain" / "test_x.py").write_text(CLAIMS)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\nfilterwarnings = ["error"]\n'
    )
    (folder / "images").symlink_to(ROOT / "images")
    return folder


def command(bundled: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty folder, without git and make."""
    empty = bundled.with_name("empty")
    empty.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    folders = {"PYTHONPATH": str(ROOT), "PATH": "/nowhere", "XDG_CACHE_HOME": str(bundled.with_name("cache"))}
    told = {**kept, **folders, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    argv = [sys.executable, "-c", COMMAND, str(bundled), *words]
    return subprocess.run(argv, cwd=empty, env=told, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("workers", [(), full(("-n", "2"))])
def test_run_needs_nothing_of_the_folder_and_leaves_only_results(bundled: Path, workers: tuple[str, ...]) -> None:
    before, temporary = sorted(bundled.rglob("*")), bundled.with_name("temporary")
    temporary.mkdir()
    words = ("run", *workers, "--level", "full", "--patience", "2.5", "--cluster", "a-b", "-k", "settings or nothing")
    done = command(bundled, *words, KUBECHAIN_LEVEL="quick", TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("chain holds: 1 claim")
    assert sorted(bundled.rglob("*")) == before
    assert list(temporary.iterdir()) == []
    empty = bundled.with_name("empty")
    assert [path.name for path in empty.iterdir()] == ["reports"]
    run = json.loads((empty / "reports" / "out" / "run.json").read_text())
    assert [claim["nodeid"] for claim in run["claims"]] == ["suites/chain/test_x.py::test_settings"]


@pytest.mark.parametrize(
    ("words", "environment", "code", "line"),
    [
        (("-k", "other"), {}, 1, "chain broken at PODS"),
        (("--only", "T-NONE-010"), {}, 4, "--only: no such claim: T-NONE-010"),
        full(("--only", "T-NONE-010", "-n", "2"), {}, 4, "--only: no such claim: T-NONE-010"),
        # The cluster would not come up: it is not asked for.
        (("--only", "T-NONE-010"), {"TROUBLE": "1"}, 4, "--only: no such claim: T-NONE-010"),
        full(("-k", "a b"), {"TROUBLE": "1"}, 4, "Wrong expression passed to '-k': a b"),
        full(("-k", "a b", "-n", "2"), {"TROUBLE": "1"}, 4, "Wrong expression passed to '-k': a b"),
        full(("-k", "nothing"), {}, 5, "no verdict: no claim was run"),
        full((), {"TROUBLE": "1"}, 16, "no verdict: KUBECONFIG=x: not a kubeconfig"),
    ],
)
def test_exit_code_of_a_run_reaches_the_caller(
    bundled: Path, words: tuple[str, ...], environment: dict[str, str], code: int, line: str
) -> None:
    done = command(bundled, "run", *words, **environment)
    assert (done.returncode, line in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
