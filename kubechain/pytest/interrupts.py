"""Where a signal may interrupt a run: in the functions of claims and fixtures, and where plugins wait for the cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator
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


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the plugin around all that other plugins have registered by now."""
    if asks_for_claims(session.config):
        session.config.pluginmanager.register(Around())


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


class Around:
    """A plugin whose hooks are called around those of other plugins, which it protects."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Keep signals while other plugins handle a claim or a report, and in teardowns: what is half done ends a run badly.

        Allure, for example, takes a test out and puts it in again; an interrupted teardown leaves the rest of its fixtures.
        A signal between the last claim and the end of the session changes nothing any more.
        """
        controller: Any = session.config.pluginmanager.getplugin("dsession")
        if controller:
            # Where it waits for the reports of its workers.
            controller.queue.get = _interruptible(controller.queue.get)
        INTERRUPTS.hold()
        try:
            return (yield)
        finally:
            INTERRUPTS.release()
            INTERRUPTS.hold()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Begin no claim after a signal: claims that are skipped or blocked have no function that it could interrupt."""
        INTERRUPTS.require_none()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Keep signals while plugins handle a fixture, which a claim or another fixture may request at any time."""
        with INTERRUPTS.held():
            return (yield)


def _interruptible(function: Callable[..., object]) -> Callable[..., object]:
    def wait(*arguments: object, **named: object) -> object:
        with INTERRUPTS.interruptible():
            return function(*arguments, **named)

    return wait


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Let a signal interrupt the function of a fixture."""
    with INTERRUPTS.interruptible():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let a signal interrupt the function of a claim."""
    with INTERRUPTS.interruptible():
        return (yield)
