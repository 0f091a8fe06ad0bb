"""The ledger of a rig: what ran on the present code, written as it ends; and what the rigs do with it."""

from __future__ import annotations

import json
from pathlib import Path
from signal import SIGINT

import pytest

from tests import ledger
from tests.ends import matrix
from tests.ends.run import Case
from tests.hostile.summary import figures
from tests.ledger import Ledger

EVERY = [*matrix.signalled(), *matrix.killed(), *matrix.own_cluster()]


def test_case_that_held_is_written_at_once_and_known_to_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "ledger.jsonl"
    first = Ledger(file, "c1")
    first.add("a", [], seconds=1.5)
    first.add("b", ["left: a namespace"])
    assert [json.loads(line)["case"] for line in file.read_text().splitlines()] == ["a", "b"]
    again = Ledger(file, "c1")
    assert (again.held(), again.problems()) == ({"a"}, {"a": [], "b": ["left: a namespace"]})
    again.add("b", [])
    assert again.held() == {"a", "b"}
    again.add("a", ["hang"])
    assert again.held() == {"b"}


def test_case_of_other_code_has_not_run(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    Ledger(file, "c1").add("a", [])
    assert Ledger(file, "c2").problems() == {}


def test_half_a_line_of_a_killed_rig_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    Ledger(file, "c1").add("a", [])
    with file.open("a") as text:
        text.write('{"case": "b", "prob')
    known = Ledger(file, "c1")
    assert known.held() == {"a"}
    known.add("c", [])
    assert known.held() == {"a", "c"}


def test_digest_is_that_of_every_file_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    (tmp_path / "kubechain").mkdir()
    found = {ledger.code()}
    for path in ("kubechain/a.py", "conftest.py", "kubechain/b.py"):
        (tmp_path / path).write_text("1")
        found.add(ledger.code())
    (tmp_path / "kubechain" / "a.py").write_text("2")
    found.add(ledger.code())
    assert len(found) == 5
    (tmp_path / "README.md").write_text("1")
    assert ledger.code() in found


def test_ids_of_cases_are_unique_and_choose_them() -> None:
    ids = [case.id for case in EVERY]
    assert len(set(ids)) == len(ids)
    one = Case("last teardown", (SIGINT, SIGINT), "group")
    assert one.id == "last-teardown:2xSIGINT:group:n1"
    assert matrix.chosen([one, *EVERY], one.id)[0] == one
    assert {case.phase for case in matrix.chosen(EVERY, "claim:*, report:*")} == {"claim", "report"}
    assert matrix.chosen(EVERY, "") == EVERY
    with pytest.raises(ValueError, match="no case has the id clam:"):
        matrix.chosen(EVERY, "claim:*,clam:*")


def test_matrix_says_what_has_not_run_on_this_code() -> None:
    cases = [Case("claim", (SIGINT,), "run"), Case("claim", (SIGINT,), "group"), Case("report", (SIGINT,), "run")]
    known = {cases[0].id: list[str](), cases[1].id: ["left: a namespace"]}
    rows = matrix.table(cases, known).splitlines()[2:]
    assert rows == ["| claim | 2 | 2 | 1 |", "| report | 1 | 0 | 0 |", "| all | 3 | 2 | 1 |"]
    assert [line.split()[0] for line in matrix.listed(cases, known)] == ["held", "bad", "not"]


def test_what_went_wrong_is_counted_by_runs() -> None:
    wrong = [["hang: no end after 1 s", "leftovers: a"], [], ["verdict: 1, allowed 0", "message: none"], ["left: a", "left: b"]]
    assert figures(wrong) == {"wrong verdicts": 1, "hangs": 1, "tracebacks": 0, "leftovers": 2, "secrets shown": 0}
