"""The quality gate: rules of a file, and what does not pass whatever they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.cli import work
from kubechain.cli.parser import parse
from kubechain.core.errors import ExitCode, SetupError
from kubechain.results import gate, rules
from tests.fakes import record
from tests.finished_runs import passed, run, series, write
from tests.test_comparison import KNOWN
from tests.test_run import project

PODS = passed(Link.PODS)
FAILED = record(Link.DNS, "failed", "web is NXDOMAIN")


def file(folder: Path, text: str) -> Path:
    path = folder / "gate.yaml"
    path.write_text(text)
    return path


def line(folder: Path, text: str, given: RunRecord) -> str:
    result = gate.check(rules.read(file(folder, text)), given)
    assert result.exit_code == (ExitCode.HOLDS if result.kept else ExitCode.GATE)
    return result.line


def skipped(message: str) -> ClaimRecord:
    return record(Link.API, "skipped", message)


def test_kept_rules_are_one_line(tmp_path: Path) -> None:
    text = "failed: 0\ninconclusive: 0\nblocked: 0\nknownIssues: 0\npassed: 1\n"
    assert line(tmp_path, text, run(0, PODS)) == "gate: 7 rules kept"


@pytest.mark.parametrize(
    ("text", "claims", "why"),
    [
        ("failed: 0", [PODS, KNOWN], "failed: expected at most 0, got 1"),
        ("knownIssues: 0", [PODS, KNOWN], "knownIssues: expected at most 0, got 1"),
        ("passed: 2", [PODS], "passed: expected at least 2, got 1"),
        (
            "skips: []",
            [PODS, skipped("needs 2 nodes")],
            "skips: 1 claim skipped for another reason: CHAIN-API-010 (needs 2 nodes)",
        ),
        ("skips: [nodes>=2]", [PODS, skipped("needs the right to list nodes, 2 nodes")], "skips: 1 claim skipped for another"),
        ("skips: [rights]", [PODS, skipped("changed at admission: x")], "skips: 1 claim skipped for another reason"),
        ("skips: [admission]", [PODS, skipped("no Node serves nodePorts")], "skips: 1 claim skipped for another reason"),
        ("handOvers: {ready: {p99: 2}}", [PODS], "ready p99: not measured"),
    ],
)
def test_rule_that_is_not_kept_says_why(tmp_path: Path, text: str, claims: list[ClaimRecord], why: str) -> None:
    assert line(tmp_path, text, run(0, *claims)).startswith(f"gate: 1 of 3 rules not kept: {why}")


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ("nodes>=2", "needs 2 nodes"),
        ("nodePorts", "needs Services of type NodePort (not --no-node-port)"),
        ("rights, nodes>=2", "needs the rights to get pods/exec, list nodes, 2 nodes"),
        ("admission", "changed at admission: Pod spec.x 1 instead of 2"),
        ("other", "no Node serves nodePorts"),
    ],
)
def test_skip_for_an_allowed_reason_is_kept(tmp_path: Path, allowed: str, message: str) -> None:
    assert line(tmp_path, f"skips: [{allowed}]", run(0, PODS, skipped(message))) == "gate: 3 rules kept"


def test_hand_over_is_bounded_by_percentile(tmp_path: Path) -> None:
    given = run(0, PODS, ready=2.5)
    assert line(tmp_path, "handOvers: {ready: {p50: 3, max: 2.5}}", given) == "gate: 4 rules kept"
    assert line(tmp_path, "handOvers: {ready: {p50: 2, p99: 3}}", given).endswith(": ready p50: expected at most 2 s, got 2.5 s")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (run(0), "2 of 3 rules not kept: complete: the result has no claims; holds: exit code 5"),
        (run(0, PODS, FAILED), "1 of 3 rules not kept: holds: exit code 1: chain broken at DNS: "),
        (run(0, PODS, passed(Link.DNS)).model_copy(update={"claims": [PODS]}), "complete: the result has 1 claim, and counts 2"),
        (run(0, PODS).model_copy(update={"holds": False}), "complete: holds is false, and the exit code 0"),
        (run(0, PODS).model_copy(update={"exit_code": ExitCode.HARNESS}), "holds: exit code 10"),
        (run(0, skipped("x")).model_copy(update={"exit_code": ExitCode.HOLDS, "holds": True}), "complete: no claim passed"),
    ],
)
def test_empty_cut_off_or_broken_result_never_passes(tmp_path: Path, given: RunRecord, why: str) -> None:
    assert why in line(tmp_path, "inconclusive: 9\n", given)


def test_regression_against_a_history(tmp_path: Path) -> None:
    history = tmp_path / "history"
    history.mkdir()
    text = "noRegression: history"
    first = line(tmp_path, text, run(20, PODS))
    assert first.startswith("gate: 3 rules kept (noRegression: no earlier run on this cluster with this version of Kubernetes)")
    write(history, *series(16, [2.0], 1))
    # The last seven of the history and this run are slow.
    usual, slow = series(1, [2.0], 3, first=20)[0], series(8, [4.0], 2, first=16)
    assert line(tmp_path, text, usual) == "gate: 3 rules kept"
    write(history, *slow[:-1])
    assert line(tmp_path, text, slow[-1]) == "gate: 1 of 3 rules not kept: noRegression: worse: 1 slower"
    other = usual.model_copy(update={"versions": {"server": "v1.38.0"}})
    assert "no earlier run on this cluster" in line(tmp_path, text, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no rules"),
        ("failed: 0\nflaky: 0\n", "line 2: flaky: no such field"),
        ("failed: -1\n", "line 1: failed: "),
        ("failed: none\n", "line 1: failed: "),
        ("failed:\n", "line 1: failed: no value"),
        ("failed: 0\nfailed: 1\n", "line 2: failed: given twice; remove one"),
        ("skips:\n- rights\n- exec\n", "line 3: skips: exec: expected one of kind, "),
        ("handOvers: {ready: {}}\n", "line 1: handOvers: ready: expected p50"),
        ("handOvers:\n  ready: {p95: 1}\n", "line 2: handOvers.ready.p95: no such field"),
        ("passed: 1\nnoRegression: nowhere\n", "line 2: noRegression: "),
        ("failde: 0\n", "line 1: failde: no such field (did you mean failed?)"),
        ("- failed\n", "line 1: expected a mapping (NAME: VALUE), got ['failed']"),
    ],
)
def test_bad_rules_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SetupError) as raised:
        rules.read(file(tmp_path, text))
    assert str(raised.value).startswith(f"--gate={tmp_path / 'gate.yaml'}, {message}")
    assert raised.value.code == ExitCode.USAGE


def test_command_checks_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path, run(0, PODS), run(1, PODS, FAILED))
    words = ["--gate", str(file(tmp_path, "failed: 0"))]
    assert work(parse(["gate", str(good), *words])) == ExitCode.HOLDS
    assert capsys.readouterr().out == "gate: 3 rules kept\n"
    assert work(parse(["gate", str(bad), *words])) == ExitCode.GATE
    good.write_text(good.read_text()[:-100])
    assert work(parse(["gate", str(good), *words])) == ExitCode.GATE
    assert "not JSON, or truncated" in capsys.readouterr().out


def test_result_that_is_no_file_is_bad_input(tmp_path: Path) -> None:
    rules_file = str(file(tmp_path, "failed: 0"))
    for result, what in ((tmp_path, "a folder; name the run.json"), (tmp_path / "none", "no such file; name the run.json")):
        with pytest.raises(SetupError, match=f"^{result}: {what}") as raised:
            work(parse(["gate", str(result), "--gate", rules_file]))
        assert raised.value.code == ExitCode.USAGE


CLAIMS = '''
from kubechain.claims.claim import claim

@claim("T-PODS-010", spec="x")
def test_passes():
    """It MUST pass."""
'''


@pytest.mark.parametrize(("text", "code"), [("passed: 1", 0), ("passed: 2", 24)])
def test_gate_is_the_exit_code_of_a_run(tmp_path: Path, text: str, code: int) -> None:
    done = project(tmp_path, (), {"KUBECHAIN_GATE": str(file(tmp_path, text)), "KUBECHAIN_HTML": "0"}, CLAIMS)
    verdict, line = done.output.strip().splitlines()[-2:]
    assert (done.code, verdict[:11]) == (code, "chain holds"), done.output
    assert line.startswith("gate: 1 of 3 rules not kept: passed" if code else "gate: 3 rules kept")
    assert json.loads((done.out / "run.json").read_text())["exitCode"] == 0
