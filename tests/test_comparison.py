"""`kubechain compare`: what broke, healed, is not tried any more, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, ClusterRecord, KnownIssue
from kubechain.cli import work
from kubechain.cli.parser import parse
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.publish import NOT_BEGUN
from kubechain.results import comparison, fleet, runs
from kubechain.results.comparison import Comparison
from tests.fakes import record
from tests.finished_runs import passed, run, series, write

PODS = passed(Link.PODS)
FAILED = record(Link.DNS, "failed", "web is NXDOMAIN")
BLOCKED = record(Link.SCALE, "blocked", "blocked by DNS: no answer", waits_for="DNS")
SKIPPED = record(Link.DNS, "skipped", "needs 2 nodes")
UNSURE = record(Link.DNS, "inconclusive", "unreachable")
FULL = record(Link.DNS, "blocked", "blocked by ROOM: full", waits_for="ROOM")
KNOWN = FAILED.model_copy(update={"known": KnownIssue.model_validate({"reason": "x", "owner": "y", "expires": "2999-01-01"})})


def changes(before: list[ClaimRecord], after: list[ClaimRecord]) -> tuple[Comparison, dict[str, str]]:
    found = comparison.compare([run(0, *before)], [run(1, *after)])
    return found, {each.id: each.change for each in found.claims}


@pytest.mark.parametrize(
    ("before", "after", "change", "code"),
    [
        ([PODS, passed(Link.DNS)], [PODS, FAILED], "broke", ExitCode.WORSE),
        ([PODS, passed(Link.SCALE)], [PODS, BLOCKED], "broke", ExitCode.WORSE),
        ([PODS], [PODS, FAILED], "broke", ExitCode.WORSE),
        ([PODS, SKIPPED], [PODS, FAILED], "broke", ExitCode.WORSE),
        ([PODS, FAILED], [PODS, passed(Link.DNS)], "healed", ExitCode.HOLDS),
        ([PODS, KNOWN], [PODS, passed(Link.DNS)], "healed", ExitCode.HOLDS),
        ([PODS, FAILED], [PODS, FAILED], "fails", ExitCode.HOLDS),
        ([PODS, FAILED], [PODS, KNOWN], "known", ExitCode.HOLDS),
        ([PODS, passed(Link.DNS)], [PODS, SKIPPED], "skipped", ExitCode.HOLDS),
        ([PODS, passed(Link.DNS)], [PODS, UNSURE], "undecided", ExitCode.HARNESS),
        ([PODS, passed(Link.DNS)], [PODS, FULL], "undecided", ExitCode.HARNESS),
        ([PODS], [PODS, passed(Link.DNS)], "new", ExitCode.HOLDS),
        ([PODS, passed(Link.DNS)], [PODS], "gone", ExitCode.HOLDS),
    ],
)
def test_each_change_has_its_name_and_exit_code(
    before: list[ClaimRecord], after: list[ClaimRecord], change: str, code: ExitCode
) -> None:
    found, names = changes(before, after)
    assert list(names.values()) == [change]
    assert found.exit_code == code


def test_same_runs_do_not_differ() -> None:
    found, names = changes([PODS], [PODS])
    assert (names, found.line, found.exit_code, found.different) == ({}, "nothing broke: no difference", ExitCode.HOLDS, "")


def test_run_that_says_nothing_is_no_success() -> None:
    found = comparison.compare([run(0, PODS)], [run(1)])
    assert found.exit_code == ExitCode.HARNESS
    assert found.line == "no verdict: no claim passed in 1 run: no verdict: no claim was run"


def test_claim_that_is_never_judged_any_more_is_no_success_though_it_was_not_always_judged_before() -> None:
    sometimes = [run(0, PODS, passed(Link.DNS)), run(1, PODS, UNSURE)]
    found = comparison.compare(sometimes, [run(2, PODS, UNSURE), run(3, PODS, UNSURE)])
    assert found.exit_code == ExitCode.HARNESS
    assert found.line == f"no verdict: nothing broke, but 1 claim cannot be judged: {UNSURE.id}"
    assert comparison.compare([run(1, PODS, UNSURE)], sometimes).exit_code == ExitCode.HOLDS
    assert comparison.compare(sometimes, [run(2, PODS, UNSURE), run(3, PODS, passed(Link.DNS))]).exit_code == ExitCode.HOLDS


def test_claim_that_fails_always_and_failed_seldom_before_is_worse() -> None:
    seldom = [run(0, PODS, FAILED), run(1, PODS, passed(Link.DNS))]
    assert comparison.compare(seldom, [run(2, PODS, FAILED)]).exit_code == ExitCode.WORSE
    assert comparison.compare([run(2, PODS, FAILED)], seldom).exit_code == ExitCode.HOLDS


def test_other_cluster_and_version_are_said_in_one_line() -> None:
    found = comparison.compare([run(0, PODS)], [run(1, PODS, owned=True, server="v1.38.0")])
    assert found.different == (
        "the runs differ in more than time: cluster staging and kind cluster of its own; Kubernetes v1.37.2 and v1.38.0"
    )


def test_slower_claims_are_worse() -> None:
    found = comparison.compare(series(8, [2.0], 1), series(8, [4.0], 2, first=10))
    assert (found.line, found.exit_code) == ("worse: 1 slower", ExitCode.WORSE)


def test_folder_is_searched_but_not_within_the_results_of_a_run(tmp_path: Path) -> None:
    first, second, nested = (run(number, PODS) for number in range(3))
    write(tmp_path / "a" / "deep", first)
    (file,) = write(tmp_path / "b", second)
    write(file.parent / "faults", nested)
    write(tmp_path / ".runs", nested)
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "2026-01-01T000000Z-0000000f.json").write_text(json.dumps(run(15, PODS).as_json()))
    assert [each.run for each in runs.read_all(tmp_path)] == ["00000000", "00000001", "0000000f"]
    write(tmp_path / "again", first)
    assert len(runs.read_all(tmp_path)) == 3


@pytest.mark.parametrize(("number", "state"), [(0, "holds"), (2, "undecided")])
def test_run_that_could_not_begin_after_the_one_of_its_folder_is_the_last(tmp_path: Path, number: int, state: str) -> None:
    (file,) = write(tmp_path, run(1, PODS))
    lost = run(number).model_copy(update={"cluster": ClusterRecord(context="staging")})
    not_begun = file.parent / NOT_BEGUN
    not_begun.mkdir()
    (not_begun / "run.json").write_text(json.dumps(lost.as_json()))
    (row,) = fleet.rows(runs.read_all(tmp_path), None, last=20)
    assert (row.state, row.exit_code == ExitCode.HOLDS) == (state, state == "holds")


def test_bad_input_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "run.json").write_text('{"schema": 2,')
    (tmp_path / "empty").mkdir()
    for name, message in (("cut", "not JSON, or truncated"), ("empty", "has no run.json"), ("none", "no such file or folder")):
        with pytest.raises(SetupError, match=message) as raised:
            runs.read_all(tmp_path / name)
        assert (raised.value.code, str(tmp_path / name) in str(raised.value)) == (ExitCode.USAGE, True)


def command(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = work(parse([str(word) for word in words]))
    return code, capsys.readouterr().out


def test_command_prints_text_markdown_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = write(tmp_path, run(0, PODS, passed(Link.DNS)), run(1, PODS, FAILED))
    code, text = command(capsys, "compare", before, after)
    assert code == ExitCode.WORSE
    assert text.splitlines()[-2:] == ["no verdict on speed under 8 runs on each side (got 1 and 1)", "worse: 1 broke"]
    assert "DNS (1 of 1)" in text
    _, markdown = command(capsys, "compare", before, after, "--markdown")
    assert markdown.startswith("## worse: 1 broke\n")
    assert "| CHAIN-DNS-010 | 1 passed | 1 failed | web is NXDOMAIN |" in markdown
    code, given = command(capsys, "compare", before, after, "--json")
    content: dict[str, Any] = json.loads(given)
    assert (code, content["exitCode"], content["claims"][0]["worse"]) == (23, 23, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare"], "compare: BEFORE is missing"),
        (["compare", "x"], "x: no such file|compare: AFTER is missing"),
        (["compare", "x", "y", "--json", "--markdown"], "--json: not with --markdown"),
        (["history"], "history: HISTORY is missing"),
        (["gate", "x"], "gate: --gate is missing"),
    ],
)
def test_wrong_command_line_is_a_usage_error(words: list[str], message: str) -> None:
    with pytest.raises(SetupError, match=message) as raised:
        work(parse(words))
    assert raised.value.code == ExitCode.USAGE
