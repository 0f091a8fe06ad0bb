import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubechain.claims import verdict
from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.requirements import OWN_CLUSTER
from kubechain.core.progress import Progress, Step
from kubechain.core.run import Run
from kubechain.core.settings import load
from kubechain.observe.wait_record import WaitRecord
from kubechain.pytest.results import RunResult
from reports import allure_results, run_json, summary
from tests.fakes import claim_of, record

WAIT = WaitRecord(what="objects", condition="2 Pods ready", seconds=1.5, observations=3, ended_by="change 7")
RECORDS = [
    record(Link.PODS, "passed", waits=[WAIT]),
    record(Link.DNS, "failed", message="web is NXDOMAIN", must="A name MUST resolve."),
    record(Link.CLUSTERIP, "blocked", waits_for="ENDPOINTS", message="blocked by ENDPOINTS: none"),
    record(Link.API, "inconclusive", message="unreachable"),
    record(Link.NODES, "skipped", message="needs 2 nodes"),
]
MEASURED = {
    "probeFrom": "host",
    "images": {"nginxImage": "docker.io/library/nginx@sha256:aa"},
    "changeToWaitMs": [1.0, 2.0, 9.0],
    "timeline": [{"what": "Pod ready", "seconds": 1.2}],
}


def content(records: list[ClaimRecord], measured: list[dict[str, Any]]) -> RunRecord:
    run = Run("0a1b2c3d", Path("x"), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    cluster = {"name": "c", "context": "kind-c", "uid": "u", "owned": True, "versions": {"server": "v1.37.2"}}
    progress = Progress(steps=[Step("container engine", 1.234, ["running"])])
    found = verdict.verdict_of(records, 3.21)
    return run_json.document(RunResult(run, load(), progress, found, records, 3.21, cluster, measured))


def test_run_json_has_verdict_counts_and_claims() -> None:
    run = json.loads(json.dumps(content(RECORDS, [MEASURED]).as_json()))
    assert run["verdict"].startswith("chain broken at ENDPOINTS: none")
    assert (run["holds"], run["firstBrokenLink"], run["exitCode"]) == (False, "ENDPOINTS", 1)
    assert run["counts"] == {"passed": 1, "failed": 1, "blocked": 1, "inconclusive": 1, "skipped": 1, "not run": 0}
    assert run["started"] == "2026-01-02T03:04:05Z"
    assert [claim["id"] for claim in run["claims"]] == [each.id for each in RECORDS]


def test_run_json_has_versions_phases_and_latency() -> None:
    run = content(RECORDS, [MEASURED, {**MEASURED, "changeToWaitMs": [5.0]}]).as_json()
    assert run["versions"]["server"] == "v1.37.2"
    assert run["versions"]["nginxImage"] == "docker.io/library/nginx@sha256:aa"
    assert {"kubechain", "python", "pytest", "kubernetes"} <= set(run["versions"])
    assert [phase["phase"] for phase in run["phases"]] == ["container engine", "claims"]
    assert run["changeToWaitMs"] == {"count": 4, "median": 3.5, "p99": 8.88, "max": 9.0}
    assert (run["probeFrom"], run["timeline"]) == ("host", MEASURED["timeline"])


def test_run_json_without_claims_has_null_figures() -> None:
    run = content([], []).as_json()
    assert (run["probeFrom"], run["changeToWaitMs"], run["timeline"], run["holds"]) == (None, None, [], False)


# Whole numbers: a quantile of floats may be off by the last bit.
MILLISECONDS = st.lists(st.integers(0, 1_000_000).map(float), min_size=1, max_size=200)


@given(MILLISECONDS)
def test_latencies_are_in_order_and_end_with_the_maximum(values: list[float]) -> None:
    found = run_json.latency(values)
    assert found
    assert min(values) <= found.median <= found.p99 <= found.max == max(values)
    assert found.count == len(values)
    # It lies at 99 % of the way from the first to the last value.
    assert sum(value <= found.p99 for value in values) >= 0.99 * (len(values) - 1)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([float(n) for n in range(101, 0, -1)], {"count": 101, "median": 51, "p99": 100, "max": 101}),
        ([1.0, 2.0], {"count": 2, "median": 1.5, "p99": 1.99, "max": 2}),
        ([0.123], {"count": 1, "median": 0.12, "p99": 0.12, "max": 0.12}),
        ([], None),
    ],
)
def test_latency_has_count_median_p99_and_max(values: list[float], found: dict[str, float] | None) -> None:
    made = run_json.latency(values)
    assert (made.as_json() if made else None) == found


def test_summary_lists_every_claim_that_did_not_pass_with_its_message() -> None:
    text = summary.markdown(content(RECORDS, [MEASURED]))
    assert text.startswith("## ❌ chain broken at ENDPOINTS: none")
    for title in ("### Failed", "### Blocked", "### Inconclusive", "### Skipped"):
        assert title in text
    assert "- **CHAIN-DNS-010** A name MUST resolve.<br>web is NXDOMAIN" in text
    assert "| ✅ PODS | 1 |" in text
    assert "| ❌ DNS |  | 1 |" in text
    assert "| ❌ CLUSTERIP |  |  | 1 |" in text
    assert "| ❌ API |  |  |  | 1 |" in text
    assert "| 1.50 |  | CHAIN-PODS-010 | 2 Pods ready |" in text
    assert "| Pod ready | 1.200 |" in text


def test_wait_that_was_met_at_once_is_not_among_the_longest_however_old_its_cause() -> None:
    at_once = WaitRecord(what="objects", condition="client ready", seconds=0.0, since_cause=10.9, observations=1)
    waits = [at_once, *[WAIT] * (summary.SLOWEST - 1)]
    text = summary.markdown(content([record(Link.PODS, "passed", waits=waits)], []))
    assert text.index("| 1.50 |  |") < text.index("| 0.00 | 10.90 | CHAIN-PODS-010 | client ready |")
    assert "client ready" not in summary.markdown(content([record(Link.PODS, "passed", waits=[*waits, WAIT])], []))


def test_steps_of_allure_last_as_long_as_the_waits_and_name_the_time_since_the_cause() -> None:
    wait = WaitRecord(what="objects", condition="client ready", seconds=0.25, since_cause=10.9, observations=2)
    steps = allure_results.steps([wait, WAIT], 1000, passed=True)
    assert [(step["start"], step["stop"]) for step in steps] == [(1000, 1250), (1250, 2750)]
    assert [step["parameters"][2:] for step in steps] == [[{"name": "seconds since its cause", "value": "10.90"}], []]


def test_summary_of_a_green_run_is_green_and_lists_no_failures() -> None:
    text = summary.markdown(content([record(Link.PODS, "passed")], []))
    assert text.startswith("## ✅ chain holds: 1 claim")
    assert "❌" not in text
    assert "### Failed" not in text


def test_summary_of_a_run_without_claims_is_red() -> None:
    assert summary.markdown(content([], [])).startswith("## ❌ no verdict")


def test_features_sort_in_the_order_of_the_chain() -> None:
    features = [allure_results.feature(link) for link in Link]
    assert sorted(features) == features


def test_title_is_id_and_name_of_the_test() -> None:
    assert allure_results.title("test_short_name_resolves", claim_of(Link.DNS)) == "CHAIN-DNS-010 short name resolves"


def test_links_that_block_most_others_are_blockers() -> None:
    assert allure_results.severity(Link.PODS) == "blocker"
    assert allure_results.severity(Link.DNS) == "critical"


def test_labels_of_a_claim_are_equal_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def labels() -> list[Any]:
        calls: list[Any] = []
        for name in ("title", "description", "epic", "feature", "story", "severity", "tag", "label", "link"):

            def note(*words: object, _name: str = name, **more: object) -> None:
                calls.append((_name, words, more))

            monkeypatch.setattr(f"allure.dynamic.{name}", note)
        allure_results.label("test_x", "a::test_x", claim_of(Link.DNS, upstream="DNS, services", requirements=(OWN_CLUSTER,)))
        return calls

    first = labels()
    assert first == labels()
    assert ("feature", (allure_results.feature(Link.DNS),), {}) in first
    assert ("label", ("upstream", "DNS, services"), {}) in first
    assert ("tag", ("quick", "kind"), {}) in first


def test_waits_become_steps_and_the_last_step_of_a_failed_claim_failed(tmp_path: Path) -> None:
    wait = WAIT.model_copy(update={"seconds": 0.5})
    claim = record(Link.PODS, "failed", waits=[wait, wait.model_copy(update={"ended_by": "timeout"})])
    file = tmp_path / "a-result.json"
    file.write_text(json.dumps({"labels": [{"name": "claim", "value": claim.id}], "status": "failed", "start": 1000}))
    allure_results.write_steps([claim], tmp_path)
    first, last = json.loads(file.read_text())["steps"]
    assert (first["name"], first["status"], first["start"], first["stop"]) == ("2 Pods ready (objects)", "passed", 1000, 1500)
    assert (last["status"], last["stop"]) == ("failed", 2000)
    assert {"name": "ended by", "value": "timeout"} in last["parameters"]


def test_result_without_labels_is_ignored(tmp_path: Path) -> None:
    torn = tmp_path / "torn-result.json"
    torn.write_text(json.dumps({"name": "interrupted", "status": "broken"}))
    found = record(Link.DNS, "inconclusive", id="CHAIN-DNS-020", message="lost", waits=[WAIT])
    allure_results.write_lost([found], tmp_path)
    (made,) = [path for path in tmp_path.glob("*-result.json") if path != torn]
    assert {"name": "story", "value": "CHAIN-DNS-020"} in json.loads(made.read_text())["labels"]
    made.write_text(json.dumps({"labels": [{"name": "claim", "value": "CHAIN-DNS-020"}], "status": "broken"}))
    allure_results.write_steps([found], tmp_path)
    assert len(json.loads(made.read_text())["steps"]) == 1
    assert json.loads(torn.read_text()) == {"name": "interrupted", "status": "broken"}
    allure_results.write_lost([found], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
