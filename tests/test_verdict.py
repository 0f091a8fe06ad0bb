from datetime import date
from typing import Any

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, KnownIssue
from kubechain.claims.verdict import complete, first_broken, lost, verdict_of
from kubechain.core.errors import ExitCode
from tests.fakes import collected, record


def blocked(link: Link, waits_for: str, why: str = "0/2 Pods ready", **over: Any) -> ClaimRecord:
    return record(link, "blocked", waits_for=waits_for, message=f"blocked by {waits_for}: {why}", **over)


def failed(link: Link, why: str, **over: Any) -> ClaimRecord:
    return record(link, "failed", message=why, **over)


PASSED = record(Link.DEPLOYMENT, "passed")
SKIPPED = record(Link.NODES, "skipped", message="needs 2 nodes")
INCONCLUSIVE = record(Link.DNS, "inconclusive", message="API server unreachable")


def test_chain_holds_if_every_claim_passed() -> None:
    found = verdict_of([PASSED, record(Link.PODS, "passed")], 12.34)
    assert (found.holds, found.exit_code, found.first_broken_link) == (True, ExitCode.HOLDS, None)
    assert found.line == "chain holds: 2 claims in 12.3 s"
    assert found.counts == {"passed": 2, "failed": 0, "blocked": 0, "inconclusive": 0, "skipped": 0, "not run": 0}


def test_first_broken_link_is_the_first_of_the_chain_and_not_the_first_in_time() -> None:
    found = verdict_of([failed(Link.DNS, "no name"), failed(Link.PODS, "0/2 ready"), PASSED], 1)
    assert found.line == "chain broken at PODS: 0/2 ready; also broken: DNS"
    assert (found.holds, found.exit_code, found.first_broken_link) == (False, ExitCode.CHAIN_BROKEN, "PODS")


def test_message_is_that_of_the_first_failed_claim_of_the_link() -> None:
    later, first = failed(Link.PODS, "later", id="CHAIN-PODS-020"), failed(Link.PODS, "first", id="CHAIN-PODS-010")
    found = first_broken([later, first])
    assert found
    assert (found.link, found.message) == ("PODS", "first")


def test_link_that_blocks_claims_is_broken_without_a_failed_claim() -> None:
    found = verdict_of([PASSED, blocked(Link.DNS, "SERVICE"), blocked(Link.CLUSTERIP, "PODS")], 1)
    assert found.line == "chain broken at PODS: 0/2 Pods ready"
    assert found.exit_code == ExitCode.CHAIN_BROKEN


def test_message_of_a_failed_claim_wins_over_that_of_a_blocked_one() -> None:
    found = first_broken([blocked(Link.DNS, "PODS", "waited"), failed(Link.PODS, "what is wrong")])
    assert found
    assert (found.link, found.message) == ("PODS", "what is wrong")


def test_line_names_the_components_and_the_other_broken_links() -> None:
    pods = failed(Link.PODS, "0/2 ready", suspects="kube-scheduler: no sign of life")
    found = verdict_of([failed(Link.DNS, "no name", suspects="coredns: 0 of 2 replicas ready"), pods, INCONCLUSIVE], 1)
    assert found.line == (
        "chain broken at PODS: 0/2 ready (1 more inconclusive); components: kube-scheduler: no sign of life; also broken: DNS"
    )


@pytest.mark.parametrize("waits_for", ["PODS", "CHAIN-PODS-010", "something else"])
def test_run_with_a_blocked_claim_never_holds(waits_for: str) -> None:
    found = verdict_of([PASSED, blocked(Link.DNS, waits_for)], 1)
    assert not found.holds
    assert found.exit_code != ExitCode.HOLDS
    assert found.counts[Outcome.PASSED] == 1
    assert found.counts[Outcome.BLOCKED] == 1


def test_inconclusive_claims_beside_a_broken_link_are_counted() -> None:
    assert verdict_of([failed(Link.PODS, "x"), INCONCLUSIVE], 1).line == "chain broken at PODS: x (1 more inconclusive)"


def test_inconclusive_claim_is_no_verdict() -> None:
    found = verdict_of([PASSED, INCONCLUSIVE], 1)
    assert (found.holds, found.exit_code, found.first_broken_link) == (False, ExitCode.HARNESS, None)
    assert found.line.startswith("no verdict: 1 claim inconclusive: CHAIN-DNS-010: API server unreachable")


def test_run_that_stopped_early_is_no_verdict() -> None:
    found = verdict_of([], 0, trouble="no container engine answers")
    assert (found.holds, found.exit_code) == (False, ExitCode.HARNESS)
    assert found.line == "no verdict: no container engine answers"
    assert not verdict_of([PASSED], 1, trouble="disk full").holds


def test_interrupted_run_without_a_failure_is_no_verdict() -> None:
    found = verdict_of([PASSED, lost(collected(Link.PODS))], 1, interrupted=True)
    assert (found.holds, found.exit_code) == (False, ExitCode.INTERRUPTED)
    assert found.line == "no verdict: interrupted after 1 of 2 claims"
    assert not verdict_of([PASSED], 1, interrupted=True).holds


def test_interrupted_run_reports_a_broken_link() -> None:
    assert verdict_of([failed(Link.PODS, "x")], 1, interrupted=True).exit_code == ExitCode.CHAIN_BROKEN


def test_run_without_claims_does_not_hold() -> None:
    found = verdict_of([], 0)
    assert (found.holds, found.exit_code) == (False, ExitCode.NOTHING_SELECTED)
    assert found.line == "no verdict: no claim was run"


def test_run_of_skipped_claims_does_not_hold() -> None:
    found = verdict_of([SKIPPED, SKIPPED], 0)
    assert (found.holds, found.exit_code) == (False, ExitCode.NOTHING_SELECTED)
    assert "2 skipped: needs 2 nodes (2)" in found.line


def test_line_counts_skipped_claims_by_reason() -> None:
    other = record(Link.HEALING, "skipped", message="needs kind")
    found = verdict_of([PASSED, SKIPPED, other, SKIPPED], 1)
    assert found.holds
    assert found.line == "chain holds: 1 claim in 1.0 s, 3 skipped: needs 2 nodes (2), needs kind (1)"


def test_skipped_claims_are_told_from_the_list_of_broken_links() -> None:
    found = verdict_of([failed(Link.DNS, "x"), failed(Link.PODS, "y"), SKIPPED], 1)
    assert found.line.endswith("; also broken: DNS; 1 skipped: needs 2 nodes (1)")


def test_one_record_for_each_collected_claim_in_their_order() -> None:
    entries = [collected(Link.PODS), collected(Link.DNS)]
    reported = [record(Link.DNS, "passed"), record(Link.PODS, "failed", message="x")]
    assert [found.outcome for found in complete(entries, reported)] == ["failed", "passed"]


def test_claim_that_never_reported_is_inconclusive() -> None:
    entries = [collected(Link.PODS), collected(Link.DNS)]
    found = complete(entries, [record(Link.PODS, "passed")])
    assert [each.outcome for each in found] == ["passed", "inconclusive"]
    assert "never reported" in (found[1].message or "")
    assert not verdict_of(found, 1).holds


def test_claim_that_failed_stays_failed_after_its_teardown() -> None:
    reported = [failed(Link.PODS, "0/2 ready"), record(Link.PODS, "inconclusive", message="cannot delete the namespace")]
    (found,) = complete([collected(Link.PODS)], reported)
    assert (found.outcome, found.message) == ("failed", "0/2 ready")


def test_blocked_claim_stays_blocked_after_its_teardown() -> None:
    reported = [blocked(Link.DNS, "PODS"), record(Link.DNS, "inconclusive", message="cannot delete the namespace")]
    (found,) = complete([collected(Link.DNS)], reported)
    assert (found.outcome, found.waits_for) == ("blocked", "PODS")


def test_claim_that_passed_is_inconclusive_if_its_teardown_fails() -> None:
    reported = [record(Link.PODS, "passed"), record(Link.PODS, "inconclusive", message="cannot delete the namespace")]
    assert complete([collected(Link.PODS)], reported)[0].outcome == "inconclusive"


def test_trouble_in_a_part_of_a_claim_counts_whatever_its_other_parts_and_its_end_say() -> None:
    trouble = record(Link.PODS, "inconclusive", message="server unreachable")
    for later in ("passed", "skipped"):
        (found,) = complete([collected(Link.PODS)], [trouble, record(Link.PODS, later)])
        assert (found.outcome, found.message) == ("inconclusive", "server unreachable")
    (found,) = complete([collected(Link.PODS)], [trouble, failed(Link.PODS, "0/2 ready"), record(Link.PODS, "passed")])
    assert found.outcome == "failed"


def test_known_issue_does_not_excuse_a_teardown_that_fails() -> None:
    issue = KnownIssue(reason="bug 1", owner="ann", expires=date(2999, 1, 1))
    known = failed(Link.PODS, "0/2 ready").model_copy(update={"known": issue})
    (found,) = complete([collected(Link.PODS)], [known, record(Link.PODS, "inconclusive", message="cannot delete")])
    assert (found.outcome, found.message) == ("inconclusive", "cannot delete")
    (found,) = complete([collected(Link.PODS)], [known, record(Link.PODS, "passed")])
    assert found.known == issue


def test_run_that_ended_at_a_broken_link_did_not_run_the_claims_that_had_not_begun() -> None:
    entries = [collected(link) for link in (Link.PODS, Link.DNS, Link.ROLLOUT, Link.HEALING)]
    begun = {entry.nodeid for entry in entries[:2]}
    found = complete(entries, [failed(Link.PODS, "0/2 ready")], begun)
    assert [each.outcome for each in found] == ["failed", "inconclusive", "not run", "not run"]
    verdict = verdict_of(found, 1)
    assert verdict.line == "chain broken at PODS: 0/2 ready (1 more inconclusive); 2 claims not run (--fail-fast)"
    assert verdict.counts[Outcome.NOT_RUN] == 2
    assert verdict.exit_code == ExitCode.CHAIN_BROKEN


def test_run_with_a_claim_that_was_not_run_never_holds() -> None:
    found = verdict_of([PASSED, record(Link.DNS, "not run")], 1)
    assert (found.holds, found.exit_code) == (False, ExitCode.HARNESS)
    assert found.line == "no verdict: the run ended early; 1 claim not run (--fail-fast)"


def test_claims_that_were_not_run_are_not_done() -> None:
    found = verdict_of([PASSED, record(Link.DNS, "not run")], 1, interrupted=True)
    assert found.line.startswith("no verdict: interrupted after 1 of 2 claims; 1 claim not run")
