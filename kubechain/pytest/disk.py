"""A disk that becomes full during a run ends it with a line and an exit code of its own; pytest would say INTERNALERROR.

Any plugin may write files in any hook: the results of Allure, evidence, the files of the run.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.files import full_disk
from kubechain.pytest.session import asks_for_claims, end
from kubechain.pytest.state import run_state, worker_input

OUTPUT = "fullDisk"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """End the run if the disk is full when the claims are collected, or when their cluster is provided."""
    return (yield from _guarded(session))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """End the run if the disk is full when the controller provides the cluster for its workers, or handles their reports."""
    return (yield from _guarded(session))


def _guarded(session: pytest.Session) -> Generator[None, object, object]:
    try:
        return (yield)
    except Exception as error:  # a warning of pluggy about it may have taken its place
        trouble = _trouble(session.config, error)
        if trouble is None:
            raise
        # xdist hands this on from a worker to the controller; without it, a worker that has ended counts as lost.
        session.shouldstop = str(trouble)
        end(session.config, trouble)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the run after a claim whose results cannot be written."""
    try:
        return (yield)
    except Exception as error:  # a warning of pluggy about it may have taken its place
        trouble = _trouble(item.config, error)
        if trouble is None:
            raise
        run_state(item.config).trouble = trouble
        item.session.shouldstop = str(trouble)
        return True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the controller: make the full disk of a worker the trouble of the run."""
    message = getattr(node, "workeroutput", {}).get(OUTPUT)
    if message:
        run_state(node.config).trouble = HarnessError(message, ExitCode.DISK)


def _trouble(config: pytest.Config, error: Exception) -> HarnessError | None:
    """Return the trouble if the run asks for claims and the disk is full; in a worker, hand it on to the controller."""
    trouble = full_disk(error, run_state(config).settings.out) if asks_for_claims(config) else None
    if trouble and worker_input(config) is not None:
        vars(config)["workeroutput"][OUTPUT] = str(trouble)
    return trouble
