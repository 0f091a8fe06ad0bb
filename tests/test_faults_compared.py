"""Upstream's tests under mutants, as under faults; and what was found, as tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

import pytest

from kubechain.faults import trial
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Fault
from kubechain.faults.mutants import catalogue
from kubechain.faults.records import Comparison, FaultSeconds, Score, UpstreamOutcome
from kubechain.faults.scoring import score, verdict_line
from kubechain.faults.testbed import Testbed
from kubechain.faults.upstream import setup
from kubechain.faults.upstream.run import SUITE_ONLY, UpstreamTests
from kubechain.images.mutation import SWITCHES
from kubechain.nested import suite_run
from reports import fault_matrix, fault_table
from tests.fakes import FakeClock, run_record

OF_PODS = next(mutant.fault for mutant in catalogue.ALL if mutant.id == "initialized-denied")
OF_KUBECTL = next(mutant.fault for mutant in catalogue.ALL if mutant.component == "kubectl")


class Rig:
    """A node with the files of the switches, the suite, and upstream's tests, which come to the changed code or do not."""

    def __init__(self, folder: Path, fault: Fault, *, suite_comes: bool, upstream_comes: bool) -> None:
        self.folder, self.fault, self.files = folder, fault, set[str]()
        self.steps, self.suite_comes, self.upstream_comes = list[str](), suite_comes, upstream_comes

    def nodes(self, _which: str) -> list[str]:
        return ["node"]

    def run_on(self, _node: str, script: str) -> str:
        program, *words = script.split()
        names = {word.removeprefix(f"{SWITCHES}/") for word in words if word.startswith(SWITCHES)}
        self.files = self.files | names if program == "touch" else self.files - names
        return ""

    def failing_nodes(self, _where: str, script: str) -> list[str]:
        return [] if script.rsplit("/", 1)[-1] in self.files else ["node"]

    def come(self) -> None:
        """Come to the changed code, as a program does."""
        assert self.fault.id in self.files
        self.files.add(f"{self.fault.id}.reached")

    def suite(self, *_: object, **_given: object) -> object:
        self.steps.append("suite")
        if self.suite_comes:
            self.come()
        return run_record(None, code=0)

    def under(self, *_: object) -> Comparison:
        self.steps.append("upstream")
        assert f"{self.fault.id}.reached" not in self.files
        if self.upstream_comes:
            self.come()
        return Comparison(outcomes={"a": "failed", "b": "timeout"}, seconds=7.0)


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, bool], Score]:
    """Try a mutant of the kubelet: whether the suite and whether upstream come to its code."""

    def inject(testbed: Testbed, fault: Fault) -> None:
        fault.injection.inject(testbed)

    def heal(testbed: Testbed, fault: Fault) -> str:
        fault.injection.heal(testbed)
        return ""

    def tidy(*_: object) -> None:
        """Nothing is left by stubs."""

    monkeypatch.setattr(setup, "tidy", tidy)
    monkeypatch.setattr(trial, "inject", inject)
    monkeypatch.setattr(trial, "heal", heal)

    def tried(suite: bool, upstream: bool) -> Score:  # noqa: FBT001  # of a test alone
        rig = Rig(tmp_path, OF_PODS, suite_comes=suite, upstream_comes=upstream)
        monkeypatch.setattr(suite_run, "verdict_of", rig.suite)
        found = trial.run(cast("Testbed", rig), OF_PODS, cast("UpstreamTests", rig), FakeClock())
        assert (rig.steps, rig.files) == (["suite", "upstream"], set())
        return found

    return tried


def test_upstream_reaches_a_mutant_if_a_program_comes_to_its_code_while_upstream_runs(
    tried: Callable[[bool, bool], Score],
) -> None:
    for suite in (True, False):
        for upstream in (True, False):
            found = tried(suite, upstream)
            assert found.upstream
            assert (found.upstream.code_reached, found.upstream.reached) == (upstream, upstream)
            assert ("no program came" in found.why) == (not suite)
            assert found.upstream.outcomes == {"a": "failed", "b": "timeout"}


def test_upstream_runs_under_every_mutant() -> None:
    assert {fault.id for fault in selection.MUTANTS} & SUITE_ONLY == set()


def compared(fault: Fault, *outcomes: UpstreamOutcome, came: bool = True) -> Score:
    seen = Comparison(outcomes=dict(zip("abcd", outcomes, strict=False)), seconds=7.0, code_reached=came)
    return score(fault, run_record(None, code=0), FaultSeconds(verdict=12.0), seen)


SCORES = [
    compared(OF_PODS, "passed", "failed", "timeout"),
    compared(OF_PODS, "passed", "timeout"),
    compared(OF_PODS, "passed", "passed"),
    compared(OF_PODS, "failed", came=False),
    compared(OF_KUBECTL),
]


def test_way_in_which_upstream_noticed_is_one_of_four() -> None:
    ways = [fault_table.noticed(each.upstream) for each in SCORES if each.upstream]
    assert ways == ["failure", "time-out", "unnoticed", "not reached", "not reached"]
    assert set(ways) == set(get_args(fault_table.Noticed))


def test_tables_have_the_results_by_component_the_sums_of_upstream_and_every_mutant() -> None:
    text = fault_table.markdown(SCORES, "the end line")
    assert text.startswith("# the end line\n")
    assert "\nTrials, without the cluster and what is built: 1.0 min for 5: median 12.0 s, longest 12.0 s.\n" in text
    assert "| kind | survived | seconds (median) |\n| --- | --- | --- |\n| kubelet | 4 | 12.0 |\n| kubectl | 1 | 12.0 |\n" in text
    assert "| failure | time-out | unnoticed | not reached |\n| --- | --- | --- | --- |\n| 1 | 1 | 1 | 2 |\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| initialized-denied ")]
    title = OF_PODS.title
    assert rows[1] == f"| initialized-denied | kubelet | {title} | survived | - | 12.0 | time-out |"
    assert len(rows) == 4


def test_tables_say_nothing_of_upstream_where_it_was_not_compared() -> None:
    alone = score(OF_PODS, run_record(None, code=0), FaultSeconds(verdict=12.0))
    text = fault_table.markdown([alone], "the end line")
    assert "pstream" not in text
    assert text.endswith(f"| initialized-denied | kubelet | {OF_PODS.title} | survived | - | 12.0 |\n")


def test_end_line_and_picture_do_not_count_what_upstream_did_not_come_to() -> None:
    line = verdict_line(SCORES, 5)[1]
    assert line.endswith("upstream noticed 2 of 3 mutants (1 by timeouts alone, 2 do not reach it), 0 false alarms on harmless")
    unseen = SCORES[3].upstream
    assert unseen
    assert fault_matrix.of_upstream(unseen, broken=True) == ("upstream: not reached", fault_matrix.NEITHER)
