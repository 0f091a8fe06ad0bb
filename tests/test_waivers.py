"""Known issues: the file of --waivers, and what they make of a verdict."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims import waivers
from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, KnownIssue
from kubechain.claims.verdict import first_broken, verdict_of
from kubechain.cluster.target import Target
from kubechain.core.errors import ExitCode, SetupError
from reports import allure_results
from tests.fakes import record
from tests.hostile.cases import full
from tests.test_run import Done, project

pytestmark = pytest.mark.whole_runs

TODAY = date(2026, 6, 1)
TARGET = Target("c", "", "staging", "", "u-1", owned=False, temporary=False, nginx="nginx", client="client")
ISSUE = KnownIssue(reason="CoreDNS bug 12", owner="ann", expires=date(2026, 12, 31))
DNS = "- {claim: CHAIN-DNS-010, reason: CoreDNS bug 12, owner: ann, expires: 2026-12-31}\n"


def file(folder: Path, text: str) -> Path:
    path = folder / "known.yaml"
    path.write_text(text)
    return path


def failed(link: Link = Link.DNS, **over: Any) -> ClaimRecord:
    return record(link, "failed", "web is NXDOMAIN", **over)


def known(link: Link = Link.DNS, *, opens: bool = False, **over: Any) -> ClaimRecord:
    return failed(link, **over).model_copy(update={"known": ISSUE, "opens": opens})


PASSED = record(Link.PODS, "passed")
BLOCKED = record(Link.SCALE, "blocked", "blocked by DNS: no answer", waits_for="DNS")


@pytest.mark.parametrize("cluster", ["", ", cluster: staging", ", cluster: u-1"])
def test_failed_claim_with_a_waiver_is_a_known_issue(tmp_path: Path, cluster: str) -> None:
    given = waivers.read(file(tmp_path, DNS.replace("}", f"{cluster}}}")))
    found = given.applied(failed(), TARGET, date(2026, 12, 31))
    assert (found.outcome, found.known) == ("failed", ISSUE)
    assert found.ending == "failed (known: CoreDNS bug 12, ann, until 2026-12-31)"


def test_waiver_of_another_cluster_or_claim_changes_nothing(tmp_path: Path) -> None:
    given = waivers.read(file(tmp_path, DNS.replace("}", ", cluster: prod}")))
    assert given.applied(failed(), TARGET, TODAY) == failed()
    given = waivers.read(file(tmp_path, DNS))
    other = failed(id="CHAIN-DNS-020")
    assert given.applied(other, TARGET, TODAY) == other
    assert given.applied(BLOCKED, TARGET, TODAY) == BLOCKED


def test_expired_waiver_leaves_the_claim_failed_and_says_so(tmp_path: Path) -> None:
    found = waivers.read(file(tmp_path, DNS)).applied(failed(), TARGET, date(2027, 1, 1))
    assert found.known is None
    assert found.message == "web is NXDOMAIN (known issue expired on 2026-12-31: CoreDNS bug 12, ann)"
    assert verdict_of([PASSED, found], 1.0).exit_code == ExitCode.CHAIN_BROKEN


def test_claim_that_passes_makes_its_waiver_stale(tmp_path: Path) -> None:
    given = waivers.read(file(tmp_path, DNS))
    passed = record(Link.DNS, "passed")
    (line,) = given.stale([passed], TARGET)
    assert line == f"known issue CHAIN-DNS-010 no longer fails: remove it from {tmp_path / 'known.yaml'}"
    assert given.stale([record(Link.DNS, "skipped", "needs 2 nodes")], TARGET) == []
    verdict = verdict_of([passed], 1.0, stale=[line])
    assert (verdict.holds, verdict.exit_code) == (False, ExitCode.WAIVERS)
    assert verdict.line == f"{line}; else the chain holds: 1 claim in 1.0 s"
    assert line in verdict_of([passed, failed(Link.PODS)], 1.0, stale=[line]).line


def test_verdict_with_a_known_issue_names_it_and_never_says_only_that_the_chain_holds() -> None:
    verdict = verdict_of([PASSED, known()], 2.0)
    assert (verdict.holds, verdict.exit_code, verdict.first_broken_link) == (True, ExitCode.HOLDS, None)
    assert verdict.line == (
        "chain holds with 1 known issue: "
        "CHAIN-DNS-010 failed (known: CoreDNS bug 12, ann, until 2026-12-31); else 1 claim in 2.0 s"
    )
    assert verdict.counts[Outcome.FAILED] == 1


def test_claims_behind_a_known_issue_stay_blocked_and_are_counted() -> None:
    verdict = verdict_of([PASSED, known(opens=True), BLOCKED], 2.0)
    assert verdict.exit_code == ExitCode.HOLDS
    assert "; 1 claim blocked by DNS; else 1 claim in" in verdict.line
    assert verdict.counts[Outcome.BLOCKED] == 1


def test_known_issue_that_does_not_open_its_link_excuses_no_blocked_claim() -> None:
    verdict = verdict_of([PASSED, known(), BLOCKED], 2.0)
    assert (verdict.exit_code, verdict.first_broken_link) == (ExitCode.CHAIN_BROKEN, Link.DNS)
    assert "CHAIN-DNS-010 failed (known" in verdict.line


def test_known_issue_hides_no_other_failure_and_no_trouble() -> None:
    assert verdict_of([PASSED, known(), failed(Link.API)], 1.0).first_broken_link == Link.API
    assert verdict_of([PASSED, known(), failed(id="CHAIN-DNS-020")], 1.0).first_broken_link == Link.DNS
    assert verdict_of([PASSED, known(), record(Link.API, "inconclusive", "x")], 1.0).exit_code == ExitCode.HARNESS
    full = record(Link.API, "blocked", "blocked by ROOM: full", waits_for="ROOM")
    assert verdict_of([PASSED, known(opens=True), full], 1.0).exit_code == ExitCode.REFUSED
    assert verdict_of([known(opens=True), BLOCKED], 1.0).line.startswith("no verdict: no claim passed")


def test_blocked_claim_alone_breaks_no_link_that_is_known() -> None:
    assert first_broken([BLOCKED], {"DNS"}) is None
    assert first_broken([BLOCKED]) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b\n", "line 1: expected a list"),
        ("- claim: CHAIN-DNS-010\n  owner: ann\n  expires: 2026-12-31\n", "line 1: reason: is missing"),
        (DNS + DNS.replace("ann", '""').replace("010", "020"), "line 2: owner: expected a value"),
        (DNS.replace("2026-12-31", "2026-13-31"), "line 1: expires: expected a date such as 2027-01-31, got '2026-13-31'"),
        (DNS.replace("2026-12-31", "soon"), "line 1: expires: expected a date"),
        ("- claim: CHAIN-DNS-010\n  reason: x\n  owner: y\n  until: 2026-12-31\n", "line 1: expires: is missing"),
        (
            "- claim: CHAIN-DNS-010\n  reason: x\n  owner: y\n  expires: 2026-12-31\n  ticket: 3\n",
            "line 5: ticket: no such field",
        ),
        ("- claim: A\n  claim: B\n", "line 2: claim: given twice; remove one"),
        (DNS + DNS, "line 2: CHAIN-DNS-010: the second waiver of this claim and cluster"),
        ("- [\n", "line 2: not YAML: "),
        ("- x\n", "line 1: "),
    ],
)
def test_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SetupError) as raised:
        waivers.read(file(tmp_path, text))
    assert str(raised.value).startswith(f"--waivers={tmp_path / 'known.yaml'}, {message}")
    assert "\n" not in str(raised.value)
    assert raised.value.code == ExitCode.USAGE


def test_unknown_claim_is_refused_with_its_line(tmp_path: Path) -> None:
    given = waivers.read(file(tmp_path, DNS + DNS.replace("010", "999")))
    with pytest.raises(SetupError, match=r"known.yaml, line 2: no such claim: CHAIN-DNS-999"):
        given.require_claims({"CHAIN-DNS-010"})


def test_known_issue_is_known_to_allure(tmp_path: Path) -> None:
    result = {"labels": [{"name": "claim", "value": "CHAIN-DNS-010"}], "status": "failed", "statusDetails": {"message": "x"}}
    (tmp_path / "a-result.json").write_text(json.dumps(result))
    allure_results.write_steps([known()], tmp_path)
    written = json.loads((tmp_path / "a-result.json").read_text())["statusDetails"]
    assert written == {"known": True, "message": "failed (known: CoreDNS bug 12, ann, until 2026-12-31): x"}


CLAIMS = '''
from kubechain.claims.claim import Link, claim
from kubechain.core.errors import Blocked

@claim("T-PODS-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-DNS-010", spec="x", opens=True)
def test_fails():
    """It MUST resolve."""
    assert False, "no address"

@claim("T-SCALE-010", spec="x")
def test_blocked():
    """It MUST scale."""
    raise Blocked(Link.DNS, "no address")
'''
KNOWN = "- {claim: T-DNS-010, reason: CoreDNS bug 12, owner: ann, expires: 2999-12-31}\n"


def run(folder: Path, text: str, *words: str, **environment: str) -> Done:
    folder.mkdir(exist_ok=True)
    given = {"KUBECHAIN_WAIVERS": str(file(folder, text)), "KUBECHAIN_HTML": "0", **environment}
    return project(folder, words, given, CLAIMS)


@pytest.mark.parametrize("words", [full(()), ("-n", "1")])
def test_run_with_a_known_issue_holds_and_shows_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, KNOWN, *words, KUBECHAIN_FAIL_FAST="1")
    assert done.code == 0, done.output
    line = done.output.strip().splitlines()[-1]
    assert line.startswith(
        "chain holds with 1 known issue: T-DNS-010 failed (known: CoreDNS bug 12, ann, until 2999-12-31); 1 claim blocked"
    )
    assert "known issues" in done.output
    assert "chain broken" not in done.output
    assert done.outcomes == {"T-PODS-010": "passed", "T-DNS-010": "failed", "T-SCALE-010": "blocked"}
    (claim,) = [each for each in done.run["claims"] if each["id"] == "T-DNS-010"]
    assert claim["known"] == {"reason": "CoreDNS bug 12", "owner": "ann", "expires": "2999-12-31"}
    assert "failed (known: CoreDNS bug 12, ann, until 2999-12-31)" in (done.out / "summary.md").read_text()


@pytest.mark.parametrize("words", [(), full(("-n", "1"))])
def test_run_with_a_waiver_of_an_unknown_claim_is_a_usage_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, KNOWN.replace("T-DNS-010", "T-DNS-999"), *words)
    assert done.code == 4, done.output
    assert "INTERNALERROR" not in done.output
    assert "line 1: no such claim: T-DNS-999; `kubechain list` shows all" in done.output or not words


@pytest.mark.hostile
def test_run_with_an_expired_waiver_is_red(tmp_path: Path) -> None:
    expired = run(tmp_path / "expired", KNOWN.replace("2999", "2020"))
    assert expired.code == 1, expired.output
    assert "chain broken at DNS: " in expired.output
    assert "known issue expired on 2020-12-31: CoreDNS bug 12, ann" in expired.run["verdict"]


def test_run_with_a_stale_waiver_is_red(tmp_path: Path) -> None:
    stale = run(tmp_path / "stale", KNOWN + KNOWN.replace("T-DNS-010", "T-PODS-010"))
    assert stale.code == 25, stale.output
    assert stale.run["verdict"].startswith("known issue T-PODS-010 no longer fails: remove it from ")
