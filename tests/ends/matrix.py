"""Which cases the rig runs."""

from __future__ import annotations

from itertools import product
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

from tests.ends.phases import ALL
from tests.ends.run import Case

SIGNALS = (SIGINT, SIGTERM, SIGHUP)
# How often a signal is sent, and to what.
WAYS = tuple(product((1, 2, 3), ("run", "group")))
IN_WORKERS = ("collection", "chain half made", "shared chain", "fresh chain", "scenario", "claim", "teardown", "last teardown")


def signalled() -> list[Case]:
    """Return, for each phase and number of processes, each signal in one of the ways; all ways follow one another."""
    places = [(phase, processes) for phase in ALL for processes in (1, 2)]
    cases: list[Case] = []
    for turn, number in enumerate(SIGNALS):
        for index, (phase, processes) in enumerate(places):
            times, target = WAYS[(index + 2 * turn) % len(WAYS)]
            cases.append(Case(phase.name, (number,) * times, target, processes))
    return cases


def killed() -> list[Case]:
    """Return the cases in which the run, a worker, or a program of the run is killed."""
    runs = [Case(phase.name, (SIGKILL,), ("run", "group")[index % 2], 1 + index // 2 % 2) for index, phase in enumerate(ALL)]
    workers = [Case(name, (SIGKILL,), "worker", 2) for name in IN_WORKERS]
    programs = [Case(phase.name, (SIGKILL,), "child", processes) for phase in ALL if phase.child for processes in (1, 2)]
    return runs + workers + programs


def own_cluster() -> list[Case]:
    """Return the cases on a kind cluster of the run's own, each of which takes as long as making a cluster."""
    return [
        Case("kind create", (SIGINT,), "group"),
        Case("kind create", (SIGTERM, SIGTERM), "run"),
        Case("kind create", (SIGKILL,), "run"),
        Case("kind create", (SIGKILL,), "child"),
        Case("image loading", (SIGHUP,), "run"),
        Case("claim on its own cluster", (SIGINT,) * 3, "group", 2),
        Case("claim on its own cluster", (SIGKILL,), "run"),
        Case("kind delete", (SIGTERM, SIGTERM), "group"),
        Case("kind delete", (SIGKILL,), "child"),
    ]
