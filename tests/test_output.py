"""Whole commands whose output is closed, full, without a reader, or not of UTF-8; and runs whose end fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile.cases import full
from tests.test_run import CLAIMS, CONFTEST
from tests.test_run_command import COMMAND

pytestmark = pytest.mark.whole_runs

PASSES = CLAIMS[: CLAIMS.index('@claim("T-PODS-010"')] + "\n"
# A cluster of the run's own whose deletion fails.
DELETED = """
from kubechain.cluster.kind import Cluster

class Broken(Cluster):
    def __init__(self, folder):
        super().__init__("c", folder, "image", *(folder / name for name in ("kind", "kubectl", "docker")))

    def delete(self):
        raise SetupError("deleting the cluster c failed: took more than 60 s")

def make(run, *_):
    return provision.Provided(Target("c", "", "c", "", "u", True, True, "nginx", "client"), Broken(run.folder))
provision.kind_cluster = make
"""
FULL = """
import errno, shutil
from kubechain.core import publish
def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")
assert publish.publish
publish.publish = full
"""
FAILS = '''
@claim("T-PODS-020", spec="x")
def test_fails():
    """It MUST hold."""
    assert False, "\\u2713 no"
'''


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    for suite in ("chain", "lifecycle", "walkthrough"):
        (folder / "suites" / suite).mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\n')
    (folder / "images").symlink_to(ROOT / "images")
    return folder


def run(
    bundled: Path, redirect: str, *, conftest: str = "", claims: str = "", directly: bool = False, **environment: str
) -> tuple[int, str, Path]:
    """Run the command, or pytest itself, with its output redirected by a shell; return (exit code, output, results)."""
    (bundled / "suites" / "chain" / "test_x.py").write_text(PASSES + claims)
    (bundled / "conftest.py").write_text(CONFTEST + conftest)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    added = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(bundled / "cache"), "KUBECHAIN_HTML": "0"}
    script = f'"$@" {redirect}; echo "code $?" >&2'
    command = ["-c", COMMAND, str(bundled), "run"]
    if directly:
        command = ["-m", "pytest", "-p", "no:cacheprovider", "suites"]
        added |= {"KUBECHAIN_OUT": str(bundled / "reports" / "out"), "KUBECHAIN_CACHE": str(bundled / "cache")}
    words = ["bash", "-o", "pipefail", "-c", script, "sh", sys.executable, *command]
    done = subprocess.run(
        words, cwd=bundled, env={**kept, **added, **environment}, capture_output=True, text=True, check=False, timeout=120
    )
    code = int(done.stderr.rpartition("code ")[2])
    return code, done.stdout + done.stderr, bundled / "reports" / "out"


@pytest.mark.parametrize(
    ("redirect", "claims", "code"),
    [
        (">&- 2>/dev/full", "", 0),
        ("| head -n 1", FAILS, 1),
        full(">&-", "", 0),
        full(">/dev/full", "", 0),
        full("| head -n 1", "", 0),
    ],
)
def test_exit_code_is_that_of_the_verdict_whatever_becomes_of_the_output(
    bundled: Path, redirect: str, claims: str, code: int
) -> None:
    ended, output, out = run(bundled, redirect, claims=claims)
    assert ended == code, output
    assert "Traceback" not in output
    assert (out / "run.json").exists()


@pytest.mark.parametrize("redirect", [">/dev/full", full(">&- 2>/dev/full"), full("| head -n 1")])
def test_pytest_itself_survives_what_becomes_of_its_output(bundled: Path, redirect: str) -> None:
    ended, output, out = run(bundled, redirect, claims=FAILS, directly=True)
    assert ended == 1, output
    assert "Traceback" not in output
    assert json.loads((out / "run.json").read_text())["exitCode"] == 1


@pytest.mark.parametrize("directly", [False, full(True)])  # noqa: FBT003  # a parameter of pytest
def test_locale_that_is_not_utf8_changes_no_result(bundled: Path, directly: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "", "KUBECHAIN_HTML": "1"}
    ended, output, out = run(bundled, "", claims=FAILS, directly=directly, **locale)
    assert ended == 1, output
    # At the beginning of a line: the verdict of the end, and not the one that was said before it.
    assert any(line.startswith("chain broken at PODS: \\u2713 no") for line in output.splitlines()), output
    assert "Traceback" not in output
    (failed,) = [claim for claim in json.loads((out / "run.json").read_text())["claims"] if claim["outcome"] == "failed"]
    assert failed["message"].startswith("\u2713 no")


@pytest.mark.parametrize("claims", ["", full(FAILS)])
def test_failed_deletion_of_the_cluster_follows_the_verdict(bundled: Path, claims: str) -> None:
    ended, output, out = run(bundled, "", conftest=DELETED, claims=claims)
    assert ended == (1 if claims else 21), output
    verdict, trouble = output.partition("after the verdict: ")[::2]
    assert ("chain broken at PODS" if claims else "chain holds: 1 claim") in verdict
    assert trouble.startswith("deleting the cluster c failed: took more than 60 s; the next run there or `kubechain clean`")
    assert (out / "run.json").exists()


def test_results_that_cannot_be_published_follow_the_verdict(bundled: Path) -> None:
    ended, output, _ = run(bundled, "", conftest=FULL)
    assert ended == 21, output
    assert "chain holds: 1 claim" in output
    assert "No space left on device" in output.partition("after the verdict: ")[2]
