"""The pytest plugin that shares claims out among processes, and keeps those apart that take nodes away from others.

With xdist, one process runs all claims that look at one story; those that disturb nodes run last, when all else is done.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from kubechain.claims import claim
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, expect
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest.session import RUN_KEY, worker_input

DISTURBING, FILLING = "disruptive", "room"
CALM_KEY, ALL_KEY = pytest.StashKey[int](), pytest.StashKey[int]()
FINISHED, TOLD = "finished", "stories.json"
# The fixtures that tell a story which several claims look at; it has the name of its fixture.
STORIES = ("exclusive", "failing_pods", "rolled_chain", "without_deployment_chain", "without_service_chain")


def needs(item: pytest.Item, need: str) -> bool:
    """Whether a claim has that need."""
    found = claim.of(item)
    return bool(found and need in found.needs)


def disturbs(item: pytest.Item) -> bool:
    """Whether a claim takes nodes away from other claims."""
    return needs(item, DISTURBING)


def fills(item: pytest.Item) -> bool:
    """Whether a claim fills the nodes with Pods."""
    return needs(item, FILLING)


def stories(items: Iterable[pytest.Item]) -> dict[str, str]:
    """Return nodeid -> story of the claims that look at one."""
    told = ((item.nodeid, [name for name in STORIES if name in getattr(item, "fixturenames", ())]) for item in items)
    return {nodeid: "-".join(names) for nodeid, names in told if names}


class ScenarioScheduling(LoadScopeScheduling):
    """Hands claims out one by one, in their order, and those that look at one story together.

    Not by xdist's own groups: they are told by the ids of the tests, which pytest 9.2 no longer lets xdist change.
    """

    @cached_property
    def _stories(self) -> dict[str, str]:
        return json.loads((self.config.stash[RUN_KEY].folder / TOLD).read_text())

    def _split_scope(self, nodeid: str) -> str:
        return self._stories.get(nodeid, nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a process out; return the claim that it died of, which xdist would try again and again, None if it was done."""
        units = self.assigned_work.pop(node)
        left = [(scope, nodeid) for scope, unit in units.items() for nodeid, done in unit.items() if not done]
        if not left:
            return None
        (scope, fatal), *others = left
        units[scope][fatal] = True
        self.workqueue.update({scope: units[scope] for scope, _ in others})
        for other in self.nodes:
            self._reschedule(other)
        return fatal

    def _reschedule(self, node: WorkerController) -> None:
        """Hand out more until a process has the next claim too, or knows that there is none: before, it does not begin one.

        No more than that: what a process has, no other can take when it is idle.
        """
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ScenarioScheduling:
    """With xdist: share the claims out by story."""
    config.option.loadscopereorder = False
    return ScenarioScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put node-disturbing claims behind all others, and what fills the nodes last of all.

    xdist hands claims out in this order, so that no claim waits for one that its own process has yet to run.
    """
    items.sort(key=lambda item: (fills(item), disturbs(item)))
    config.stash[CALM_KEY] = sum(not disturbs(item) and not fills(item) for item in items)
    config.stash[ALL_KEY] = sum(not fills(item) for item in items)
    if worker_input(config) is not None:
        (config.stash[RUN_KEY].folder / TOLD).write_text(json.dumps(stories(items)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note that a claim, of whichever process, has finished."""
    done = yield
    folder = item.config.stash[RUN_KEY].folder
    if folder.exists():
        with (folder / FINISHED).open("a") as file:
            file.write(f"{item.nodeid}\n")
    return done


@pytest.fixture(scope="session")
def exclusive(request: pytest.FixtureRequest) -> None:
    """No other claim of the run is under way in any process, but those that disturb nodes.

    Raises:
        HarnessError: one never finished, because its process died.

    """
    wait_for(request.config, request.config.stash[CALM_KEY])


@pytest.fixture
def last(request: pytest.FixtureRequest) -> None:
    """Every other claim of the run has finished, in all processes; HarnessError as for `quiet`."""
    wait_for(request.config, request.config.stash[ALL_KEY])


def wait_for(config: pytest.Config, others: int) -> None:
    """Wait until as many claims of the run have finished; HarnessError if they do not."""
    file = config.stash[RUN_KEY].folder / FINISHED
    source = Polled("other claims", lambda: finished(file), RealClock())
    all_done = Condition[int]("all other claims finished", lambda count: expect(count >= others, f"{count} of {others}"))
    try:
        Waiter(RealClock()).eventually(source, all_done, within=timeouts.OTHERS)
    except Unmet as unmet:
        raise HarnessError(f"other claims did not finish: {unmet}") from unmet


def finished(file: Path) -> int:
    """Return the number of claims that have finished."""
    return len(set(file.read_text().splitlines())) if file.exists() else 0
