"""Claims with subtests of pytest: what counts, in every result alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord
from kubechain.claims.verdict import latest
from reports import allure_results
from tests.fakes import record
from tests.test_run import project

CLAIMS = '''
import pytest
from kubechain.claims.claim import Link, claim
from kubechain.core.errors import Blocked, HarnessError

def each(subtests, errors):
    for error in errors:
        with subtests.test("part"):
            if error:
                raise error

SKIPPED, FAILED, LOST = pytest.skip.Exception("needs 2 nodes"), AssertionError("expected 2, got 1"), HarnessError("no answer")

@claim("T-PODS-010", spec="x")
def test_one_failed(subtests):
    """It MUST hold in each part."""
    each(subtests, [None, FAILED, None])

@claim("T-PODS-020", spec="x")
def test_skipped_and_failed(subtests):
    """It MUST hold in each part that applies."""
    each(subtests, [SKIPPED, FAILED])

@claim("T-PODS-030", spec="x")
def test_lost_and_failed(subtests):
    """It MUST hold, whatever else happens."""
    each(subtests, [LOST])
    raise FAILED

@claim("T-PODS-040", spec="x")
def test_lost(subtests):
    """It MUST be told."""
    each(subtests, [None, LOST, SKIPPED])

@claim("T-PODS-050", spec="x")
def test_all_skipped(subtests):
    """It MUST apply."""
    each(subtests, [SKIPPED, SKIPPED])

@claim("T-PODS-060", spec="x")
def test_some_skipped(subtests):
    """It MUST hold where it applies."""
    each(subtests, [SKIPPED, None])

@claim("T-PODS-070", spec="x")
def test_lost_and_blocked(subtests):
    """It MUST wait."""
    each(subtests, [LOST])
    raise Blocked(Link.ENDPOINTS, "no address")

@claim("T-PODS-080", spec="x")
@pytest.mark.parametrize("fails", [True, False])
def test_of_two(subtests, fails):
    """It MUST hold for each parameter."""
    each(subtests, [SKIPPED, FAILED if fails else None])
'''
OUTCOMES = {
    "T-PODS-010": ["failed"],
    "T-PODS-020": ["failed"],
    "T-PODS-030": ["failed"],
    "T-PODS-040": ["inconclusive"],
    "T-PODS-050": ["skipped"],
    "T-PODS-060": ["passed"],
    "T-PODS-070": ["blocked"],
    "T-PODS-080": ["failed", "passed"],
}
ELEMENTS = {"failure": "failed", "error": "broken", "skipped": "skipped"}


def listed(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return id -> what each test of the claim ended with, sorted."""
    found: dict[str, list[str]] = {}
    for name, outcome in sorted(pairs):
        found.setdefault(name, []).append(outcome)
    return found


@pytest.mark.whole_runs
def test_claim_ends_alike_in_every_result(tmp_path: Path) -> None:
    done = project(tmp_path, (), {}, CLAIMS)
    assert listed((each["id"], each["outcome"]) for each in done.run["claims"]) == OUTCOMES, done.output
    shown = {name: [allure_results.STATUS[Outcome(each)] for each in outcomes] for name, outcomes in OUTCOMES.items()}
    results = [json.loads(file.read_text()) for file in (done.out / "allure-results").glob("*-result.json")]
    assert listed((result["name"].split()[0], result["status"]) for result in results) == shown
    messages = {result["name"].split()[0]: result.get("statusDetails", {}).get("message", "") for result in results}
    assert "expected 2, got 1" in messages["T-PODS-030"]
    assert messages["T-PODS-070"] == "Blocked: blocked by ENDPOINTS: no address"
    cases = ElementTree.parse(done.out / "junit.xml").getroot().iter("testcase")  # noqa: S314  # our own file
    ends = [(case.get("name", ""), [ELEMENTS[each.tag] for each in case if each.tag in ELEMENTS]) for case in cases]
    assert listed((name.partition("[")[0], (end or ["passed"])[0]) for name, end in ends) == shown
    assert done.output.strip().splitlines()[-1].startswith("chain broken at PODS: expected 2, got 1 (1 more inconclusive)")


def of(*outcomes: str) -> ClaimRecord:
    return next(iter(latest(record(Link.PODS, outcome, outcome) for outcome in outcomes).values()))


@pytest.mark.parametrize(
    ("outcomes", "counts"),
    [
        (("skipped", "passed"), "skipped"),
        (("skipped", "skipped", "passed"), "skipped"),
        (("skipped", "passed", "passed"), "passed"),
        (("passed", "skipped", "passed"), "passed"),
        (("skipped", "failed", "passed"), "failed"),
        (("passed", "skipped"), "skipped"),
    ],
)
def test_claim_whose_subtests_were_all_skipped_was_skipped(outcomes: tuple[str, ...], counts: str) -> None:
    assert of(*outcomes).outcome == counts


def test_result_that_is_cut_off_is_left_as_it_is(tmp_path: Path) -> None:
    torn = tmp_path / "torn-result.json"
    torn.write_text('{"name": "interr')
    lost = record(Link.DNS, "inconclusive", "lost")
    for write in (allure_results.write_statuses, allure_results.write_lost, allure_results.write_steps):
        write([lost], tmp_path)
    assert torn.read_text() == '{"name": "interr'
    assert len(list(tmp_path.iterdir())) == 2
