"""Which cases the rig runs, and the matrix of what they came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
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
        Case("cluster deletion", (SIGTERM, SIGTERM), "group"),
        Case("cluster deletion", (SIGKILL,), "child"),
    ]


def chosen(every: Sequence[Case], patterns: str) -> list[Case]:
    """Return the cases whose ids match one of these patterns with commas between them, all for none.

    Raises:
        ValueError: a pattern matches no case.

    """
    wanted = [each.strip() for each in patterns.split(",") if each.strip()]
    idle = [each for each in wanted if not any(fnmatchcase(case.id, each) for case in every)]
    if idle:
        raise ValueError(f"no case has the id {', '.join(idle)}; --list prints the ids")
    return [case for case in every if not wanted or any(fnmatchcase(case.id, each) for each in wanted)]


def listed(cases: Sequence[Case], known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each case: what it came to on this code, and its id."""
    states = {case.id: "not run" if case.id not in known else "bad" if known[case.id] else "held" for case in cases}
    return [f"{states[case.id]:8}{case.id}" for case in cases]


def table(cases: Sequence[Case], known: Mapping[str, Sequence[str]]) -> str:
    """Return, for each phase, the number of cases, of those that ran on this code and of those with problems, in Markdown."""
    number = Counter(case.phase for case in cases)
    run = Counter(case.phase for case in cases if case.id in known)
    bad = Counter(case.phase for case in cases if known.get(case.id))
    rows = [f"| {phase} | {count} | {run[phase]} | {bad[phase]} |" for phase, count in number.items()]
    total = f"| all | {len(cases)} | {run.total()} | {bad.total()} |"
    return "\n".join(["| phase | cases | run on this code | with problems |", "|---|---|---|---|", *rows, total])
