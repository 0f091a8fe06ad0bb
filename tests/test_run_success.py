"""Runs whose claims have all passed, and which are no success all the same."""

from pathlib import Path

import pytest

from tests.test_run import project

pytestmark = pytest.mark.whole_runs
PASSES = '''
from kubechain.claims.claim import claim

@claim("T-DEPLOYMENT-010", spec="x")
def test_passes():
    """It MUST pass."""
'''
# A plugin that fails once the last claim has passed.
FAILS = """
def pytest_runtest_logfinish(nodeid):
    raise RuntimeError("of another plugin")
"""


def test_failed_test_that_is_no_claim_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test_plain.py").write_text("def test_plain():\n    assert 1 == 2\n")
    done = project(tmp_path, ("other",), {"KUBECHAIN_HTML": "0"}, PASSES)
    assert (done.code, done.run["holds"], done.outcomes) == (1, True, {"T-DEPLOYMENT-010": "passed"}), done.output
    assert done.output.splitlines()[-1] == "besides the claims, 1 test failed: other/test_plain.py::test_plain"


def test_run_in_which_pytest_itself_failed_is_no_success(tmp_path: Path) -> None:
    done = project(tmp_path, (), {"KUBECHAIN_HTML": "0"}, PASSES, FAILS)
    assert (done.code, done.run["holds"], done.outcomes) == (3, False, {"T-DEPLOYMENT-010": "passed"}), done.output
    assert done.output.splitlines()[-1] == "no verdict: pytest ended with an internal error, so that not everything was judged"
