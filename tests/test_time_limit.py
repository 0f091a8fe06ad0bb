"""A claim that hangs, in spite of all deadlines, is inconclusive after a while, and the run goes on."""

from pathlib import Path

import pytest

from kubechain.core.errors import ExitCode
from tests.hostile.cases import full
from tests.test_run import project

pytestmark = pytest.mark.whole_runs
CLAIMS = '''
import socket
import pytest
from kubechain.claims.claim import claim
from kubechain.conditions import timeouts

timeouts.CLAIM = timeouts.Timeout(1, "a test")

@pytest.fixture
def hanging():
    ours, _theirs = socket.socketpair()
    ours.recv(1)

@claim("T-DEPLOYMENT-010", spec="x")
def test_hangs():
    """It MUST end."""
    ours, _theirs = socket.socketpair()
    ours.recv(1)

@claim("T-PODS-010", spec="x")
def test_fixture_hangs(hanging):
    """It MUST begin."""

@claim("T-DNS-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-DNS-020", spec="x")
@pytest.mark.timeout(2.5)
def test_has_a_limit_of_its_own():
    """It MUST have its own time."""
    ours, _theirs = socket.socketpair()
    ours.settimeout(1.5)
    with pytest.raises(TimeoutError):
        ours.recv(1)
'''


@pytest.mark.parametrize("words", [full(()), ("-n", "1")], ids=["alone", "worker"])
def test_claim_that_hangs_is_inconclusive_and_the_run_goes_on(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = project(tmp_path, words, {}, CLAIMS)
    assert done.outcomes == {
        "T-DEPLOYMENT-010": "inconclusive",
        "T-PODS-010": "inconclusive",
        "T-DNS-010": "passed",
        "T-DNS-020": "passed",
    }
    assert done.code == ExitCode.HARNESS
    assert "Timeout (>1.0s)" in done.run["claims"][0]["message"]


def test_option_of_pytest_has_priority(tmp_path: Path) -> None:
    claims = CLAIMS.replace("Timeout(1,", "Timeout(60,")
    assert project(tmp_path, ("--timeout=1",), {}, claims).outcomes["T-DEPLOYMENT-010"] == "inconclusive"
