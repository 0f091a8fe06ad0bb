"""Which tests are claims, in which order they run, and how each of them ends."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim, Outcome
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.core import redact
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.diagnostics.evidence import Section, evidence
from kubechain.pytest.session import NO_CLUSTER, asks_for_claims, is_of_a_run
from kubechain.pytest.state import RunState, claim_state, run_state
from kubechain.workload.chain import Chain

SUITES = "suites/"
CLAIM_PROPERTY = "claim"
BAD = (Outcome.FAILED, Outcome.BLOCKED, Outcome.INCONCLUSIVE)
LETTERS = {Outcome.BLOCKED: ("b", "BLOCKED", {"yellow": True}), Outcome.INCONCLUSIVE: ("I", "INCONCLUSIVE", {"purple": True})}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "claim(record): a statement about the cluster; see kubechain.claims.claim.claim")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check that every test under suites/ is a claim of its own; keep the claims of the run's level, in chain order."""
    if not any(map(is_of_a_run, items)):
        return
    stated = (item for item in items if item.nodeid.startswith(SUITES) or claim.of(item))
    wrong = claim.problems((item.nodeid, claim.of(item)) for item in stated if "fault" not in getattr(item, "fixturenames", ()))
    if wrong:
        raise pytest.UsageError("; ".join(wrong))
    items.sort(key=_place)
    settings = run_state(config).settings
    only = frozenset(filter(None, settings.only.split(",")))
    unknown = only - {found.id for item in items if (found := claim.of(item))}
    if unknown:
        raise pytest.UsageError(f"KUBECHAIN_ONLY: no such claim: {', '.join(sorted(unknown))}")
    left_out = [item for item in items if (found := claim.of(item)) and not found.belongs_to(settings.level, only)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _place(item: pytest.Item) -> tuple[int, bool, str]:
    found = claim.of(item)
    return (found.link.order, not found.long, found.id) if found else (-1, False, "")


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
    """Put the claim's record into each report that decides its outcome; the last one holds."""
    report = yield
    found = claim.of(item)
    decides = report.when == "call" or report.outcome != "passed"
    if found and decides and asks_for_claims(item.config):
        error = call.excinfo.value if call.excinfo else None
        outcome = outcome_of(error, report.when or "call")
        record = _record(found, item, outcome, error, report.duration)
        if outcome in (Outcome.FAILED, Outcome.BLOCKED):
            # The message says it all; a trace through the wait says nothing of the cluster.
            report.longrepr = f"{found.id} ({found.link}): {found.must}\n  {record.message}"
        # As JSON: xdist carries no other objects from a worker to the controller.
        report.user_properties = [*report.user_properties, (CLAIM_PROPERTY, record.as_json())]
        _tell(item, record, run_state(item.config))
    return report


def _tell(item: pytest.Item, record: ClaimRecord, state: RunState) -> None:
    """Tell every plugin how a claim ended, with the evidence while its chain still stands."""
    failed = record.outcome in BAD
    sections = evidence_on(item, record, state) if failed else []
    if sections:
        write_evidence(state.run.folder / "evidence", record, sections)
    item.config.hook.pytest_kubechain_claim_finished(item=item, record=record, evidence=sections)
    if state.upgrade.record:
        item.config.hook.pytest_kubechain_upgrade_finished(item=item, record=state.upgrade.record, failed=failed)


def evidence_on(item: pytest.Item, record: ClaimRecord, state: RunState) -> list[Section]:
    """Return the evidence on a claim that did not pass; none where the same link was shown on the same chain before."""
    chain = chain_of(item)
    if chain is None:
        return []
    place = (chain.namespace, record.waits_for or record.link)
    known = place in state.evidence
    state.evidence.add(place)
    return [] if known and record.waits_for else evidence(chain)


def write_evidence(folder: Path, record: ClaimRecord, sections: Sequence[Section]) -> None:
    """Write the evidence on a claim into a file of the claim's name."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(f"# {section.title}\n{section.text}" for section in sections)
    (folder / f"{record.id}.txt").write_text(f"{record.must}\n{redact.text(record.message or '')}\n\n{text}\n")


def chain_of(item: pytest.Item) -> Chain | None:
    """Return the chain that a claim looks at: its own, the shared one, or that of a scenario; None if it looks at none."""
    if chain := claim_state(item).chain:
        return chain
    values: list[Any] = list(getattr(item, "funcargs", {}).values())
    found = (value if isinstance(value, Chain) else getattr(value, "chain", None) for value in values)
    return next((each for each in found if isinstance(each, Chain)), None)


def outcome_of(error: BaseException | None, when: str) -> Outcome:
    """Tell how a claim ended from what its test raised.

    Only a statement about the cluster that proved wrong is a failure: an AssertionError of the claim itself, or an
    Unmet of the one wait anywhere. Everything else that is raised is trouble of the harness.
    """
    if error is None:
        return Outcome.PASSED
    if isinstance(error, Blocked):
        return Outcome.BLOCKED
    if isinstance(error, pytest.skip.Exception):
        return Outcome.SKIPPED
    if isinstance(error, Unmet) or (isinstance(error, AssertionError) and when == "call"):
        return Outcome.FAILED
    return Outcome.INCONCLUSIVE


def _record(found: Claim, item: pytest.Item, outcome: Outcome, error: BaseException | None, seconds: float) -> ClaimRecord:
    state = claim_state(item)
    return CollectedClaim.of(found, item.nodeid).ended(
        outcome,
        one_line(error) if error else None,
        waits_for=error.waits_for if isinstance(error, Blocked) else None,
        seconds=seconds,
        worker=getattr(item.config, "workerinput", {}).get("workerid", "main"),
        measured=state.metrics,
        waits=state.waits,
    )


def one_line(error: BaseException) -> str:
    """Return an exception's message on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def recorded(report: pytest.TestReport) -> ClaimRecord | None:
    """Return the claim's record in a report, None if the report decides nothing."""
    content = next((value for name, value in report.user_properties if name == CLAIM_PROPERTY), None)
    return ClaimRecord.model_validate(content) if content else None


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show blocked and inconclusive claims as what they are, not as failures."""
    record = recorded(report) if isinstance(report, pytest.TestReport) else None  # pyright: ignore[reportUnnecessaryIsInstance]  # also called for collection
    shown = LETTERS.get(record.outcome) if record else None
    return (record.outcome.value, shown[0], (shown[1], shown[2])) if shown and record else None
