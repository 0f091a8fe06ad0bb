"""What Allure gets of a run: its environment, its executor, and its pages as global attachments."""

import json
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import ClusterRecord, RunRecord
from reports import allure_run
from tests.fakes import record, run_record

RUN = run_record("DNS", record(Link.DNS, "failed")).model_copy(
    update={
        "verdict": "got \\n\nand more",
        "cluster": ClusterRecord(name="c", context="kind-c"),
        "versions": {"kubechain": "0.2.0", "server": "v1.37.2"},
    }
)


def written(folder: Path, run: RunRecord = RUN) -> Path:
    results = folder / "allure-results"
    results.mkdir()
    (results / "environment.properties").write_text("a = b\n")
    allure_run.write(run, folder, {})
    return results


def test_environment_has_the_verdict_first_then_the_cluster_and_the_versions(tmp_path: Path) -> None:
    lines = (written(tmp_path) / "environment.properties").read_text().splitlines()
    assert lines[0] == "verdict = got \\\\n and more"
    assert {"cluster = c", "context = kind-c", "kubechain = 0.2.0", "kubernetes = v1.37.2", "run = ab12"} <= set(lines)
    assert lines[-1] == "a = b"


def test_pages_of_the_run_are_global_attachments(tmp_path: Path) -> None:
    (tmp_path / "chain.html").write_text("the page")
    results = written(tmp_path)
    found = json.loads((results / allure_run.GLOBALS).read_text())
    assert found["attachments"] == [{"name": "chain.html", "source": "kubechain-chain-attachment.html", "type": "text/html"}]
    assert (results / "kubechain-chain-attachment.html").read_text() == "the page"
    assert found["errors"] == [{"message": RUN.verdict}]


def test_run_without_a_verdict_is_a_global_error(tmp_path: Path) -> None:
    run = run_record(None, code=10).model_copy(update={"verdict": "no verdict: disk full"})
    found = json.loads((written(tmp_path, run) / allure_run.GLOBALS).read_text())
    assert found["errors"] == [{"message": "no verdict: disk full"}]


def test_run_that_holds_is_no_error(tmp_path: Path) -> None:
    found = json.loads((written(tmp_path, run_record(None, code=0)) / allure_run.GLOBALS).read_text())
    assert found["errors"] == []


def test_gate_has_the_rules_of_the_file_after_their_check_and_always_those_of_every_result(tmp_path: Path) -> None:
    assert [(each["rule"], each["success"]) for each in allure_run.gate_rules(RUN, None, None)] == [
        ("complete", False),
        ("holds", False),
    ]
    (tmp_path / "gate.yaml").write_text("failed: 0\nblocked: 0\n")
    found = {each["rule"]: each for each in allure_run.gate_rules(RUN, tmp_path / "gate.yaml", None)}
    assert (found["blocked"]["success"], found["failed"]["success"]) == (True, False)
    assert found["failed"]["message"] == "expected at most 0, got 1"
    (gone,) = allure_run.gate_rules(RUN, tmp_path / "none.yaml", None)
    assert (gone["success"], "none.yaml" in gone["message"]) == (False, True)


@pytest.mark.parametrize(
    ("environment", "name", "url"),
    [
        ({}, "kubechain 0.2.0", None),
        (
            {"GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "a/b", "GITHUB_SERVER_URL": "https://ghe.example"},
            "GitHub Actions",
            "https://ghe.example/a/b/actions/runs/7",
        ),
        ({"CI_JOB_URL": "https://gitlab.example/j/1"}, "GitLab CI", "https://gitlab.example/j/1"),
        ({"BUILD_URL": "https://jenkins.example/1/"}, "Jenkins", "https://jenkins.example/1/"),
    ],
)
def test_executor_is_the_ci_system_if_there_is_one(environment: dict[str, str], name: str, url: str | None) -> None:
    found = allure_run.executor(RUN, environment)
    assert (found["name"], found["buildName"], found.get("buildUrl")) == (name, "run ab12", url)


def test_run_without_results_of_allure_gets_none(tmp_path: Path) -> None:
    allure_run.write(RUN, tmp_path, {})
    assert list(tmp_path.iterdir()) == []
