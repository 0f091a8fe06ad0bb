"""Run claims in another process on the cluster of this run, which may be broken."""

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
# Longest duration; the rehearsal ends earlier when the file REHEARSING is removed.
REHEARSAL_SECONDS = 120.0
REHEARSING = "rehearsing"
# Before and after the disruption, so that the samplers record both states.
UNDISTURBED_SECONDS = 3.0


def verdict_of(joined: Path, out: Path, given: Mapping[str, str] | None = None) -> RunRecord:
    """Run the suite on the cluster of the run in folder `joined`; return its run.json, published in `out`.

    `given` are settings in the form of environment variables; the others are those of this run.

    Raises:
        HarnessError: there is no readable run.json.

    """
    return _run(SUITES, joined, out, {"KUBECHAIN_ONLY": "", **(given or {})})


def rehearsal(joined: Path, out: Path, claims: Sequence[str], disrupt: Callable[[], None], clock: Clock) -> RunRecord:
    """Rehearse an upgrade on the cluster of the run in folder `joined`, call `disrupt` in the middle; return its run.json.

    Raises:
        HarnessError: there is no readable run.json.
        Unmet: the rehearsal did not begin in time.

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
            began = Waiter(clock).eventually(begun, there, within=REHEARSED).state
            if isinstance(began, Path):
                Waiter(clock).pause(UNDISTURBED_SECONDS)
                disrupt()
                Waiter(clock).pause(UNDISTURBED_SECONDS)
        finally:
            for file in out.glob(f".runs/*/{REHEARSING}"):
                file.unlink()
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
    record = out / "run.json"
    if not record.exists():
        raise HarnessError(f"the nested run wrote no {record} (exit status {done.status}): {done.last_words}")
    return read_run(record)
