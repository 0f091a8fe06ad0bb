"""Whole runs in which a signal arrives while something waits, or while something is handled that must not be lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests.hostile.cases import full
from tests.test_run import Done, project

pytestmark = pytest.mark.whole_runs
HANG_SECONDS = 20
# In conftest.py: a wait that a signal begins, and a file that shows that the signal did not end it.
HANG = f"""
import signal
import threading
import time
from types import SimpleNamespace
from kubechain.core.interrupts import INTERRUPTS

def send(process=None):
    os.kill(process or os.getpid(), signal.SIGTERM)

def hang(*_, **__):
    send()
    threading.Event().wait({HANG_SECONDS})
    Path("went-on").touch()

class Finalized:
    def __del__(self):
        send()
"""
CLAIMS = '''
import os
import pytest
from conftest import Finalized, hang
from kubechain.claims.claim import claim
from kubechain.claims.requirements import EXEC

@pytest.fixture
def thing(ARGUMENTS):
    FIXTURE
    return 1

@claim("T-IMAGE-010", spec="x", requires=REQUIRED)
def test_a(thing):
    """It MUST hold."""
    CLAIM

@claim("T-IMAGE-020", spec="x")
def test_b():
    """It MUST hold, too."""
    open("went-on", "w").close()
'''
NEXT_CHAIN = """
from kubechain.pytest.state import run_state

def pytest_collection_finish(session):
    run_state(session.config).factory = SimpleNamespace(prepare=hang)
"""
PREMISES = """
from kubechain.pytest import gating

gating._on_a_chain = gating.chain_of = lambda item: SimpleNamespace(opens=False)
gating.require_premises = hang
plugin.Gatekeeper.require_untried = lambda *_: None
"""
PARTS = {"FIXTURE": "pass", "CLAIM": "pass", "REQUIRED": "[]", "ARGUMENTS": ""}
# Where a run waits -> what makes it wait there: in conftest.py, in a fixture or in a claim.
WAITS: dict[str, tuple[str, dict[str, str]]] = {
    "a cluster": ("provision.attach = provision.kind_cluster = hang", {}),
    "a fixture": ("", {"FIXTURE": "hang()"}),
    "a claim": ("", {"CLAIM": "hang()"}),
    "rights": ("from kubechain.pytest import rights\nrights.refused = hang", {"REQUIRED": "[EXEC]"}),
    "the chain of a later claim": (NEXT_CHAIN, {}),
    "premises": (PREMISES, {}),
}


def run(folder: Path, more: str, *words: str, **parts: str) -> Done:
    """Run the two claims, of which the first has these parts."""
    claims = CLAIMS
    for part, usual in PARTS.items():
        claims = claims.replace(part, parts.get(part, usual))
    return project(folder, words, {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}, claims, HANG + more)


@pytest.mark.parametrize("words", [(), full(("-n", "1"))])
@pytest.mark.parametrize("place", WAITS)
def test_signal_ends_a_run_that_waits(tmp_path: Path, place: str, words: tuple[str, ...]) -> None:
    more, parts = WAITS[place]
    done = run(tmp_path, more, *words, **parts)
    assert not (tmp_path / "went-on").exists(), done.output
    assert done.code == ExitCode.INTERRUPTED, done.output
    assert "no verdict: interrupted after 0 of " in done.output
    assert "INTERNALERROR" not in done.output


SKIPS = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.name == "test_b":
        Path("went-on").touch()
    send()
    pytest.skip("not here")
"""


@pytest.mark.parametrize("words", [(), full(("-n", "1"))])
@pytest.mark.parametrize(("more", "claim"), [(SKIPS, "pass"), ("", "Finalized()")])
def test_no_claim_begins_after_a_signal_that_interrupted_nothing(
    tmp_path: Path, more: str, claim: str, words: tuple[str, ...]
) -> None:
    done = run(tmp_path, more, *words, CLAIM=claim)
    assert not (tmp_path / "went-on").exists(), done.output
    assert done.code == ExitCode.INTERRUPTED, done.output
    assert "no verdict: interrupted after 1 of 2 claims" in done.output


COLLECTS = """
def pytest_itemcollected(item):
    if item.name == "test_b":
        send()
"""


def test_signal_during_the_collection_leaves_no_list_of_claims(tmp_path: Path) -> None:
    done = run(tmp_path, COLLECTS)
    assert "no verdict: interrupted after 0 of 0 claims" in done.output
    assert done.code == ExitCode.INTERRUPTED, done.output
    found = json.loads((done.out / "not-begun" / "run.json").read_text())
    assert found["claims"] == []


SAMPLES = """
from kubechain.pytest import upgrade

upgrade.WitnessCare = lambda *_: SimpleNamespace(tend=lambda: None)

def sample(state, after=lambda: None):
    began = time.monotonic()
    threading.Timer(1, send).start()
    waiter = SimpleNamespace(clock=None, pause=threading.Event().wait)
    before = SimpleNamespace(witnesses=SimpleNamespace(waiter=waiter))
    upgrade._sample(state, before, None, "sampling", lambda: time.monotonic() > began + SECONDS)
    if time.monotonic() > began + SECONDS:
        Path("went-on").touch()
    after()
""".replace("SECONDS", str(HANG_SECONDS))


@pytest.mark.parametrize("second", [False, True])
def test_first_signal_ends_the_sampling_of_a_change_and_the_second_the_run(tmp_path: Path, *, second: bool) -> None:
    fixture = "import conftest; from kubechain.pytest.state import run_state; conftest.sample(run_state(request.config)"
    done = run(tmp_path, SAMPLES, FIXTURE=f"{fixture}, {'hang' if second else 'int'})", ARGUMENTS="request")
    verdict = "no verdict: interrupted after 0 of 2 claims" if second else "chain holds: 2 claims"
    assert verdict in done.output
    assert done.code == (ExitCode.INTERRUPTED if second else ExitCode.HOLDS)
    # The second claim makes the file.
    assert (tmp_path / "went-on").exists() is not second


# In the controller, or in the process that runs the claims; when its worker ends, or before.
HANDLED = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    if report.when == "call" and ("PYTEST_XDIST_WORKER" in os.environ) == THERE:
        send()
"""
ENDING = """
def pytest_kubechain_claim_finished():
    if "PYTEST_XDIST_WORKER" in os.environ:
        send(os.getppid())
        threading.Event().wait(1)
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (HANDLED.replace("THERE", "False"), ("-n", "1")),
        (ENDING, ("-n", "1")),
        full(HANDLED.replace("THERE", "False"), ()),
        full(HANDLED.replace("THERE", "True"), ("-n", "1")),
    ],
)
def test_claim_that_failed_counts_after_a_signal(tmp_path: Path, more: str, words: tuple[str, ...]) -> None:
    done = run(tmp_path, more, *words, CLAIM="assert False, 'no image'")
    assert "chain broken at IMAGE: no image" in done.output
    assert done.code == ExitCode.CHAIN_BROKEN, done.output
    assert done.outcomes["T-IMAGE-010"] == "failed"
    assert "INTERNALERROR" not in done.output


def test_interrupt_of_a_text_that_is_executed_leaves_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("exec('raise KeyboardInterrupt')\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    argv = [sys.executable, "-m", "kubechain", "list"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (ExitCode.INTERRUPTED, "kubechain: interrupted\n")
