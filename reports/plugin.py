"""The pytest plugin that turns a run of claims into results, and ends it with one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import allure
import pytest
from rich.console import Console

from kubechain.claims import claim as claims
from kubechain.claims import verdict
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.claims.verdict import Verdict
from kubechain.cluster.target import FILE
from kubechain.core import redact
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.diagnostics.evidence import evidence
from kubechain.faults.scoring import verdict_line
from kubechain.observe.clock import RealClock
from kubechain.pytest import outcomes
from kubechain.pytest.faults import JUDGEMENTS_KEY, WANTED_KEY
from kubechain.pytest.given import CHAIN_KEY, MEASURED
from kubechain.pytest.session import PROGRESS_KEY, RUN_KEY, SETTINGS_KEY, TROUBLE_KEY, asks_for_claims, worker_input
from kubechain.pytest.upgrade import PASSAGE_KEY
from kubechain.workload.chain import Chain
from reports import allure_html, allure_results, fault_matrix, publish, run_json, summary, upgrade_json, upgrade_svg

COLLECTED = "collected.json"
BAD = (claims.Outcome.FAILED, claims.Outcome.BLOCKED, claims.Outcome.INCONCLUSIVE)
RECORDER_KEY = pytest.StashKey["Recorder"]()
# The picture of the upgrade, as SVG, once it was attached to a claim.
PICTURE_KEY = pytest.StashKey[str]()
# Namespace of a chain and link, of which there is evidence.
SHOWN_KEY = pytest.StashKey[set[tuple[str, str]]]()


@dataclass
class Recorder:
    """A plugin of its own that keeps what the claims of this run report; times are of the machine's clock."""

    records: list[ClaimRecord] = field(default_factory=list[ClaimRecord])
    measured: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    began: float | None = None
    ended: float = 0.0

    def pytest_runtest_logstart(self) -> None:
        """Note when the first claim began."""
        self.began = self.began or RealClock().now()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record of each claim."""
        record = outcomes.recorded(report)
        if record:
            self.records.append(record)
            self.ended = RealClock().now()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker measured."""
        found = getattr(node, "workeroutput", {}).get("measured")
        if found:
            self.measured.append(found)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List the claims that were blocked or are inconclusive; pytest itself lists the failed ones."""
        for outcome in (claims.Outcome.BLOCKED, claims.Outcome.INCONCLUSIVE):
            chosen = [record for record in self.records if record.outcome == outcome]
            if chosen:
                terminalreporter.section(outcome.value)
            for record in chosen:
                terminalreporter.line(f"{record.id}: {redact.text(record.message or '')}")

    def seconds(self) -> float:
        """Return the seconds from the first claim's beginning to the last one's verdict; 0 if none was told."""
        return self.ended - self.began if self.began and self.ended else 0.0


def pytest_configure(config: pytest.Config) -> None:
    """Send the results of claims, and only of claims, to the run's folder."""
    if not asks_for_claims(config):
        return
    if worker_input(config) is None:
        try:
            publish.require_ours(config.stash[SETTINGS_KEY].out)
        except SetupError as error:
            raise pytest.UsageError(str(error)) from error
    folder = config.stash[RUN_KEY].folder
    config.option.allure_report_dir = str(folder / "allure-results")
    config.option.xmlpath = str(folder / "junit.xml")
    config.stash[RECORDER_KEY] = Recorder()
    config.pluginmanager.register(config.stash[RECORDER_KEY])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which claims there are, so that none can get lost."""
    if RECORDER_KEY in session.config.stash and session.items:
        found = ((item.nodeid, claims.of(item)) for item in session.items)
        listed = [CollectedClaim.of(claim, nodeid).as_json() for nodeid, claim in found if claim]
        folder = session.config.stash[RUN_KEY].folder
        folder.mkdir(parents=True, exist_ok=True)
        # All workers collect the same; the controller reads what is there at the end.
        (folder / COLLECTED).write_text(json.dumps(listed))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell Allure what the claim is."""
    found = claims.of(item)
    if found:
        name = item.name.partition("[")[0]
        # allure.dynamic.title is not enough: the plugin names the result anew when the setup has ended.
        function: Any = getattr(item, "obj", None)
        function.__allure_display_name__ = allure_results.title(name, found)
        allure_results.label(name, found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect the evidence for a claim that did not pass, while its chain still stands."""
    report = yield
    record = outcomes.recorded(report)
    chain = item.stash.get(CHAIN_KEY, None)
    if record and PASSAGE_KEY in item.config.stash:
        _show_picture(item.config, failed=record.outcome in BAD)
    if record and record.outcome in BAD and chain and RECORDER_KEY in item.config.stash and is_news(item.config, record, chain):
        folder = item.config.stash[RUN_KEY].folder / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        sections = evidence(chain)
        for section in sections:
            allure.attach(section.text, section.title, allure.attachment_type.TEXT)
        text = "\n\n".join(f"# {section.title}\n{section.text}" for section in sections)
        (folder / f"{record.id}.txt").write_text(f"{record.must}\n{redact.text(record.message or '')}\n\n{text}\n")
    return report


def is_news(config: pytest.Config, record: ClaimRecord, chain: Chain) -> bool:
    """Whether a claim has evidence of its own: what is blocked by a link that was shown on the same chain has none."""
    shown = config.stash.setdefault(SHOWN_KEY, set())
    place = (chain.namespace, record.waits_for or record.link)
    known = place in shown
    shown.add(place)
    return not (known and record.waits_for)


def _show_picture(config: pytest.Config, *, failed: bool) -> None:
    """Attach the picture of the upgrade to the first claim about it, and to those that did not pass."""
    if failed or PICTURE_KEY not in config.stash:
        picture = config.stash.setdefault(PICTURE_KEY, redact.text(upgrade_svg.svg(config.stash[PASSAGE_KEY])))
        allure.attach(picture, "the upgrade on one time axis", allure.attachment_type.SVG)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    """When all else has ended, write the results, publish them, and say the verdict."""
    config = session.config
    if worker_input(config) is not None:
        # Before xdist sends it to the controller.
        output: dict[str, Any] = vars(config)["workeroutput"]
        output["measured"] = config.stash.get(MEASURED, None)
    done = yield
    if worker_input(config) is None and RECORDER_KEY in config.stash:
        session.exitstatus = _finish(config, exitstatus)
    return done


def _finish(config: pytest.Config, exitstatus: int) -> int:
    """Write, publish and say what the run found; return its exit code."""
    run, recorder, trouble = config.stash[RUN_KEY], config.stash[RECORDER_KEY], config.stash.get(TROUBLE_KEY, None)
    if exitstatus == ExitCode.USAGE and not trouble:
        # pytest has said what is wrong with the command line; there was no run.
        shutil.rmtree(run.folder, ignore_errors=True)
        return exitstatus
    listed = run.folder / COLLECTED
    entries: list[Any] = json.loads(listed.read_text()) if listed.exists() and not trouble else []
    collected = [CollectedClaim.model_validate(entry) for entry in entries]
    complete = verdict.complete(collected, recorder.records)
    records = [ClaimRecord.model_validate(redact.tree(record.as_json())) for record in complete]
    seconds = recorder.seconds()
    why = redact.text(str(trouble)) if trouble else None
    found = verdict.verdict_of(records, seconds, trouble=why, interrupted=exitstatus == ExitCode.INTERRUPTED)
    if trouble:
        found = replace(found, exit_code=trouble.code)
    elif config.stash.get(WANTED_KEY, 0):
        found = _judge_the_suite(config, found)
    elif PASSAGE_KEY in config.stash:
        found = _tell_the_upgrade(config, found)
    if run.folder.exists():
        _write(config, found, records, seconds)
        where = publish.publish(run.folder, config.stash[SETTINGS_KEY].out, begun=not trouble)
        if trouble:
            Console(highlight=False).print(f"  what there is of it: {where}", soft_wrap=True, markup=False)
    style = "bold green" if found.holds else "bold red"
    Console(highlight=False).print(found.line, style=style, soft_wrap=True, markup=False)
    return int(found.exit_code)


def _judge_the_suite(config: pytest.Config, found: Verdict) -> Verdict:
    """Write what the suite found under faults; return the verdict on the suite, which takes the place of the cluster's."""
    judgements = config.stash[JUDGEMENTS_KEY]
    good, line = verdict_line(judgements, config.stash[WANTED_KEY])
    folder = config.stash[RUN_KEY].folder
    (folder / "faults.json").write_text(json.dumps(redact.tree(fault_matrix.document(judgements, line).as_json()), indent=2))
    (folder / "faults.svg").write_text(redact.text(fault_matrix.svg(judgements)))
    return replace(found, holds=good, line=line, exit_code=ExitCode.HOLDS if good else ExitCode.CHAIN_BROKEN)


def _tell_the_upgrade(config: pytest.Config, found: Verdict) -> Verdict:
    """Write what was seen of an upgrade; return the verdict with the line that tells of it."""
    record, folder = config.stash[PASSAGE_KEY], config.stash[RUN_KEY].folder
    line = upgrade_json.line(record, "chain holds" if found.holds else found.line)
    (folder / "upgrade.json").write_text(json.dumps(redact.tree(upgrade_json.document(record, line).as_json()), indent=2))
    (folder / "upgrade.svg").write_text(redact.text(upgrade_svg.svg(record)))
    return replace(found, line=line)


def _write(config: pytest.Config, found: Verdict, records: list[ClaimRecord], seconds: float) -> None:
    """Write the results into the run's folder."""
    run, progress, settings = config.stash[RUN_KEY], config.stash[PROGRESS_KEY], config.stash[SETTINGS_KEY]
    report = None
    if settings.html and any((run.folder / "allure-results").glob("*-result.json")):
        try:
            with progress.step("HTML report") as step:
                allure_results.write_lost(records, run.folder / "allure-results")
                allure_results.write_steps(records, run.folder / "allure-results")
                allure_html.generate(run.folder / "allure-results", run.folder / "report", BuildCache(settings.cache / "builds"))
                report = "report/index.html"
                step.note(str(settings.out / report))
        except HarnessError as error:
            progress.console.print(f"  no HTML report: {error}")
    target = run.folder / FILE
    measured = config.stash[RECORDER_KEY].measured or list(filter(None, [config.stash.get(MEASURED, None)]))
    content = run_json.document(
        found,
        records,
        run=run,
        steps=progress.steps,
        claims_seconds=seconds,
        cluster=json.loads(target.read_text()) if target.exists() else {},
        measured=measured,
        report=report,
    )
    (run.folder / "run.json").write_text(json.dumps(content.as_json(), indent=2))
    (run.folder / "summary.md").write_text(summary.markdown(content))
