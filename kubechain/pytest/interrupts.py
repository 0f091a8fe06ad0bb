"""Where a signal may interrupt a run: in the functions of claims and fixtures, and where plugins wait for the cluster."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from kubechain.core.interrupts import INTERRUPTS
from kubechain.pytest.session import asks_for_claims

# The name of the plugin of xdist in the controller.
CONTROLLER = "dsession"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Handle the signals in the controller and in each xdist worker; before the session, pytest would end without a verdict."""
    if asks_for_claims(config):
        INTERRUPTS.arm()
        INTERRUPTS.hold()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let signals interrupt the run from now on: the session has begun."""
    if asks_for_claims(session.config):
        INTERRUPTS.release()


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave out frames without a line, in which a signal may arrive: pytest fails to show them, and exits with code 1."""
    excinfo.traceback = excinfo.traceback.filter(_has_line)


def _has_line(entry: Any) -> bool:
    try:
        return entry.lineno >= 0
    except TypeError:
        return False


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Keep signals while other plugins handle a claim, and in teardowns: what these left half done would end the run otherwise.

    Allure, for example, takes a test out and puts it in again; an interrupted teardown leaves the rest of its fixtures.
    The controller of several processes runs no claim, and may be interrupted while it waits for them.
    """
    if not asks_for_claims(session.config) or session.config.pluginmanager.hasplugin(CONTROLLER):
        return (yield)
    with INTERRUPTS.held():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_fixture_setup")
def keep_around_fixture() -> Generator[None, object, object]:
    """Keep signals while plugins handle a fixture, which a claim or another fixture may request at any time."""
    with INTERRUPTS.held():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True, specname="pytest_fixture_setup")
def interrupt_in_fixture() -> Generator[None, object, object]:
    """Let a signal interrupt the function of a fixture."""
    with INTERRUPTS.interruptible():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let a signal interrupt the function of a claim."""
    with INTERRUPTS.interruptible():
        return (yield)
