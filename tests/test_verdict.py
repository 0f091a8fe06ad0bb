import pytest

from kubechain.claims.claim import Link
from kubechain.claims.verdict import complete, first_broken, judge, lost
from kubechain.core.errors import ExitCode
from tests.fakes import record


def blocked(link: Link, waits_for: str, why: str = "0 of 2 ready", **over: object) -> dict[str, object]:
    return record(link, "blocked", waitsFor=waits_for, message=f"blocked by {waits_for}: {why}", **over)


def failed(link: Link, why: str, **over: object) -> dict[str, object]:
    return record(link, "failed", message=why, **over)


PASSED = record(Link.DEPLOYMENT, "passed")
SKIPPED = record(Link.NODES, "skipped", message="needs 2 nodes")
BROKEN = record(Link.DNS, "broken", message="API server unreachable")


def test_chain_holds_if_every_claim_passed() -> None:
    found = judge([PASSED, record(Link.PODS, "passed")], 12.34)
    assert (found.holds, found.exit_code, found.first_broken_link) == (True, ExitCode.HOLDS, None)
    assert found.line == "chain holds: 2 claims in 12.3 s"
    assert found.counts == {"passed": 2, "failed": 0, "blocked": 0, "broken": 0, "skipped": 0}


def test_first_broken_link_is_the_first_of_the_chain_and_not_the_first_in_time() -> None:
    found = judge([failed(Link.DNS, "no name"), failed(Link.PODS, "0/2 ready"), PASSED], 1)
    assert found.line == "chain broken at PODS: 0/2 ready"
    assert (found.holds, found.exit_code, found.first_broken_link) == (False, ExitCode.CHAIN_BROKEN, "PODS")


def test_first_claim_of_the_broken_link_is_told() -> None:
    later, first = failed(Link.PODS, "later", id="CHAIN-PODS-020"), failed(Link.PODS, "first", id="CHAIN-PODS-010")
    assert first_broken([later, first]) == ("PODS", "first")


def test_link_that_others_waited_for_in_vain_is_broken_although_no_claim_of_it_failed() -> None:
    found = judge([PASSED, blocked(Link.DNS, "SERVICE"), blocked(Link.CLUSTERIP, "PODS")], 1)
    assert found.line == "chain broken at PODS: 0 of 2 ready"
    assert found.exit_code == ExitCode.CHAIN_BROKEN


def test_failed_claim_of_a_link_tells_more_than_those_that_waited_for_it() -> None:
    found = first_broken([blocked(Link.DNS, "PODS", "waited"), failed(Link.PODS, "what is wrong")])
    assert found == ("PODS", "what is wrong")


@pytest.mark.parametrize("waits_for", ["PODS", "CHAIN-PODS-010", "something else"])
def test_blocked_claim_is_never_green_whatever_it_waits_for(waits_for: str) -> None:
    found = judge([PASSED, blocked(Link.DNS, waits_for)], 1)
    assert not found.holds
    assert found.exit_code != ExitCode.HOLDS
    assert found.counts["passed"] == 1
    assert found.counts["blocked"] == 1


def test_broken_claims_beside_a_broken_link_are_counted() -> None:
    assert judge([failed(Link.PODS, "x"), BROKEN], 1).line == "chain broken at PODS: x (1 more inconclusive)"


def test_broken_claim_is_no_verdict_and_neither_a_failure_nor_a_pass() -> None:
    found = judge([PASSED, BROKEN], 1)
    assert (found.holds, found.exit_code, found.first_broken_link) == (False, ExitCode.HARNESS, None)
    assert found.line.startswith("no verdict: 1 claims inconclusive: CHAIN-DNS-010: API server unreachable")


def test_trouble_of_the_run_is_no_verdict() -> None:
    found = judge([], 0, trouble="no container engine answers")
    assert (found.holds, found.exit_code) == (False, ExitCode.HARNESS)
    assert found.line == "no verdict: no container engine answers"
    assert not judge([PASSED], 1, trouble="disk full").holds


def test_interrupted_run_is_no_verdict_even_if_all_so_far_passed() -> None:
    found = judge([PASSED, lost(record(Link.PODS, "passed"))], 1, interrupted=True)
    assert (found.holds, found.exit_code) == (False, ExitCode.INTERRUPTED)
    assert found.line == "no verdict: interrupted after 1 of 2 claims"
    assert not judge([PASSED], 1, interrupted=True).holds


def test_interrupted_run_still_tells_a_broken_link() -> None:
    assert judge([failed(Link.PODS, "x")], 1, interrupted=True).exit_code == ExitCode.CHAIN_BROKEN


def test_nothing_selected_is_not_green() -> None:
    found = judge([], 0)
    assert (found.holds, found.exit_code) == (False, ExitCode.NOTHING_SELECTED)
    assert found.line == "no verdict: no claim was run"


def test_only_skips_are_not_green() -> None:
    found = judge([SKIPPED, SKIPPED], 0)
    assert (found.holds, found.exit_code) == (False, ExitCode.NOTHING_SELECTED)
    assert "2 skipped (2 needs 2 nodes)" in found.line


def test_skipped_claims_are_listed_with_their_reasons_in_a_green_line() -> None:
    other = record(Link.HEALING, "skipped", message="needs kind")
    found = judge([PASSED, SKIPPED, other, SKIPPED], 1)
    assert found.holds
    assert found.line == "chain holds: 1 claims in 1.0 s, 3 skipped (2 needs 2 nodes; 1 needs kind)"


def test_one_record_for_each_collected_claim_in_their_order() -> None:
    collected = [record(Link.PODS, ""), record(Link.DNS, "")]
    reported = [record(Link.DNS, "passed"), record(Link.PODS, "failed", message="x")]
    assert [found["outcome"] for found in complete(collected, reported)] == ["failed", "passed"]


def test_claim_that_never_reported_is_broken_and_not_forgotten() -> None:
    collected = [record(Link.PODS, ""), record(Link.DNS, "")]
    found = complete(collected, [record(Link.PODS, "passed")])
    assert [each["outcome"] for each in found] == ["passed", "broken"]
    assert "never reported" in found[1]["message"]
    assert not judge(found, 1).holds


def test_claim_that_was_disproved_stays_so_whatever_its_teardown_says() -> None:
    told = [failed(Link.PODS, "0/2 ready"), record(Link.PODS, "broken", message="cannot delete the namespace")]
    (found,) = complete([record(Link.PODS, "")], told)
    assert (found["outcome"], found["message"]) == ("failed", "0/2 ready")


def test_claim_that_passed_is_broken_if_its_teardown_is() -> None:
    told = [record(Link.PODS, "passed"), record(Link.PODS, "broken", message="cannot delete the namespace")]
    assert complete([record(Link.PODS, "")], told)[0]["outcome"] == "broken"
