"""--fail-fast: the run ends at its first broken link.

Once a process of the run knows of a broken link, no claim of that link, or of a later one, begins. Claims of earlier links do:
one of these links may be broken, too, because claims do not run in the order of what they wait for. Claims that have begun end
as usual.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Link
from kubechain.claims.verdict import NOT_RUN, first_broken
from kubechain.core.run import FINISHED
from kubechain.pytest.outcomes import NotRun, known_links, recorded
from kubechain.pytest.state import run_state

# File in the folder of a run by which its processes tell each other which links are broken, one a line.
FILE = "fail-fast"


def broken(config: pytest.Config) -> Link | None:
    """Return the first of the broken links at which the run ends, None if none of its processes knows one."""
    lines = _lines(config, FILE)
    return min((link for link in Link if link in lines), key=lambda link: link.order, default=None)


def is_ending(config: pytest.Config) -> bool:
    """Return whether the run ends at a broken link that one of its processes knows."""
    return broken(config) is not None


def _lines(config: pytest.Config, name: str) -> set[str]:
    file = run_state(config).run.folder / name
    return set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set()


def is_left_out(item: pytest.Item, link: Link) -> bool:
    """Whether a test is not begun any more once a link is broken."""
    stated = claim.of(item)
    return stated is None or stated.link.order >= link.order


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Do not begin a claim of the broken link, or of a later one."""
    link = broken(item.config)
    if link is None or not is_left_out(item, link):
        return None
    _end(item, link)
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the link that a claim shows to be broken."""
    report = yield
    state = run_state(item.config)
    record = recorded(report)
    shown = first_broken([record], known_links(state)) if record and state.settings.fail_fast else None
    if shown:
        with (state.run.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(f"{shown.link}\n")
    if link := broken(item.config):
        _end(item, link)
    return report


def _end(item: pytest.Item, link: Link) -> None:
    """End the run with the present claim, if no other is left that may begin.

    pytest then tears down all fixtures, here and in the other processes.
    """
    done = {item.nodeid, *_lines(item.config, FINISHED)}
    if all(is_left_out(each, link) or each.nodeid in done for each in item.session.items):
        item.session.shouldfail = NOT_RUN


def require_running(config: pytest.Config) -> None:
    """Raise NotRun in a claim that waited for others, if the run is ending."""
    if is_ending(config):
        raise NotRun(NOT_RUN)
