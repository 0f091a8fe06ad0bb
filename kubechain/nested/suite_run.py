"""Run claims in another process on the cluster of this run, which may be broken."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord, read_run
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError
from kubechain.core.process import run
from kubechain.core.run import COLLECTED, FINISHED, FOLDERS
from kubechain.core.setting_groups import PREFIX
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter

SUITES = ("suites/chain", "suites/lifecycle", "suites/walkthrough")
RUN_SECONDS = 600.0
# After SIGTERM, a run removes its namespaces before it ends.
END_SECONDS = 60.0
COMMAND = ("-m", "pytest")
UPGRADE = ("suites/upgrade",)
REHEARSED = Timeout(120, "the witnesses are made and rolled once, and the samplers start")
# Longest duration; the rehearsal ends earlier when the file REHEARSING is removed.
REHEARSAL_SECONDS = 120.0
REHEARSING = "rehearsing"
# Settings of a run of the suite of upgrades that upgrades nothing.
REHEARSED_ALONE = {"KUBECHAIN_REHEARSAL": str(REHEARSAL_SECONDS), "KUBECHAIN_PHASE": "", "KUBECHAIN_SNAPSHOT": ""}
# Before and after the disruption, so that the samplers record both states.
UNDISTURBED_SECONDS = 3.0
DELIVERY = ("STATE", "JSON_LINE", "VERDICT_FILE", "RESULT_CONFIG_MAP", "UPLOAD")


def verdict_of(joined: Path, out: Path, given: Mapping[str, str] | None = None, *, processes: int = 1) -> RunRecord:
    """Run the suite on the cluster of the run in folder `joined`; return its run.json, published in `out`.

    `given` are settings in the form of environment variables; the others are those of this run. More than one of its
    `processes` run claims in parallel.

    Raises:
        HarnessError: there is no readable run.json.

    """
    words = ["-n", str(processes)] if processes > 1 else []
    return _run([*words, *SUITES], joined, out, {"KUBECHAIN_ONLY": "", **(given or {})})


def disrupted(
    joined: Path, out: Path, given: Mapping[str, str], after: Link, disrupt: Callable[[], None], clock: Clock
) -> RunRecord:
    """Do the same, and call `disrupt` as soon as a claim of link `after` has ended; the run goes on meanwhile.

    Raises:
        HarnessError: there is no readable run.json, or the run ended before.

    """
    within = Timeout(RUN_SECONDS, f"the links before {after} are tried first")
    return _amidst(lambda: verdict_of(joined, out, given), lambda: has_ended(out, after), within, disrupt, clock)


def has_ended(out: Path, link: Link) -> bool:
    """Whether a claim of a link has ended in a run that will publish in `out`, from the files that it writes as it goes on."""
    try:
        for folder in out.glob(f"{FOLDERS}/*/"):
            ended = (folder / FINISHED).read_text(encoding="utf-8").splitlines()
            collected = json.loads((folder / COLLECTED).read_text(encoding="utf-8"))
            return any(claim["nodeid"] in ended for claim in collected if claim["link"] == link)
    except FileNotFoundError:
        pass  # no claim has ended, or the run is publishing
    return False


def rehearsal(joined: Path, out: Path, claims: Sequence[str], disrupt: Callable[[], None], clock: Clock) -> RunRecord:
    """Rehearse an upgrade on the cluster of the run in folder `joined`, call `disrupt` in the middle; return its run.json.

    Raises:
        HarnessError: there is no readable run.json, or the rehearsal ended before its middle.
        Unmet: the rehearsal did not begin in time.

    """
    given = {"KUBECHAIN_ONLY": ",".join(claims), **REHEARSED_ALONE}

    def rehearsing() -> list[Path]:
        return list(out.glob(f"{FOLDERS}/*/{REHEARSING}"))

    def amidst() -> None:
        Waiter(clock).pause(UNDISTURBED_SECONDS)
        disrupt()
        Waiter(clock).pause(UNDISTURBED_SECONDS)

    def end() -> None:
        for file in rehearsing():
            file.unlink()

    return _amidst(lambda: _run(UPGRADE, joined, out, given), lambda: bool(rehearsing()), REHEARSED, amidst, clock, end)


def before_upgrade(joined: Path, out: Path, claims: Sequence[str]) -> RunRecord:
    """Try claims of the time before an upgrade on the cluster of the run in folder `joined`; return their run.json.

    Raises:
        HarnessError: there is no readable run.json.

    """
    return _run(UPGRADE, joined, out, {"KUBECHAIN_ONLY": ",".join(claims), **REHEARSED_ALONE})


def _amidst(
    start: Callable[[], RunRecord],
    begun: Callable[[], bool],
    within: Timeout,
    disrupt: Callable[[], None],
    clock: Clock,
    end: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Run `start` in a thread and call `disrupt` once `begun` returns True; return its record.

    `end` is called after that, also if it failed.

    Raises:
        HarnessError: the run ended before.
        Unmet: `begun` did not return True in time.

    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(start)
        source = Polled("nested run", lambda: (running.done(), begun()), clock)
        point = Condition[tuple[bool, bool]](
            "the nested run to come to its middle", lambda now: expect(any(now), "no sign of it")
        )
        try:
            in_middle = Waiter(clock).eventually(source, point, within=within).state[1]
            if in_middle:
                disrupt()
        except KeyboardInterrupt:
            _tell_to_end()
            raise
        finally:
            end()
        record = running.result()
        if not in_middle:
            raise HarnessError(f"the nested run ended before its middle: {record.verdict}")
        return record


def _tell_to_end() -> None:
    """Tell the nested run to end, for which a thread waits: in its own process group it gets no signal of the terminal."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if tuple(child.cmdline()[1:3]) == COMMAND:
                child.terminate()


def _run(words: Sequence[str], joined: Path, out: Path, given: Mapping[str, str]) -> RunRecord:
    always = {
        "KUBECHAIN_JOIN": str(joined),
        "KUBECHAIN_OUT": str(out),
        "KUBECHAIN_HTML": "false",
        "KUBECHAIN_CONTEXT": "",
        "KUBECHAIN_FAIL_FAST": "",
        "KUBECHAIN_WAIVERS": "",
        "KUBECHAIN_HISTORY": "",
        "KUBECHAIN_GATE": "",
        # The result of the outer run alone goes anywhere.
        **dict.fromkeys((f"{PREFIX}{name}" for name in DELIVERY), ""),
        "PYTEST_ADDOPTS": "",
    }
    command = [sys.executable, *COMMAND, "-p", "no:cacheprovider", *words]
    done = run(command, timeout=RUN_SECONDS, env={**os.environ, **always, **given}, cwd=ROOT, grace=END_SECONDS)
    record = out / "run.json"
    if not record.exists():
        raise HarnessError(f"the nested run wrote no {record} (exit status {done.status}): {done.last_words}")
    return read_run(record)
