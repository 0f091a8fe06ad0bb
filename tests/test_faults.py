import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import RunRecord
from kubechain.claims.verdict import verdict_of
from kubechain.core.errors import ExitCode
from kubechain.faults import trial
from kubechain.faults.catalogue import dns, selection
from kubechain.faults.fault import Fault, FaultKind, Prepared
from kubechain.faults.injections import frozen
from kubechain.faults.records import FaultSeconds
from kubechain.faults.scoring import score, verdict_line
from kubechain.kube.objects import Json
from kubechain.workload.gates import used
from reports import fault_list, fault_matrix
from reports.catalogue import collect
from tests.fakes import FakeApi, record, run_record

PODS = Fault("pods", "node", "Pods do not start", Link.PODS, frozen("x"), ("CHAIN-PODS-010",), "PodScheduled")
UNREACHABLE = Fault("unreachable", "control plane", "no API server", "unreachable", frozen("x"))
HARMLESS = Fault("harmless", "harmless", "nothing", None, frozen("x"))


NO_TIME = FaultSeconds()


def run(first: str | None = None, *, code: int = 1, message: str = "PodScheduled is False") -> RunRecord:
    pods = record(Link.PODS, "failed", message) if first == "PODS" else record(Link.PODS, "passed")
    return run_record(first, pods, code=code)


def test_fault_is_killed_at_its_link_by_a_message_with_its_symptom() -> None:
    assert score(PODS, run("PODS"), NO_TIME).result == "killed"


@pytest.mark.parametrize(
    ("record", "result"),
    [
        (run(code=0), "survived"),
        (run("ENDPOINTS"), "misattributed"),
        (run("PODS", message="something else"), "misattributed"),
        (run(None, code=int(ExitCode.UNREACHABLE)), "misattributed"),
    ],
)
def test_fault_without_its_link_and_symptom_is_not_killed(record: RunRecord, result: str) -> None:
    scored = score(PODS, record, NO_TIME)
    assert (scored.result, scored.good) == (result, False)


def test_failure_of_another_claim_does_not_kill_a_fault() -> None:
    other = run_record("PODS", record(Link.PODS, "failed", "PodScheduled", id="CHAIN-PODS-020"))
    assert score(PODS, other, NO_TIME).result == "misattributed"


def test_failures_that_a_fault_does_not_explain_are_misattributed() -> None:
    expected = record(Link.PODS, "failed", "PodScheduled is False")
    service = record(Link.SERVICE, "failed", "no nodePort", id="CHAIN-SERVICE-020")
    scored = score(PODS, run_record("PODS", expected, service), NO_TIME)
    assert scored.result == "misattributed"
    assert scored.why.startswith("CHAIN-SERVICE-020 failed, and does not use what the fault breaks (PODS)")
    both = replace(PODS, breaks=(Link.SERVICE,))
    assert score(both, run_record("PODS", expected, service), NO_TIME).result == "killed"
    users = [record(Link.ENDPOINTS, "failed", "none", id=f"CHAIN-ENDPOINTS-0{number}0") for number in range(1, 4)]
    assert score(PODS, run_record("PODS", expected, *users[:2]), NO_TIME).result == "killed"
    assert score(PODS, run_record("PODS", expected, *users), NO_TIME).why.startswith("4 claims failed, not one")


def test_other_link_that_is_broken_too_must_be_named() -> None:
    pods, service = record(Link.PODS, "failed", "PodScheduled"), record(Link.SERVICE, "failed", "no nodePort")
    both = replace(PODS, also=(Link.SERVICE,))
    named = verdict_of([pods, service], 1).line
    run = run_record("PODS", pods, service)
    assert score(both, run.model_copy(update={"verdict": named}), NO_TIME).result == "killed"
    scored = score(both, run.model_copy(update={"verdict": verdict_of([pods], 1).line}), NO_TIME)
    assert (scored.result, scored.why) == ("misattributed", "SERVICE not called broken, too: chain broken at PODS: PodScheduled")


def test_fault_that_no_claim_states_is_named_by_a_claim_that_it_blocks() -> None:
    unstated, blocked = replace(PODS, claims=()), record(Link.DNS, "blocked", "blocked by PODS: PodScheduled", waits_for="PODS")
    assert score(unstated, run_record("PODS", blocked), NO_TIME).result == "killed"
    assert score(PODS, run_record("PODS", blocked), NO_TIME).why == "none of CHAIN-PODS-010 failed"
    assert score(unstated, run_record("PODS", record(Link.PODS, "passed")), NO_TIME).why == "no claim is blocked by PODS"
    other = record(Link.DNS, "blocked", "blocked by PODS: no image", waits_for="PODS")
    assert score(unstated, run_record("PODS", other), NO_TIME).why.startswith("no message names the symptom /PodScheduled/")


def test_fault_in_the_middle_is_named_by_its_claim_or_by_one_that_it_blocks() -> None:
    midway, blocked = (
        replace(PODS, midway=Link.DNS),
        record(Link.DNS, "blocked", "blocked by PODS: PodScheduled", waits_for="PODS"),
    )
    assert score(midway, run_record("PODS", blocked), NO_TIME).result == "killed"
    assert score(midway, run("PODS"), NO_TIME).result == "killed"


def test_unreachable_cluster_must_end_without_a_verdict() -> None:
    assert score(UNREACHABLE, run(None, code=int(ExitCode.UNREACHABLE)), NO_TIME).result == "killed"
    assert score(UNREACHABLE, run("PODS"), NO_TIME).result == "misattributed"
    assert score(UNREACHABLE, run(code=0), NO_TIME).result == "survived"
    assert score(UNREACHABLE, run(None, code=int(ExitCode.NOTHING_SELECTED)), NO_TIME).result == "misattributed"


def test_refusal_must_be_named_and_break_no_link() -> None:
    refused = Fault("refused", "admission", "no Pods", "refused", frozen("x"), symptom="policy 'x'")
    said = run(None, code=int(ExitCode.REFUSED)).model_copy(update={"verdict": "no verdict: Pod web: policy 'x' denied"})
    assert score(refused, said, NO_TIME).result == "killed"
    assert score(refused, said.model_copy(update={"verdict": "no verdict: Pod web"}), NO_TIME).result == "misattributed"
    assert score(refused, said.model_copy(update={"exit_code": ExitCode.HARNESS}), NO_TIME).result == "misattributed"
    assert score(refused, run("PODS", message="policy 'x'"), NO_TIME).result == "misattributed"
    assert score(refused, run(code=0), NO_TIME).result == "survived"


def test_harmless_change_must_stay_green() -> None:
    assert score(HARMLESS, run(code=0), NO_TIME).result == "green"
    assert score(HARMLESS, run("DNS"), NO_TIME).result == "false alarm"
    assert score(HARMLESS, run(None, code=10), NO_TIME).result == "false alarm"


def test_verdict_is_good_only_if_every_fault_has_a_score_and_every_score_is_good() -> None:
    killed, green = score(PODS, run("PODS"), NO_TIME), score(HARMLESS, run(code=0), NO_TIME)
    survived = score(PODS, run(code=0), NO_TIME)
    assert verdict_line([killed, green], 2)[0]
    assert not verdict_line([killed, green], 3)[0]
    assert not verdict_line([], 0)[0]
    good, line = verdict_line([killed, survived], 2)
    assert not good
    assert "1 of 2 killed" in line
    assert "pods (survived)" in line


def test_every_fault_names_claims_that_exist_and_one_of_its_link() -> None:
    known = {entry.claim.id: entry.claim.link for entry in collect()}
    for fault in selection.ALL:
        assert {*fault.claims, *fault.upgrade_claims} <= set(known), fault.id
        if isinstance(fault.at, Link):
            assert not fault.claims or fault.at in {known[claim] for claim in fault.claims}, fault.id
            assert fault.symptom, fault.id


def test_only_a_fault_that_no_claim_states_names_no_claim() -> None:
    without = {fault.id for fault in selection.ALL if isinstance(fault.at, Link) and not fault.claims}
    assert {fault.id for fault in selection.ALL if fault.id in without and not fault.midway} == {"client-image-missing"}


def test_links_that_must_be_named_too_can_be_tried_while_the_first_is_broken() -> None:
    for fault in selection.ALL:
        assert not [link for link in fault.also if fault.at in used(link, ())], fault.id


def test_ids_are_unique() -> None:
    ids = [fault.id for fault in selection.ALL]
    assert len(set(ids)) == len(ids)


def test_short_form_has_one_fault_of_each_kind_but_those_of_the_workload() -> None:
    """Under those the suite waits a minute for Pods, or at three links in turn; the short form is for every change."""
    chosen = selection.chosen(short=True, only=frozenset())
    assert sorted(fault.kind for fault in chosen) == sorted({*get_args(FaultKind)} - {"workload"})
    assert "dns-gone" in [fault.id for fault in chosen]


def test_catalogue_has_at_least_45_faults_and_8_harmless_changes() -> None:
    harmless = sum(fault.at is None for fault in selection.ALL)
    assert len(selection.ALL) - harmless >= 45
    assert harmless >= 8


def test_unknown_fault_is_an_error_with_its_id() -> None:
    with pytest.raises(ValueError, match="no such fault: nonsense"):
        selection.chosen(short=False, only=frozenset(["nonsense"]))


def test_picture_shows_each_fault_and_what_was_found() -> None:
    picture = fault_matrix.svg([score(PODS, run("PODS"), FaultSeconds(verdict=12.0)), score(HARMLESS, run("DNS"), NO_TIME)])
    assert "pods" in picture
    assert "killed at PODS, 12 s" in picture
    assert "false alarm at DNS" in picture
    assert fault_matrix.COLOURS[Outcome.FAILED] in picture


def test_document_lists_every_fault() -> None:
    text = fault_list.markdown()
    assert all(f"| {fault.id}" in text for fault in selection.ALL)


def test_only_the_old_kubelet_is_prepared_before_the_first_fault() -> None:
    assert [fault.id for fault in selection.ALL if isinstance(fault.injection, Prepared)] == ["upgrade-kubelet-old"]


def dns_pod(phase: str, **metadata: Any) -> Json:
    return {"metadata": {"name": phase, **metadata}, "status": {"phase": phase}}


def test_dns_servers_are_pods_that_have_not_ended() -> None:
    pods = [dns_pod("Running"), dns_pod("Failed"), dns_pod("Succeeded"), dns_pod("Pending", deletionTimestamp="now")]
    api = FakeApi(lambda _method, _path, _body: json.dumps({"metadata": {"resourceVersion": "1"}, "items": pods}))
    assert [pod.name for pod in dns.servers(cast("Any", SimpleNamespace(api=api)))] == ["Running"]


def test_faults_that_stop_or_restart_the_api_server_are_known() -> None:
    disrupting = {fault.id for fault in selection.ALL if trial.disrupts_api_server(fault)}
    assert {"apiserver-frozen", "etcd-frozen", "apiserver-stopped", "node-port-range-moved", "upgrade-api-removed"} <= disrupting
    assert not disrupting & {
        "exec-refused-for-client",
        "scheduler-stopped",
        "deployment-controller-off",
        "kubelets-stopped",
        "dns-gone",
    }
