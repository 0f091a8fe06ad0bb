"""Running the suite against a cluster that is broken, in a process of its own, as a user would."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kubechain.claims.records import RunRecord, read_run
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError
from kubechain.core.process import run
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter

SUITES = ("suites/chain", "suites/lifecycle")
RUN_SECONDS = 600.0
UPGRADE = ("suites/upgrade",)
REHEARSED = Timeout(120, "the witnesses are made and rolled once, and the samplers start")
# At the longest; it ends when the sign is taken away with which it shows that it has begun.
REHEARSAL_SECONDS = 120.0
REHEARSING = "rehearsing"
# Before and after the strike, so that what is up is known.
CALM_SECONDS = 3.0


def verdict_of(joined: Path, out: Path, claims: Sequence[str], patience: float) -> RunRecord:
    """Run these claims on the cluster of the run in folder `joined`; return what it found; its run.json is left in `out`.

    Raises:
        HarnessError: the run left no run.json that can be read.

    """
    return _run(SUITES, joined, out, {"KUBECHAIN_ONLY": ",".join(claims), "KUBECHAIN_PATIENCE": str(patience)})


def rehearsal(joined: Path, out: Path, claims: Sequence[str], strike: Callable[[], None], clock: Clock) -> RunRecord:
    """Rehearse an upgrade on the cluster of the run in folder `joined`, and strike in the middle; return what it found.

    Raises:
        HarnessError: the run left no run.json that can be read, or never came to where it asks; and what `strike` raises.

    """
    given = {
        "KUBECHAIN_ONLY": ",".join(claims),
        "KUBECHAIN_REHEARSAL": str(REHEARSAL_SECONDS),
        "KUBECHAIN_PHASE": "",
        "KUBECHAIN_SNAPSHOT": "",
    }
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_run, UPGRADE, joined, out, given)
        begun = Polled("rehearsal", lambda: running.done() or next(out.glob(f".runs/*/{REHEARSING}"), None), clock)
        there = Condition[Path | bool | None]("the rehearsal to begin", lambda found: expect(bool(found), "no sign of it"))
        try:
            sign = Waiter(clock).eventually(begun, there, within=REHEARSED).state
            if isinstance(sign, Path):
                Waiter(clock).pause(CALM_SECONDS)
                strike()
                Waiter(clock).pause(CALM_SECONDS)
        finally:
            for each in out.glob(f".runs/*/{REHEARSING}"):
                each.unlink()
        return running.result()


def _run(suites: Sequence[str], joined: Path, out: Path, given: Mapping[str, str]) -> RunRecord:
    always = {
        "KUBECHAIN_JOIN": str(joined),
        "KUBECHAIN_OUT": str(out),
        "KUBECHAIN_HTML": "false",
        "KUBECHAIN_CONTEXT": "",
        "PYTEST_ADDOPTS": "",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *suites]
    done = run(command, timeout=RUN_SECONDS, env={**os.environ, **always, **given}, cwd=ROOT)
    found = out / "run.json"
    if not found.exists():
        raise HarnessError(f"the suite left no run.json (status {done.status}): {done.last_words}")
    return read_run(found)
