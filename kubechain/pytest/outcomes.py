"""Collection and order of claims, their outcomes and their evidence."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim, Link, Outcome
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.cluster.target import Target
from kubechain.core import redact
from kubechain.core.errors import Blocked, ExitCode, HarnessError, NotApplicable, SetupError, Unmet
from kubechain.core.id_lists import ids
from kubechain.core.near_misses import IDS, suggestion
from kubechain.diagnostics.evidence import Occasion, Section, evidence
from kubechain.diagnostics.suspects import changed, suspects
from kubechain.pytest.session import NO_CLUSTER, asks_for_claims, is_of_a_run
from kubechain.pytest.state import RunState, chain_of, claim_state, run_state
from kubechain.workload.chain import Chain

SUITES = "suites/"
CLAIM_PROPERTY = "claim"
BAD = (Outcome.FAILED, Outcome.BLOCKED, Outcome.INCONCLUSIVE)
LETTERS = {
    Outcome.BLOCKED: ("b", "BLOCKED", {"yellow": True}),
    Outcome.INCONCLUSIVE: ("I", "INCONCLUSIVE", {"purple": True}),
    Outcome.NOT_RUN: ("n", "NOT RUN", {"yellow": True}),
}
KNOWN = ("known", "k", ("KNOWN", {"yellow": True}))


class NotRun(pytest.skip.Exception):
    """A claim that has begun to wait for others, but is not run, because the run ends."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of claims."""
    config.addinivalue_line("markers", "claim(record): a statement about the cluster; see kubechain.claims.claim.claim")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Require that every test under suites/ is a claim; keep the claims of the run's level, in the order of the chain."""
    if not any(map(is_of_a_run, items)):
        return
    claims = (item for item in items if item.nodeid.startswith(SUITES) or claim.of(item))
    problems = claim.problems(
        (item.nodeid, claim.of(item)) for item in claims if "fault" not in getattr(item, "fixturenames", ())
    )
    if problems:
        raise pytest.UsageError("; ".join(problems))
    items.sort(key=_place)
    given = run_state(config).settings
    only, also = ids(given.only), ids(given.also)
    _require_known(config, only, {stated.id for item in items if (stated := claim.of(item))})
    deselected = [
        item
        for item in items
        if (stated := claim.of(item)) and not stated.belongs_to(given.level, only, also, chains=given.chains)
    ]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]


def _require_known(config: pytest.Config, only: frozenset[str], ids: set[str]) -> None:
    """End the run with a usage error if --only or a waiver names none of these claims."""
    state = run_state(config)
    try:
        if unknown := only - ids:
            hint = suggestion(min(unknown), ids, IDS)
            what = f"--only: no such claim: {', '.join(sorted(unknown))}{hint}; `kubechain list` shows all"
            raise SetupError(what, ExitCode.USAGE)
        state.waivers.require_claims(ids)
    except SetupError as error:
        raise pytest.UsageError(str(error)) from error


def _place(item: pytest.Item) -> tuple[int, bool, str]:
    stated = claim.of(item)
    return (stated.link.order, not stated.long, stated.id) if stated else (-1, False, "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Make the failed check of a fixture what it is, for Allure too: trouble of the harness."""
    if claim.of(item) and not asks_for_claims(item.config):
        # With xdist, only the workers know that there are claims.
        raise HarnessError(NO_CLUSTER)
    try:
        return (yield)
    except AssertionError as error:
        if isinstance(error, Unmet) or claim.of(item) is None:
            raise
        raise HarnessError(f"a check of a fixture failed: {one_line(error)}") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the claim's record to each report that decides its outcome; the last such report counts."""
    found = claim.of(item)
    # The other styles read the source of every frame, which takes seconds, and show the arguments of functions, which are cut
    # off, so that a secret in them would not be known.
    style = item.config.option.tbstyle
    item.config.option.tbstyle = "native" if found else style
    try:
        report = yield
    finally:
        item.config.option.tbstyle = style
    decides = report.when == "call" or report.outcome != "passed"
    if found and decides and asks_for_claims(item.config):
        error = call.excinfo.value if call.excinfo else None
        outcome = outcome_of(error, report.when or "call")
        record = _record(found, item, outcome, error, report.duration)
        record = record.model_copy(update={"suspects": suspects_of(record, chain_of(item), run_state(item.config))})
        record = without_secrets(waived(record, run_state(item.config)))
        if outcome in (Outcome.FAILED, Outcome.BLOCKED):
            # The message is enough; a traceback through the wait says nothing about the cluster.
            ending = f"{record.ending}: " if record.known else ""
            report.longrepr = f"{found.id} ({found.link}): {found.must}\n  {ending}{record.message}"
        elif outcome == Outcome.INCONCLUSIVE:
            report.longrepr = traceback_of(report, record, run_state(item.config))
        # What the terminal, JUnit and Allure show of it.
        report.sections = [(title, redact.text(text)) for title, text in report.sections]
        # As JSON: xdist carries no other objects from a worker to the controller.
        report.user_properties = [*report.user_properties, (CLAIM_PROPERTY, record.as_json())]
        _finish(item, record, run_state(item.config))
    return report


def waived(record: ClaimRecord, state: RunState) -> ClaimRecord:
    """Return the record of a failed claim as a known issue, if the waivers of the run say so."""
    if not state.waivers.entries or record.outcome != Outcome.FAILED:
        return record
    return state.waivers.applied(record, Target.read(state.run.folder), state.run.started.date())


def known_links(state: RunState) -> set[str]:
    """Return the links that have known issues on the cluster of the run."""
    return state.waivers.links(Target.read(state.run.folder), state.run.started.date()) if state.waivers.entries else set()


def traceback_of(report: pytest.TestReport, record: ClaimRecord, state: RunState) -> str:
    """Return the traceback of the trouble of an inconclusive claim; its message alone if an earlier claim had the same."""
    message = f"{record.id} ({record.link}): {record.message}"
    known = record.message in state.troubles
    state.troubles.add(record.message or "")
    return message if known else f"{redact.text(report.longreprtext)}\n{message}"


def _finish(item: pytest.Item, record: ClaimRecord, state: RunState) -> None:
    """Collect the evidence on a claim that did not pass, while its chain still exists, and call the hooks."""
    failed = record.outcome in BAD
    sections = evidence_on(item, record, state) if failed else []
    if sections:
        write_evidence(state.run.folder / "evidence", record, sections)
    item.config.hook.pytest_kubechain_claim_finished(item=item, record=record, evidence=sections)
    if state.upgrade.record:
        item.config.hook.pytest_kubechain_upgrade_finished(item=item, record=state.upgrade.record, failed=failed)


def evidence_on(item: pytest.Item, record: ClaimRecord, state: RunState) -> list[Section]:
    """Return the evidence on a claim that did not pass; [] for a blocked claim if the same link of the chain had evidence."""
    chain = chain_of(item)
    if chain is None:
        return []
    place = (chain.namespace, record.waits_for or record.link)
    known = place in state.evidence
    state.evidence.add(place)
    if known and record.waits_for:
        return []
    own = chain.cluster_nodes.own if chain.cluster_nodes else ""
    docker = Target.read(state.run.folder).docker if own else ""
    link = Link(record.waits_for) if record.waits_for in list(Link) else record.link
    asked = frozenset(wait.what for wait in record.waits)
    return evidence(chain, Occasion(claim_state(item).began, asked, link, Path(docker) if docker else None))


def suspects_of(record: ClaimRecord, chain: Chain | None, state: RunState) -> str:
    """Return what the cluster shows of the components behind the link that a claim found broken, once for each link."""
    if chain is None or record.outcome not in (Outcome.FAILED, Outcome.BLOCKED):
        return ""
    if record.waits_for in list(Obstacle):
        return ""
    link = Link(record.waits_for) if record.waits_for else record.link
    if link not in state.suspects:
        # A run in one namespace looks at nothing outside of it.
        found = [changed(chain), suspects(chain.api, link, chain.namespace, inside=bool(chain.api.shape.marks))]
        state.suspects[link] = redact.text("; ".join(filter(None, found)))
    return state.suspects[link]


def write_evidence(folder: Path, record: ClaimRecord, sections: Sequence[Section]) -> None:
    """Write the evidence on a claim into the file <id>.txt in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(f"# {section.title}\n{section.text}" for section in sections)
    (folder / f"{record.id}.txt").write_text(f"{record.must}\n{record.message or ''}\n\n{text}\n", encoding="utf-8")


def outcome_of(error: BaseException | None, when: str) -> Outcome:
    """Return the outcome of a claim from the exception of its test, and the phase of the test.

    FAILED needs an Unmet in any phase, or an AssertionError of the claim itself (phase "call"). Every other exception is
    trouble of the harness, and INCONCLUSIVE.
    """
    if error is None:
        return Outcome.PASSED
    if isinstance(error, Blocked):
        return Outcome.BLOCKED
    if isinstance(error, NotRun):
        return Outcome.NOT_RUN
    if isinstance(error, (pytest.skip.Exception, NotApplicable)):
        return Outcome.SKIPPED
    if isinstance(error, Unmet) or (isinstance(error, AssertionError) and when == "call"):
        return Outcome.FAILED
    return Outcome.INCONCLUSIVE


def _record(stated: Claim, item: pytest.Item, outcome: Outcome, error: BaseException | None, seconds: float) -> ClaimRecord:
    state = claim_state(item)
    return CollectedClaim.of(stated, item.nodeid).ended(
        outcome,
        one_line(error) if error else None,
        waits_for=error.waits_for if isinstance(error, Blocked) else None,
        seconds=seconds,
        worker=getattr(item.config, "workerinput", {}).get("workerid", "main"),
        measured=state.metrics,
        waits=state.waits,
    )


def without_secrets(record: ClaimRecord) -> ClaimRecord:
    """Return a record with every text redacted."""
    return ClaimRecord.model_validate(redact.tree(record.as_json()))


def one_line(error: BaseException) -> str:
    """Return an exception's message in one line, or the name of its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


def recorded(report: pytest.TestReport) -> ClaimRecord | None:
    """Return the claim's record in a report, None if the report decides no outcome."""
    content = next((value for name, value in report.user_properties if name == CLAIM_PROPERTY), None)
    return ClaimRecord.model_validate(content) if content else None


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show blocked and inconclusive claims with letters and words of their own."""
    record = recorded(report) if isinstance(report, pytest.TestReport) else None  # pyright: ignore[reportUnnecessaryIsInstance]  # also called for collection
    if record and record.known:
        return KNOWN
    shown = LETTERS.get(record.outcome) if record else None
    return (record.outcome.value, shown[0], (shown[1], shown[2])) if shown and record else None
