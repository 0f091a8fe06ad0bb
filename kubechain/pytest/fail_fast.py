"""--fail-fast: no claim begins once a process of the run knows of a broken link; claims that have begun end as usual."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from kubechain.claims.verdict import NOT_RUN, first_broken
from kubechain.pytest.outcomes import NotRun, recorded
from kubechain.pytest.state import run_state

# File in the folder of a run by which its processes tell each other that a link is broken.
FILE = "fail-fast"


def is_ending(config: pytest.Config) -> bool:
    """Return whether the run ends at a broken link that one of its processes knows."""
    return (run_state(config).run.folder / FILE).exists()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Do not begin a claim that xdist has already handed out to this process."""
    if not is_ending(item.config):
        return None
    item.session.shouldfail = NOT_RUN
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """End the run if a claim shows that a link is broken.

    pytest then tears down all fixtures with the present claim, here and in the other processes.
    """
    report = yield
    state = run_state(item.config)
    record = recorded(report)
    if record and state.settings.fail_fast and first_broken([record]):
        (state.run.folder / FILE).touch()
    if is_ending(item.config):
        item.session.shouldfail = NOT_RUN
    return report


def require_running(config: pytest.Config) -> None:
    """Raise NotRun in a claim that waited for others, if the run is ending."""
    if is_ending(config):
        raise NotRun(NOT_RUN)
