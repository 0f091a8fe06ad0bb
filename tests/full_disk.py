"""A pytest plugin for whole runs whose disk becomes full at a phase (FULL_AT): a limit on the size of files has this effect."""

import os
import resource

import pytest

PHASE = os.environ["FULL_AT"]


def fill(phase: str) -> None:
    """Let every later write to a file fail, if this is the phase."""
    if phase == PHASE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config) -> None:
    fill("collection")
    fill("worker collection" if hasattr(config, "workerinput") else "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    fill("call" if item.name == "test_passes" else "")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_kubechain_run_finished() -> None:
    fill("reports")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # In the controller of xdist or in a run without it.
    fill("" if hasattr(session.config, "workerinput") else "end")
