"""The rounds of a measurement: both sides in turn, with each number of processes, on the same idle cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.bench.api_load import ApiLoad
from kubechain.bench.records import PROCESSES, SIDES, Measurement, Side
from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.conditions.condition import empty
from kubechain.conditions.timeouts import NAMESPACE_GONE
from kubechain.core import publish
from kubechain.core.errors import HarnessError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import RUN_LABEL, TEMPORARY
from kubechain.faults.upstream.setup import UPSTREAM_LABEL
from kubechain.kube.client import Api
from kubechain.nested.suite_run import verdict_of
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter

# Runs one side in so many processes, with its results in a folder; returns the names of what did not pass.
RunSide = Callable[[int, Path], list[str]]


@dataclass
class Rounds:
    """The two sides on one cluster; `measurements` are those that have ended, also if a later one fails."""

    sides: dict[Side, RunSide]
    load: ApiLoad
    settle: Callable[[], None]
    folder: Path
    progress: Progress
    clock: Clock
    measurements: list[Measurement] = field(default_factory=list[Measurement])

    def run(self, rounds: int) -> None:
        """Measure; the side that begins changes with each round, so that neither always finds a warmer cluster."""
        for number in range(1, rounds + 1):
            order = SIDES if number % 2 else SIDES[::-1]
            for processes in PROCESSES:
                for side in order:
                    title = f"round {number} of {rounds}: {side}, {processes} process{'es' if processes > 1 else ''}"
                    with self.progress.step(title) as step:
                        measured = self._measure(number, processes, side)
                        asked = "" if measured.load.requests is None else f", {measured.load.requests:,} requests"
                        step.note(f"{measured.seconds:.1f} s{asked}")
                        if measured.failed:
                            step.note(f"not passed: {', '.join(measured.failed)}")
                    self.measurements.append(measured)

    def _measure(self, number: int, processes: int, side: Side) -> Measurement:
        self.settle()
        folder = self.folder / f"{number}-{side}-{processes}"
        before, start = self.load.read(), self.clock.now()
        failed = self.sides[side](processes, folder)
        seconds = self.clock.now() - start
        if not failed:
            publish.remove(folder)
        return Measurement(
            round=number, processes=processes, side=side, seconds=seconds, failed=failed, load=self.load.since(before)
        )


def claims_side(joined: Path, claims: Sequence[str]) -> RunSide:
    """Return the side of the claims, on the cluster of the run in folder `joined`."""
    # Python keeps what it has compiled, as it does by default: upstream is not compiled at each start either.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(joined / TEMPORARY / "bytecode")}
    given = {"KUBECHAIN_ONLY": ",".join(claims), **(compiled if sys.dont_write_bytecode else {})}

    def run(processes: int, folder: Path) -> list[str]:
        return not_passed(verdict_of(joined, folder, given, processes=processes), claims)

    return run


def not_passed(run: RunRecord, claims: Sequence[str]) -> list[str]:
    """Return the ids of those claims that a run did not pass."""
    passed = {claim.id for claim in run.claims if claim.outcome == Outcome.PASSED}
    return [claim for claim in claims if claim not in passed]


def settle(api: Api, clock: Clock) -> None:
    """Delete the namespaces of upstream's tests; wait until they are gone, and those that the suite has deleted.

    Raises:
        HarnessError: one of them still exists after the timeout.

    """

    def left() -> list[str]:
        of_upstream = api.list("Namespace", selector=UPSTREAM_LABEL).items
        for namespace in of_upstream:
            if not namespace.deleting:
                api.delete("Namespace", "", namespace.name, missing_ok=True)
        # One that is not being deleted is of another run.
        going = [namespace for namespace in api.list("Namespace", selector=RUN_LABEL).items if namespace.deleting]
        return [namespace.name for namespace in (*of_upstream, *going)]

    with unmet_as(HarnessError, "the cluster between two measurements"):
        Waiter(clock).eventually(Polled("namespaces", left, clock, 0.5), empty("namespace"), within=NAMESPACE_GONE)
