"""The options of the project's own tests, and their clock between attempts of the API client."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from hypothesis import settings

from kubechain.core import known_secrets
from kubechain.kube import creation
from kubechain.observe.history import History
from tests.fakes import FakeClock

HOSTILE = "hostile"
WHOLE_RUNS = "whole_runs"
NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl on this machine")
# Examples of each property in the short form and in the full form of the tests.
settings.register_profile("short", max_examples=50, deadline=None)
settings.register_profile("full", max_examples=2000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hostile", action="store_true", help="also run the full form of the tests on misbehaving clusters")
    parser.addoption("--hostile-seconds", type=float, default=0.0, help="draw sequences of misbehaviours for so long")


# Most of the time of a process that a test starts are its imports: byte code is kept, whatever the environment says.
NO_BYTE_CODE = "PYTHONDONTWRITEBYTECODE"
# Of the CI system that runs these tests: a run that a test starts must write nothing there.
CI_VARIABLES = ("ARTIFACTS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")


def pytest_configure(config: pytest.Config) -> None:
    for name in (*CI_VARIABLES, NO_BYTE_CODE):
        os.environ.pop(name, None)
    sys.dont_write_bytecode = False
    settings.load_profile("full" if config.getoption("--hostile") else "short")
    config.addinivalue_line("markers", f"{HOSTILE}: a test of the full form, which takes minutes; see docs/HOSTILE.md")
    config.addinivalue_line("markers", f"{WHOLE_RUNS}: tests that run the whole command, or real samplers, for seconds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the full form unless it is asked for. Whole runs begin first: no process waits for another in the end."""
    if not config.getoption("--hostile"):
        left_out = [item for item in items if item.get_closest_marker(HOSTILE)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker(WHOLE_RUNS) is None)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no secret at the beginning of a test, and forget those of the test: what is hidden depends on no other test."""
    monkeypatch.setattr(known_secrets, "_values", set[str]())
    monkeypatch.setattr(known_secrets, "_forms", ())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts of the API client, in seconds: they pass on its clock, and nobody waits for them."""
    passed: list[float] = []
    monkeypatch.setattr(creation, "now", lambda: sum(passed))
    monkeypatch.setattr(creation, "pause", passed.append)
    return passed


@pytest.fixture
def fake() -> FakeClock:
    """A clock that a test moves."""
    return FakeClock()


@pytest.fixture
def history(fake: FakeClock) -> History:
    """The history of a namespace, by the clock that a test moves."""
    return History("ns", fake)
