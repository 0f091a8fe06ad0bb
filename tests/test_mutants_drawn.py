"""Mutants that are drawn: the rule, how they are judged and counted, and the functions from which they are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import pytest

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.core.errors import ExitCode, HarnessError, Unmet
from kubechain.core.progress import Progress
from kubechain.core.settings import load
from kubechain.faults import trial
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Component, Fault
from kubechain.faults.mutants import catalogue, covering, drawn
from kubechain.faults.mutants.drawn import Drawn, draw
from kubechain.faults.records import FaultSeconds, Score
from kubechain.faults.scoring import score, unreached, verdict_line
from kubechain.faults.testbed import Testbed
from kubechain.images.mutation import Candidate
from kubechain.kube.errors import ApiUnavailable
from reports import mutant_list
from reports.catalogue import collect
from tests import drawing
from tests.fakes import FakeClock, record, run_record

CANDIDATES = [
    Candidate(package, f"f{number}", (1, 3) if number % 2 else (), 3 if number % 2 else 0, number % 3)
    for package in drawn.packages()
    for number in range(12)
]
COVERED = frozenset(each.name for each in CANDIDATES if not each.function.endswith("1"))
MUTANT = Drawn("drawn-01", "kubelet", "k8s.io/kubernetes/pkg/kubelet", "f", "early return")
PROOF = replace(MUTANT.fault, equivalent="nothing reads it")


def test_as_many_are_drawn_of_each_component_from_what_is_covered_alone() -> None:
    mutants = draw(COVERED, CANDIDATES)
    assert Counter(mutant.component for mutant in mutants) == dict.fromkeys(get_args(Component), drawn.OF_EACH)
    assert len(mutants) >= 60
    assert {f"{mutant.package}.{mutant.function}" for mutant in mutants} <= COVERED
    assert len({mutant.id for mutant in mutants}) == len(mutants)
    assert len({(mutant.package, mutant.function) for mutant in mutants}) == len(mutants)


def test_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    mutants = draw(COVERED, CANDIDATES)
    assert draw(list(COVERED)[::-1], CANDIDATES[::-1]) == mutants
    assert draw(COVERED, CANDIDATES, seed=drawn.SEED + 1) != mutants


def test_function_that_is_covered_too_moves_no_other_one() -> None:
    fewer = {each.function for each in draw(COVERED, CANDIDATES, of_each=100)}
    more = {each.function for each in draw({each.name for each in CANDIDATES}, CANDIDATES, of_each=100)}
    assert fewer < more


def test_kinds_and_places_are_those_that_the_function_has() -> None:
    known = {(each.package, each.function): each for each in CANDIDATES}
    mutants = draw(COVERED, CANDIDATES, of_each=100)
    for mutant in mutants:
        candidate = known[mutant.package, mutant.function]
        fits = {
            "early return": (mutant.nth, mutant.among) == (1, 1),
            "condition negated": mutant.nth in candidate.conditions and mutant.among == candidate.among,
            "constant changed": 1 <= mutant.nth <= mutant.among == candidate.constants,
        }
        assert fits[mutant.kind], mutant
    kinds = Counter(mutant.kind for mutant in mutants)
    assert set(kinds) == set(get_args(drawn.Kind))
    # No kind is rare: each is as likely as the others where it fits.
    assert min(kinds.values()) > len(mutants) / 8


def test_package_has_the_component_of_its_first_mutant() -> None:
    assert drawn.packages()["k8s.io/kubernetes/pkg/controller/endpointslice"] == "kube-controller-manager"
    assert set(drawn.packages()) == {mutant.package for mutant in catalogue.ALL}
    assert set(drawn.packages().values()) == set(get_args(Component))


def test_mutants_are_read_as_they_are_written() -> None:
    mutants = draw(COVERED, CANDIDATES)
    assert drawn.read(drawn.written(mutants)) == tuple(mutants)
    assert len(drawn.written(mutants).splitlines()) == len(mutants) + 2


def test_mutants_that_are_kept_are_in_functions_that_are_kept() -> None:
    names = set(drawn.COVERED.read_text(encoding="utf-8").splitlines()) if drawn.COVERED.exists() else set[str]()
    assert {f"{mutant.package}.{mutant.function}" for mutant in drawn.ALL} <= names
    assert bool(names) == bool(drawn.ALL)
    assert drawn.EQUIVALENT.keys() <= {mutant.id for mutant in drawn.ALL}


@pytest.mark.parametrize(
    ("first", "code", "result"),
    [
        (None, ExitCode.HOLDS, "survived"),
        ("PODS", ExitCode.CHAIN_BROKEN, "killed"),
        ("DELETION", ExitCode.CHAIN_BROKEN, "killed"),
        (None, ExitCode.UNREACHABLE, "killed"),
        (None, ExitCode.REFUSED, "killed"),
        (None, ExitCode.HARNESS, "misattributed"),
        (None, ExitCode.CHAIN_BROKEN, "misattributed"),
    ],
)
def test_drawn_mutant_is_killed_at_any_link(first: str | None, code: ExitCode, result: str) -> None:
    run = run_record(first, record(Link.PODS, "failed", "no"), code=code)
    assert score(MUTANT.fault, run, FaultSeconds()).result == result


def test_reason_why_nothing_can_notice_a_mutant_holds_only_while_nothing_does() -> None:
    assert (scored("holds", PROOF).result, scored("holds", PROOF).why) == ("equivalent", "nothing reads it")
    assert scored("killed", PROOF).result == "misattributed"


def scored(how: str, fault: Fault = MUTANT.fault) -> Score:
    run = run_record(None if how == "holds" else "PODS", code=ExitCode.HOLDS if how == "holds" else ExitCode.CHAIN_BROKEN)
    return score(fault, run, FaultSeconds())


def test_mutant_to_which_no_program_comes_is_counted_apart() -> None:
    assert unreached(scored("holds")).result == "not reached"
    assert unreached(scored("holds", PROOF)).result == "not reached"
    assert unreached(scored("killed")).result == "misattributed"
    named = next(mutant for mutant in catalogue.ALL).fault
    assert unreached(scored("holds", named)).result == "survived"


def test_end_line_states_the_score_of_those_that_are_reached() -> None:
    scores = [scored("killed"), scored("killed"), scored("holds", PROOF), unreached(scored("holds"))]
    good, line = verdict_line(scores, 4)
    assert (good, line) == (
        True,
        "drawn mutants: 2 of 3 killed (67 %), 0 survived, 1 equivalent, 0 misattributed; 1 of 4 not reached",
    )
    good, line = verdict_line([*scores, scored("holds")], 5)
    assert not good
    assert line.startswith("drawn mutants: 2 of 4 killed (50 %), 1 survived, 1 equivalent, 0 misattributed; 1 of 5 not reached")
    assert line.endswith("; wrong: drawn-01 (survived)")


def test_named_mutants_are_called_mutants() -> None:
    assert verdict_line([scored("holds", next(iter(catalogue.ALL)).fault)], 1)[1].startswith(
        "mutants: 0 of 1 killed at the right"
    )


def test_drawn_mutants_are_chosen_in_place_of_the_named_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "DRAWN", ())
    with pytest.raises(ValueError, match="no mutants are drawn yet: run `make draw`"):
        selection.chosen(short=False, only=frozenset(), mutants=True, drawn=True)
    monkeypatch.setattr(selection, "DRAWN", (MUTANT.fault,))
    assert selection.chosen(short=False, only=frozenset(["drawn-01"]), mutants=True, drawn=True) == [MUTANT.fault]
    assert selection.chosen(short=False, only=frozenset(), mutants=True, cover=True) == [covering.FAULT]
    with pytest.raises(ValueError, match="add --mutants"):
        selection.chosen(short=False, only=frozenset(), cover=True)


def test_document_lists_what_was_drawn_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [entry.claim for entry in collect()]
    monkeypatch.setattr(drawn, "ALL", (MUTANT, Drawn("drawn-02", "CoreDNS", "p", "g", "constant changed", 2, 5)))
    monkeypatch.setattr(drawn, "EQUIVALENT", {"drawn-01": "nothing reads it"})
    text = mutant_list.markdown(claims)
    assert "| drawn-01 | kubelet | `k8s.io/kubernetes/pkg/kubelet` `f` | early return | nothing reads it |\n" in text
    assert "| drawn-02 | CoreDNS | `p` `g` | constant changed (2 of 5) | - |\n\n## Claims" in text
    monkeypatch.setattr(drawn, "ALL", ())
    assert "drawn" not in mutant_list.markdown(claims)


class Nodes:
    """Two nodes, each with files in which programs have noted functions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.noted = {"a": ["p.F", "p.G"], "b": ["p.E", "p.G"]}
        self.scripts: list[str] = []

    def nodes(self, _which: str) -> list[str]:
        return list(self.noted)

    def run_on(self, name: str, script: str) -> str:
        self.scripts.append(script)
        if script.startswith("cat "):
            return "\n".join(self.noted[name])
        if ".*.reached" in script:
            self.noted[name] = []
        return ""


def test_functions_that_programs_noted_are_listed_once_each_also_by_a_second_attempt(tmp_path: Path) -> None:
    nodes, change = Nodes(tmp_path), covering.Covering(covering.ID)
    testbed = cast("Testbed", nodes)
    change.inject(testbed)
    (tmp_path / "mutants" / f"{covering.ID}.kubectl.reached").write_text("q.H\n")
    for _ in range(2):
        change.heal(testbed)
        assert (tmp_path / covering.LISTED).read_text() == "p.E\np.F\np.G\nq.H\n"
    assert nodes.noted == {"a": [], "b": []}
    assert list((tmp_path / "mutants").iterdir()) == []


def test_what_is_drawn_is_kept_beside_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / covering.LISTED).write_text("".join(f"{name}\n" for name in sorted(COVERED)))

    def candidates(*_: object) -> list[Candidate]:
        return CANDIDATES

    monkeypatch.setattr(covering, "candidates", candidates)
    for name in ("COVERED", "DRAWN"):
        monkeypatch.setattr(drawn, name, tmp_path / f"kept-{name}")
    mutants = drawing.keep(load().model_copy(update={"out": tmp_path}), Progress())
    assert (tmp_path / "kept-COVERED").read_text() == (tmp_path / covering.LISTED).read_text()
    assert list(drawn.read((tmp_path / "kept-DRAWN").read_text())) == mutants == draw(COVERED, CANDIDATES)
    few = [each for each in CANDIDATES if "coredns" not in each.package or each.function == "f2"]
    (tmp_path / covering.LISTED).write_text("".join(f"{each.name}\n" for each in few))
    with pytest.raises(HarnessError, match="expected 10 functions of each component that the run calls, got CoreDNS 3"):
        drawing.keep(load().model_copy(update={"out": tmp_path}), Progress())
    assert list(drawn.read((tmp_path / "kept-DRAWN").read_text())) == mutants


class Broken:
    """A testbed on which no chain works any more, and whose API server answers after some attempts."""

    folder = Path("none")

    def __init__(self, *, refused: int = 0) -> None:
        self.steps, self.refused = list[str](), refused

    def require_working_chain(self) -> None:
        self.steps.append("chain")
        raise Unmet("no chain works")

    def restart_ended(self) -> None:
        self.steps.append("restart")
        self.refused -= 1
        if self.refused >= 0:
            raise ApiUnavailable("refused")

    def until(self, _what: str, condition: Condition[Broken], _timeout: object, **_: object) -> None:
        if not any(condition.check(self).met for _ in range(4)):
            raise Unmet("not in time")


class Nothing:
    """An injection without an effect."""

    def inject(self, testbed: Testbed) -> None:
        raise AssertionError(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        return expect(testbed.folder == Path(), "nothing")

    def heal(self, testbed: Testbed) -> None:
        """Heal nothing."""


WITHOUT = replace(MUTANT.fault, injection=Nothing())


def test_drawn_mutant_is_not_tried_on_what_another_one_broke() -> None:
    broken = Broken()
    with pytest.raises(HarnessError, match="no chain works before fault drawn-01: no chain works"):
        trial.run(cast("Testbed", broken), WITHOUT, None, FakeClock())
    assert broken.steps == ["chain"]


def test_what_a_drawn_mutant_made_exit_is_restarted_before_the_chain_is_checked() -> None:
    broken = Broken(refused=2)
    assert trial.heal(cast("Testbed", broken), WITHOUT) == "not in time"
    assert broken.steps == ["restart"] * 3 + ["chain"] * 4
