"""The records of a run's claims, and its end: call the hook, publish the results, print the verdict, clean up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kubechain.claims import claim
from kubechain.claims.chain_records import ChainRecord
from kubechain.claims.claim import Link, Outcome
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.process_records import SpanRecord
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.claims.verdict import Verdict, complete, first_broken, latest, of_a_part, verdict_of
from kubechain.cluster.target import FILE, Target
from kubechain.core import files, known_secrets, publish, redact, secret_files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.core.run import COLLECTED
from kubechain.faults.scoring import verdict_line
from kubechain.kube.traffic import TRAFFIC, LoadRecord, together
from kubechain.observe.clock import RealClock
from kubechain.pytest import delivery, ending, others, published, selection, sharding
from kubechain.pytest.fail_fast import is_ending
from kubechain.pytest.outcomes import known_links, one_line, recorded, without_secrets
from kubechain.pytest.results import RunResult
from kubechain.pytest.session import asks_for_claims, fresh_line
from kubechain.pytest.spans import processes, span_of
from kubechain.pytest.state import RunState, run_state, worker_input
from kubechain.upgrade import figures

RECORDER = pytest.StashKey["Recorder"]()
DIED = "its worker process died before its teardown had ended"


@dataclass
class Recorder:
    """A plugin that collects the records of the claims.

    `begun` are the node ids of those that began; `began` and `ended` are monotonic seconds; `spans` is what processes did.
    """

    records: list[ClaimRecord] = field(default_factory=list[ClaimRecord])
    measured: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    loads: list[LoadRecord] = field(default_factory=list[LoadRecord])
    chains: list[ChainRecord] = field(default_factory=list[ChainRecord])
    spans: list[tuple[str, SpanRecord]] = field(default_factory=list[tuple[str, SpanRecord]])
    begun: set[str] = field(default_factory=set[str])
    began: float | None = None
    ended: float = 0.0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record which claims began, and when the first of them did."""
        self.begun.add(nodeid)
        self.began = self.began or RealClock().now()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record of each claim, and the span of each phase."""
        self.spans += filter(None, [span_of(report)])
        record = recorded(report)
        if record:
            self.records.append(record)
            self.ended = RealClock().now()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect the measurements of a worker."""
        output: dict[str, Any] = getattr(node, "workeroutput", {})
        if output.get("measured"):
            self.measured.append(output["measured"])
        if output.get("load"):
            self.loads.append(LoadRecord.model_validate(output["load"]))
        self.chains += map(ChainRecord.model_validate, output.get("chains", []))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Make a claim inconclusive whose process died after it had passed: nobody knows what its teardown would have shown."""
        for record in [each for each in self.records if each.nodeid == crashitem][-1:]:
            self.records.append(record.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "message": DIED}))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List known issues, and blocked and inconclusive claims, each reason once; pytest itself lists other failed ones."""
        for outcome in (Outcome.FAILED, Outcome.BLOCKED, Outcome.INCONCLUSIVE):
            chosen = [record for record in self.records if record.outcome == outcome and not _stopped(record)]
            if outcome == Outcome.FAILED:
                chosen = [record for record in chosen if record.known]
            if chosen:
                terminalreporter.section("known issues" if outcome == Outcome.FAILED else outcome.value)
            reasons: dict[str, list[str]] = {}
            for record in chosen:
                ending = f" {record.ending}" if record.known else ""
                reasons.setdefault(record.message or "", []).append(f"{record.id}{ending}")
            for reason, claims in reasons.items():
                terminalreporter.line(f"{', '.join(claims)}: {reason}")

        stopped = [record for record in self.records if _stopped(record)]
        if stopped:
            # The verdict says what the obstacle is.
            terminalreporter.section(f"blocked by {stopped[0].waits_for}")
            terminalreporter.line(", ".join(record.id for record in stopped))

    def seconds(self) -> float:
        """Return the seconds from the beginning of the first claim to the end of the last; 0 if no claim has ended."""
        return self.ended - self.began if self.began and self.ended else 0.0


def _stopped(record: ClaimRecord) -> bool:
    """Whether a claim was blocked by an obstacle."""
    return record.outcome == Outcome.BLOCKED and record.waits_for in list(Obstacle)


@dataclass
class EarlyVerdict:
    """A plugin of the controller that prints the verdict once a link is known to be broken, and again if an earlier one is."""

    config: pytest.Config
    recorder: Recorder
    link: Link | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Print the line, as it would be if the run ended here, after what pytest shows of the claim."""
        records = list(latest(self.recorder.records).values())
        verdict = verdict_of(records, self.recorder.seconds())
        link, before = verdict.first_broken_link, self.link
        if link is None or link == before:
            return
        if first_broken(records, known_links(run_state(self.config))) is None:
            # The claim that fails for a known reason may be reported after those that it blocks.
            return
        self.link = link
        moved = f"first broken link is now {verdict.line.removeprefix('chain broken at ')}"
        fresh_line(self.config)
        writer = self.config.get_terminal_writer()
        writer.line(redact.text(f"  {moved if before else verdict.line}"), red=True, bold=True)
        writer.flush()


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder; refuse a folder for results that holds files of others, before the run begins."""
    if not asks_for_claims(config):
        return
    if worker_input(config) is None:
        try:
            publish.require_ours(run_state(config).settings.out)
        except SetupError as error:
            raise pytest.UsageError(str(error)) from error
    config.stash[RECORDER] = Recorder()
    config.pluginmanager.register(config.stash[RECORDER])
    if worker_input(config) is None:
        config.pluginmanager.register(EarlyVerdict(config, config.stash[RECORDER]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the list of the collected claims, so that a claim without a report is noticed."""
    # After an interrupt, pytest calls this with what was collected by then, of which nothing was chosen.
    if RECORDER in session.config.stash and run_state(session.config).chosen:
        claims = ((item.nodeid, claim.of(item)) for item in session.items)
        listed = [CollectedClaim.of(stated, nodeid).as_json() for nodeid, stated in claims if stated]
        folder = secret_files.folder(run_state(session.config).run.folder)
        # All workers write the same list; the controller reads it at the end.
        files.write(folder / COLLECTED, json.dumps(listed))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    """After all other plugins: publish the results, print the verdict, and undo what the run changed on its cluster."""
    config = session.config
    if RECORDER not in config.stash:
        return (yield)
    INTERRUPTS.ignore()
    if worker_input(config) is not None:
        # Before xdist sends it to the controller.
        output: dict[str, Any] = vars(config)["workeroutput"]
        output["measured"] = run_state(config).measured
        output["load"] = TRAFFIC.record().as_json()
        output["chains"] = [chain.as_json() for chain in run_state(config).chains]
        return (yield)
    done = yield
    session.exitstatus = _finish(config, exitstatus)
    return done


def _finish(config: pytest.Config, exitstatus: int) -> int:
    """Publish the results, print the verdict, then undo what the run changed; return the exit code.

    Each trouble is one line after the verdict; it replaces the exit code only of a chain that holds.
    """
    state = run_state(config)
    if exitstatus == ExitCode.USAGE and not state.trouble:
        # pytest has printed what is wrong with the command line; there was no run.
        ending.clean_up(config)
        shutil.rmtree(state.run.folder, ignore_errors=True)
        return exitstatus
    # Tokens that only a worker has fetched.
    known_secrets.recall(state.run.secrets)
    result = _result(config, exitstatus)
    where, unpublished = _publish(config, result)
    unkept = published.hand_on(config, result, where) if where else []
    gate = published.checked(state.settings, where)
    console = Console(highlight=False)
    style = "bold green" if result.verdict.holds else "bold red"
    console.print(result.verdict.line, style=style, soft_wrap=True, markup=False)
    if gate:
        console.print(gate.line, style="bold green" if gate.kept else "bold red", soft_wrap=True, markup=False)
    code = result.verdict.exit_code
    if code == ExitCode.HOLDS and gate:
        code = gate.exit_code
    if line := others.line(config):
        console.print(line, style="bold red", soft_wrap=True, markup=False)
        code = ExitCode.CHAIN_BROKEN if code == ExitCode.HOLDS else code
    trouble = [*state.at_end, *unkept, *ending.clean_up(config), *delivery.to_cluster(state, result, code, where)]
    if unpublished:
        # Not before the cluster is cleaned up, which needs the keys in the folder.
        trouble.append(f"{unpublished}; {_keep(state)}")
    trouble += ending.attempt(lambda: publish.discard(state.run.folder), "kubechain clean")
    for line in trouble:
        console.print(f"after the verdict: {redact.text(line)}", style="yellow", soft_wrap=True, markup=False)
    return delivery.to_caller(config, result, ExitCode.CLEANUP if trouble and code == ExitCode.HOLDS else code)


def _result(config: pytest.Config, exitstatus: int) -> RunResult:
    """Return the results of the run, without secrets."""
    state, recorder = run_state(config), config.stash[RECORDER]
    listed, target = state.run.folder / COLLECTED, state.run.folder / FILE
    entries: list[Any] = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() and not state.trouble else []
    begun = recorder.begun if is_ending(config) else None
    completed = complete(map(CollectedClaim.model_validate, entries), recorder.records, begun)
    records = list(map(without_secrets, completed))
    seconds = recorder.seconds()
    return RunResult(
        state.run,
        state.settings,
        state.progress,
        others.undecided(_verdict(state, records, seconds, interrupted=exitstatus == ExitCode.INTERRUPTED), exitstatus),
        records,
        seconds,
        json.loads(target.read_text(encoding="utf-8")) if target.exists() else {},
        recorder.measured or list(filter(None, [state.measured])),
        state.faults.scores,
        state.upgrade.record,
        together([TRAFFIC.record(), *recorder.loads]),
        [*state.chains, *recorder.chains],
        processes(recorder.spans, state.progress.steps, state.began),
        sharding.record(state.settings.shard, state.run.folder, _stale(state, records)),
        selection.record(state.run.folder),
    )


def _publish(config: pytest.Config, result: RunResult) -> tuple[Path | None, str]:
    """Let the reports write their files and publish all; return where, and "" or why that failed, as one line."""
    state = run_state(config)
    # An interrupted run that had no cluster yet says nothing about it, like one that could not begin.
    begun = not state.trouble and not (state.provided is None and result.verdict.exit_code == ExitCode.INTERRUPTED)
    try:
        config.hook.pytest_kubechain_run_finished(run=result)
        where = publish.publish(state.run.folder, state.settings.out, begun=begun)
    except Exception as error:  # noqa: BLE001  # a report of another distribution may raise anything; the verdict counts
        return None, f"the results could not be published in {state.settings.out}: {one_line(error)}"
    if state.trouble:
        Console(highlight=False).print(f"  files of the run: {where}", soft_wrap=True, markup=False)
    return where, ""


def _keep(state: RunState) -> str:
    """Keep the results that could not be published; return where they are."""
    try:
        where = publish.keep(state.run.folder, state.settings.out)
    except OSError as error:
        return f"they are lost: {one_line(error)}"
    return f"they are in {where}" if where else "no file of them could be written"


def _verdict(state: RunState, records: list[ClaimRecord], seconds: float, *, interrupted: bool) -> Verdict:
    """Return the verdict of the run: on the cluster, on the suite under faults, or on an upgrade."""
    trouble, faults, upgrade = state.trouble, state.faults, state.upgrade.record
    why = redact.text(str(trouble)) if trouble else None
    verdict = verdict_of(records, seconds, trouble=why, interrupted=interrupted, stale=_stale(state, records))
    if trouble:
        return replace(verdict, exit_code=trouble.code)
    if faults.wanted:
        good, line = verdict_line(faults.scores, faults.wanted)
        return replace(verdict, holds=good, line=line, exit_code=ExitCode.HOLDS if good else ExitCode.CHAIN_BROKEN)
    if upgrade:
        verdict = replace(verdict, line=figures.line(upgrade, "chain holds" if verdict.holds else verdict.line))
    return of_a_part(verdict, selection.record(state.run.folder))


def _stale(state: RunState, records: list[ClaimRecord]) -> list[str]:
    """Return a line for each known issue whose claim no longer fails."""
    target = state.run.folder / FILE
    return state.waivers.stale(records, Target.read(target.parent)) if target.exists() else []
