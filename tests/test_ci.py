# The libraries that read the files have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""The interfaces that CI systems know: JUnit XML, annotations and summaries of GitHub, artifacts of prow, OpenMetrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Properties, Skipped, TestCase
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.core.errors import ExitCode
from kubechain.faults.fault import Fault
from kubechain.faults.injections import frozen
from kubechain.faults.records import FaultSeconds
from kubechain.faults.scoring import score
from reports import ci, junit, metrics
from tests.fakes import record, run_record
from tests.finished_runs import passed, run
from tests.test_comparison import KNOWN
from tests.test_run import Done, project

NASTY = 'got "<p>\x1b & 1", 50 %\nline: two'
PODS = passed(Link.PODS, 1.25, must="Pods MUST run.")
FAILED = record(Link.DNS, "failed", NASTY, id="CHAIN-DNS-020", must="A name MUST resolve.", suspects="CoreDNS: 0 ready")
BLOCKED = record(Link.SCALE, "blocked", "blocked by ENV: no", waits_for="ENV")
UNSURE = record(Link.API, "inconclusive", "unreachable")
SKIPPED = record(Link.NODES, "skipped", "needs 2 nodes")
NOT_RUN = record(Link.DELETION, "not run", "the run ended")
RUN = run(0, PODS, FAILED, KNOWN, BLOCKED, UNSURE, SKIPPED, NOT_RUN, ready=1.5)


def rows(text: str) -> dict[str, TestCase]:
    (suite,) = JUnitXml.fromstring(text.encode())
    return {case.name: case for case in suite}


def test_junit_has_a_row_for_each_claim_named_by_its_id() -> None:
    (suite,) = JUnitXml.fromstring(junit.document(RUN).encode())
    assert [(case.name, case.classname) for case in suite] == [(claim.id, claim.link) for claim in RUN.claims]
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (7, 1, 2, 3)
    verdict = next(iter(suite.properties()))
    assert (verdict.name, verdict.value) == ("verdict", RUN.verdict.replace("\x1b", "?"))
    assert suite.timestamp == "2026-01-01T00:00:00"


def test_junit_properties_are_flat() -> None:
    case = rows(junit.document(RUN))["CHAIN-PODS-010"]
    properties = {each.name: each.value for each in case.child(Properties)}
    assert properties == {"must": "Pods MUST run.", "spec": "x/", "level": "quick"}
    assert case.time == 1.25


@pytest.mark.parametrize(
    ("claim", "element", "type_", "message"),
    [
        ("CHAIN-DNS-020", Failure, "failed", NASTY.replace("\x1b", "?")),
        ("CHAIN-DNS-010", Skipped, "known", "failed (known: x, y, until 2999-01-01): web is NXDOMAIN"),
        ("CHAIN-SCALE-010", Error, "blocked", "blocked by ENV: no"),
        ("CHAIN-API-010", Error, "inconclusive", "unreachable"),
        ("CHAIN-NODES-010", Skipped, "skipped", "needs 2 nodes"),
        ("CHAIN-DELETION-010", Skipped, "not run", "the run ended"),
    ],
)
def test_junit_says_how_a_claim_ended(claim: str, element: type[Any], type_: str, message: str) -> None:
    (result,) = rows(junit.document(RUN))[claim].result
    assert isinstance(result, element)
    assert (result.type, result.message) == (type_, message)


def test_junit_failure_has_the_claim_and_the_components_in_its_text() -> None:
    (result,) = rows(junit.document(RUN))["CHAIN-DNS-020"].result
    assert result.text == f"A name MUST resolve.\n{NASTY.replace(chr(27), '?')}\ncomponents: CoreDNS: 0 ready"


def test_junit_is_not_red_for_claims_behind_a_known_issue() -> None:
    behind = record(Link.SCALE, "blocked", "blocked by DNS: no", waits_for="DNS")
    held = run(0, PODS, KNOWN.model_copy(update={"opens": True}), behind)
    assert held.holds
    (suite,) = JUnitXml.fromstring(junit.document(held).encode())
    assert (suite.failures, suite.errors, suite.skipped) == (0, 0, 2)


@pytest.mark.parametrize(
    ("ended", "type_"),
    [
        (run(0).model_copy(update={"verdict": "no verdict: API server: refused", "exit_code": ExitCode.UNREACHABLE}), "17"),
        (run(0, PODS).model_copy(update={"holds": False, "exit_code": ExitCode.WAIVERS}), "25"),
        (run(0, PODS).model_copy(update={"holds": False, "exit_code": ExitCode.INTERRUPTED}), "2"),
    ],
)
def test_junit_of_a_run_that_does_not_hold_is_red_though_no_claim_is(ended: RunRecord, type_: str) -> None:
    (result,) = rows(junit.document(ended))["verdict"].result
    assert isinstance(result, Error)
    assert (result.type, result.message) == (f"exit code {type_}", ended.verdict)
    assert "verdict" not in rows(junit.document(run(0, PODS)))


def test_junit_of_faults_has_a_row_for_each_fault() -> None:
    fault = Fault("pods", "node", "Pods do not start", Link.PODS, frozen("x"), ("CHAIN-PODS-010",), "PodScheduled")
    broken = run_record("PODS", record(Link.PODS, "failed", "PodScheduled is False"))
    good = score(fault, broken, FaultSeconds(inject=1.0, verdict=2.0, heal=3.0))
    bad = score(fault, run_record(None, code=0), FaultSeconds()).model_copy(update={"fault": "other"})
    found = rows(junit.document(run(0), [good, bad]))
    assert (found["pods"].classname, found["pods"].time, found["pods"].result) == ("faults.node", 6.0, [])
    assert found["other"].result[0].type == "survived"


def test_metrics_are_read_by_a_parser_of_openmetrics() -> None:
    families = {each.name: each for each in text_string_to_metric_families(metrics.document(RUN))}
    values = {(s.name, *sorted(s.labels.values())): s.value for each in families.values() for s in each.samples}
    assert values["kubechain_chain_holds", "ENV"] == 0
    assert values["kubechain_run_exit_code",] == 1
    assert values["kubechain_known_issues",] == 1
    assert values["kubechain_claims", "DNS", "failed"] == 2
    assert values["kubechain_claims", "PODS", "passed"] == 1
    assert values["kubechain_hand_over_seconds", "p99", "ready"] == 1.5
    assert values["kubechain_run_duration_seconds",] == 12.5
    assert values["kubechain_run_start_timestamp_seconds",] == RUN.started.timestamp()
    (about,) = families["kubechain_run"].samples
    assert about.labels == {"run": RUN.run, "cluster": "staging", "kubernetes": "v1.37.2", "kubechain": "0.2.0"}
    assert 'first_broken_link=""} 1' in metrics.document(run(0, PODS))


def test_annotations_are_escaped_and_leave_known_issues_out() -> None:
    first, second = ci.errors(RUN)
    assert first == ('::error title=CHAIN-DNS-020 (DNS) failed::A name MUST resolve.%0Agot "<p>\x1b & 1", 50 %25%0Aline: two')
    assert second.startswith("::error title=CHAIN-API-010 (API) inconclusive::")
    assert ci.errors(run(0, PODS)) == []
    assert ci.errors(run(0)) == ["::error title=kubechain::no verdict: no claim was run"]
    many = [record(Link.DNS, "failed", "x", id=f"CHAIN-DNS-{number:03}") for number in range(30)]
    assert len(ci.errors(run(0, *many))) == 10


def test_summary_is_appended_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "summary.md").write_text("second\n")
    step = tmp_path / "step"
    step.write_text("first\n")
    assert ci.write(tmp_path, {"GITHUB_STEP_SUMMARY": str(step)}) == []
    assert step.read_text() == "first\nsecond\n"
    (tmp_path / "summary.md").write_text("é" * (1 << 20))
    step.unlink()
    ci.write(tmp_path, {"GITHUB_STEP_SUMMARY": str(step)})
    assert step.stat().st_size <= 1 << 20
    assert step.read_text().endswith("(cut off: the whole text is in summary.md)\n")


def test_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    assert ci.write(tmp_path, {}) == []
    failed = ci.write(tmp_path, {"ARTIFACTS": str(tmp_path / "a"), "GITHUB_STEP_SUMMARY": str(tmp_path / "b")})
    assert [line.partition(" (")[0] for line in failed] == [
        "not all of junit_kubechain.xml, chain.html in $ARTIFACTS",
        "no summary in $GITHUB_STEP_SUMMARY",
    ]


CLAIMS = '''
from kubechain.claims.claim import claim

@claim("T-PODS-010", spec="x")
def test_fails():
    """It MUST pass."""
    assert False, "token=s3cr3ts3cr3t, no"
'''


def ended(folder: Path, **environment: str) -> Done:
    return project(folder, (), {"KUBECHAIN_HTML": "0", **environment}, CLAIMS)


def test_run_writes_what_the_ci_system_asks_for(tmp_path: Path) -> None:
    step, artifacts = tmp_path / "step.md", tmp_path / "artifacts"
    done = ended(tmp_path, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(step), ARTIFACTS=str(artifacts))
    lines = done.output.strip().splitlines()
    assert lines[-1].startswith("chain broken at PODS"), done.output
    (annotation,) = [line for line in lines if line.startswith("::error")]
    assert annotation.startswith("::error title=T-PODS-010 (PODS) failed::It MUST pass.%0A")
    assert step.read_text() == (done.out / "summary.md").read_text()
    assert (artifacts / "junit_kubechain.xml").read_text() == (done.out / "junit.xml").read_text()
    assert (artifacts / "chain.html").read_text() == (done.out / "chain.html").read_text()
    assert "T-PODS-010" in rows((done.out / "junit.xml").read_text())
    assert "kubechain_chain_holds" in (done.out / "metrics.txt").read_text()
    assert "s3cr3t" not in annotation + step.read_text() + (artifacts / "junit_kubechain.xml").read_text()


def test_run_elsewhere_writes_no_annotation(tmp_path: Path) -> None:
    done = ended(tmp_path)
    assert "::error" not in done.output
