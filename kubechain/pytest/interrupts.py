"""Where a signal may interrupt a run: nowhere before the session has begun, and not within a teardown."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from kubechain.core.interrupts import INTERRUPTS
from kubechain.pytest.session import asks_for_claims


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
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Finish a teardown that has begun: an interrupted teardown would leave the rest of its fixtures as they are."""
    INTERRUPTS.hold()
    try:
        return (yield)
    finally:
        INTERRUPTS.release()
