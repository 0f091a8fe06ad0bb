"""How claims are shared out among processes, and how those are kept apart that take Nodes away from others.

With xdist, one process runs all claims that look at one scenario; those that disturb Nodes run last, when all else is done.
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
from kubechain.claims.requirements import DISRUPTION, ROOM, Requirement
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, expect
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest.scenario import SCENARIOS
from kubechain.pytest.session import asks_for_claims, is_of_a_run
from kubechain.pytest.state import run_state, worker_input

FINISHED, GROUPS = "finished", "scenarios.json"
EXCLUSIVE = "exclusive"


def requires(item: pytest.Item, requirement: Requirement) -> bool:
    """Whether a test is a claim with that requirement."""
    found = claim.of(item)
    return bool(found and requirement in found.requirements)


def groups(items: Iterable[pytest.Item]) -> dict[str, str]:
    """Return nodeid -> the group of claims that one process runs: those that look at the same scenarios, or disturb Nodes."""
    used = {item.nodeid: sorted(SCENARIOS.intersection(getattr(item, "fixturenames", ()))) for item in items}
    return {nodeid: EXCLUSIVE if EXCLUSIVE in names else "-".join(names) for nodeid, names in used.items() if names}


class ScenarioScheduling(LoadScopeScheduling):
    """Hands claims out one by one, in their order, and those that look at one scenario together.

    Not by xdist's own groups: they are told by the ids of the tests, which pytest 9.2 no longer lets xdist change.
    """

    @cached_property
    def _groups(self) -> dict[str, str]:
        return json.loads((run_state(self.config).run.folder / GROUPS).read_text())

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

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
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ScenarioScheduling | None:
    """With xdist: share claims out by scenario; tests that are none are xdist's own business."""
    if not asks_for_claims(config):
        return None
    config.option.loadscopereorder = False
    return ScenarioScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put claims that disturb Nodes behind all others, and those that fill the Nodes last of all.

    xdist hands claims out in this order, so that no claim waits for one that its own process has yet to run.
    """
    if not asks_for_claims(config) or not any(map(is_of_a_run, items)):
        return
    items.sort(key=lambda item: (requires(item, ROOM), requires(item, DISRUPTION)))
    state = run_state(config)
    state.schedule.before_exclusive = sum(not requires(item, DISRUPTION) and not requires(item, ROOM) for item in items)
    state.schedule.before_alone = sum(not requires(item, ROOM) for item in items)
    if worker_input(config) is not None:
        state.run.folder.mkdir(parents=True, exist_ok=True)
        (state.run.folder / GROUPS).write_text(json.dumps(groups(items)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note that a claim, of whichever process, has finished."""
    done = yield
    folder = run_state(item.config).run.folder
    if folder.exists():
        with (folder / FINISHED).open("a") as file:
            file.write(f"{item.nodeid}\n")
    return done


def wait_for_others(config: pytest.Config, count: int) -> None:
    """Wait until that many claims of the run have finished, in all processes.

    Raises:
        HarnessError: one never finished, because its process died.

    """
    file = run_state(config).run.folder / FINISHED
    source = Polled("other claims", lambda: finished(file), RealClock())
    all_done = Condition[int]("all other claims finished", lambda done: expect(done >= count, f"{done} of {count}"))
    try:
        Waiter(RealClock()).eventually(source, all_done, within=timeouts.OTHERS)
    except Unmet as unmet:
        raise HarnessError(f"other claims did not finish: {unmet}") from unmet


def finished(file: Path) -> int:
    """Return the number of claims that have finished."""
    return len(set(file.read_text().splitlines())) if file.exists() else 0
