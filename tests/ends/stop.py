"""A pytest plugin that stops a run at one phase, says so in a file, and waits there for a signal.

The environment says where: ENDS_PHASE names the phase, ENDS_FOLDER is the folder for the files `reached-PID`. A phase in which
the run handles no signal goes on once the folder has the file `go`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from kubechain.pytest.state import RUN
from tests.ends.phases import PHASES

LONGEST = 60.0
STEP = 0.05
PHASE = PHASES[os.environ["ENDS_PHASE"]]
FOLDER = Path(os.environ["ENDS_FOLDER"])
STOPPED = threading.Event()


def stop(config: pytest.Config | None) -> None:
    """Say that this process has reached the phase, and wait; only once in each process."""
    if STOPPED.is_set():
        return
    STOPPED.set()
    run = config.stash.get(RUN, None) if config else None
    content = {"pid": os.getpid(), "run": run.run.id if run else ""}
    half = FOLDER / f".half-{os.getpid()}"
    half.write_text(json.dumps(content))
    half.rename(FOLDER / f"reached-{os.getpid()}")
    # Short waits: a signal interrupts them, wherever it is handled.
    for _ in range(int(LONGEST / STEP)):
        if (FOLDER / "go").exists():
            return
        threading.Event().wait(STEP)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Stop before the session begins, or wrap the function of the phase."""
    if PHASE.hook == "configure":
        stop(config)
    if PHASE.function:
        owner, name = PHASE.owner()
        setattr(owner, name, _stopping(config, getattr(owner, name)))


def _stopping(config: pytest.Config, function: Callable[..., Any]) -> Callable[..., Any]:
    def stopping(*arguments: Any, **named: Any) -> Any:
        stop(config)
        return function(*arguments, **named)

    return stopping


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Stop during the collection."""
    if PHASE.hook == "collection":
        stop(config)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """Stop when a fixture is made."""
    value = yield
    if PHASE.fixture == fixturedef.argname:
        stop(request.config)
    return value


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Stop at the body of the first claim."""
    if PHASE.hook == "call":
        stop(item.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop during the teardown of the first claim."""
    if PHASE.hook == "teardown":
        stop(item.config)


@pytest.hookimpl(optionalhook=True)
def pytest_kubechain_run_finished() -> None:
    """Stop while the reports are written."""
    if PHASE.hook == "report":
        stop(None)
