"""The distribution of claims among the processes of xdist, and waits of claims that need the cluster for themselves.

One process runs all claims of a scenario. Claims that disturb Nodes run last, after all other claims have finished.
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
from kubechain.claims.requirements import DISRUPTION, ROOM, SIDE_BY_SIDE, Requirement
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, expect
from kubechain.core import files, secret_files
from kubechain.core.errors import HarnessError, Unmet
from kubechain.core.run import FINISHED
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest.fail_fast import is_ending, require_running
from kubechain.pytest.one_namespace import ends_the_shared_chain
from kubechain.pytest.scenario import SCENARIOS
from kubechain.pytest.session import asks_for_claims, is_of_a_run
from kubechain.pytest.state import run_state, worker_input

GROUPS = "scenarios.json"
EXCLUSIVE = "exclusive"


def requires(item: pytest.Item, requirement: Requirement) -> bool:
    """Whether a test is a claim with a requirement."""
    stated = claim.of(item)
    return bool(stated and requirement in stated.requirements)


def _last(item: pytest.Item) -> tuple[bool, bool, bool]:
    """Return what decides which claims come last: many chains side by side, room on the Nodes, the disturbance of Nodes."""
    return requires(item, SIDE_BY_SIDE), requires(item, ROOM), requires(item, DISRUPTION)


def groups(items: Iterable[pytest.Item]) -> dict[str, str]:
    """Return nodeid -> group; one process runs the claims of a group: those of the same scenarios, or that disturb Nodes."""
    used = {item.nodeid: sorted(SCENARIOS.intersection(getattr(item, "fixturenames", ()))) for item in items}
    return {nodeid: EXCLUSIVE if EXCLUSIVE in names else "-".join(names) for nodeid, names in used.items() if names}


class ScenarioScheduling(LoadScopeScheduling):
    """Distributes claims one by one, in their order, and the claims of a group together.

    The groups of xdist itself need changed test ids, which pytest 9.2 no longer allows.
    """

    @cached_property
    def _groups(self) -> dict[str, str]:
        file = run_state(self.config).run.folder / GROUPS
        # A worker that fails before it has written them hands in its claims all the same, and then ends the run.
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a process; return the claim during which it died, None if it was idle; its other claims go back to the queue.

        The claim counts as done, because xdist would run it again in the next process.
        """
        units = self.assigned_work.pop(node)
        pending = [(scope, nodeid) for scope, unit in units.items() for nodeid, done in unit.items() if not done]
        if not pending:
            return None
        (scope, fatal), *others = pending
        units[scope][fatal] = True
        self.workqueue.update({scope: units[scope] for scope, _ in others})
        for other in self.nodes:
            self._reschedule(other)
        return fatal

    def _reschedule(self, node: WorkerController) -> None:
        """Assign claims until a process has two, or none are left: xdist starts a claim only if it knows the next.

        A process gets no third claim, because an idle process could not take it.
        """
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ScenarioScheduling | None:
    """Distribute claims by scenario; for other tests, xdist uses its own scheduler."""
    if not asks_for_claims(config):
        return None
    config.option.loadscopereorder = False
    return ScenarioScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort claims that disturb Nodes after all others, claims that fill the Nodes after these, and many chains to the end.

    In a namespace that exists, chains come one after another: claims on the chain that all share are before the others.

    xdist distributes claims in this order, so that no claim waits for a later claim of its own process.
    """
    if not asks_for_claims(config) or not any(map(is_of_a_run, items)):
        return
    state = run_state(config)
    one = bool(state.settings.namespace)
    items.sort(key=lambda item: (*_last(item), one and ends_the_shared_chain(item)))
    last = [_last(item) for item in items]
    state.schedule.before_exclusive = sum(not any(each) for each in last)
    state.schedule.before_alone = sum(not any(each[:2]) for each in last)
    state.schedule.before_chains = sum(not chains for chains, _, _ in last)
    if worker_input(config) is not None:
        files.write(secret_files.folder(state.run.folder) / GROUPS, json.dumps(groups(items)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record in a file of all processes that a claim has finished."""
    done = yield
    folder = run_state(item.config).run.folder
    if folder.exists():
        with (folder / FINISHED).open("a", encoding="utf-8") as file:
            file.write(f"{item.nodeid}\n")
    return done


def wait_for_others(config: pytest.Config, count: int) -> None:
    """Wait until `count` claims of the run have finished, in all processes.

    Raises:
        HarnessError: they did not finish in time, for example because a process died.
        NotRun: the run ends at a broken link, so the other claims are not run, and neither is this one.

    """
    file = run_state(config).run.folder / FINISHED
    source = Polled("other claims", lambda: count if is_ending(config) else finished(file), RealClock())
    all_done = Condition[int]("all other claims finished", lambda done: expect(done >= count, f"{done} of {count}"))
    try:
        Waiter(RealClock()).eventually(source, all_done, within=timeouts.OTHERS)
    except Unmet as unmet:
        raise HarnessError(f"other claims did not finish: {unmet}") from unmet
    require_running(config)


def finished(file: Path) -> int:
    """Return the number of claims in the file of finished claims."""
    return len(set(file.read_text(encoding="utf-8").splitlines())) if file.exists() else 0
