"""The plugin in another repository: its own claims, and its tests that are none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile.cases import full

pytestmark = pytest.mark.whole_runs

CLAIM = '''
from kubechain.testing import claim

@claim("SHOP-PODS-010", spec="concepts/")
def test_shop(clock):
    """The shop MUST run."""
'''
PLAIN = """
import fixtures

def test_plain():
    assert fixtures.MINE

def test_other():
    pass
"""
KUBECONFIG = {"contexts": [{"name": "other", "context": {"cluster": "c", "user": "u"}}]}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin in a repository that has a package `fixtures` of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    told = {"PYTHONPATH": f"{folder}:{ROOT}", "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    words = [sys.executable, "-m", "pytest", "-p", "kubechain.pytest.plugin", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(words, cwd=folder, env={**kept, **told}, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a claim, plain tests, and a package of a name that kubechain uses too."""
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "test_claim.py").write_text(CLAIM)
    (tmp_path / "test_plain.py").write_text(PLAIN)
    (tmp_path / "kubeconfig").write_text(json.dumps(KUBECONFIG))
    return tmp_path


@pytest.mark.parametrize("processes", ["0", full("2")])
def test_tests_that_are_no_claims_run_as_without_the_plugin(repository: Path, processes: str) -> None:
    done = run(repository, "-n", processes, "test_plain.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "chain holds" not in done.stdout
    assert not (repository / "reports").exists()
    assert not (repository / "cache").exists()


@pytest.mark.parametrize(("processes", "code"), [("0", 4), full("1", 1)])
def test_claims_without_a_cluster_are_an_error(repository: Path, processes: str, code: int) -> None:
    done = run(repository, "-n", processes, "test_claim.py")
    assert done.returncode == code, done.stdout + done.stderr
    assert "claims need a cluster: name it with --kube-context NAME" in done.stdout + done.stderr
    assert not (repository / "reports").exists()


THIRD = """
def pytest_kubechain_run_finished(run):
    (run.folder / "third.txt").write_text(run.verdict.line)
"""


def test_context_that_does_not_exist_is_named_also_by_the_report_of_another_plugin(repository: Path) -> None:
    (repository / "conftest.py").write_text(THIRD)
    done = run(repository, "--kube-context", "prod", "--kubeconfig", "kubeconfig", "test_claim.py")
    assert done.returncode in (4, 16), done.stdout + done.stderr
    assert "no verdict:" in done.stdout
    assert "prod: not in" in done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert not (repository / "reports" / "out" / "run.json").exists()
    assert (repository / "reports" / "out" / "not-begun" / "third.txt").read_text().startswith("no verdict:")
