"""The records of the mutants, how one is switched on nodes, and how the command chooses them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import pytest

from kubechain.claims.claim import Link
from kubechain.core.errors import HarnessError
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Component, Prepared
from kubechain.faults.mutants.catalogue import ALL, GUARDS
from kubechain.faults.mutants.mutant import Switched, SwitchedHere
from kubechain.faults.records import FaultSeconds
from kubechain.faults.scoring import score, unreached
from kubechain.faults.testbed import Testbed
from kubechain.images import node, pins
from kubechain.images.mutation import BUILT_IN, SWITCHES, VARIABLE, Change, Guard
from reports import mutant_list
from reports.catalogue import collect
from tests.fakes import record, run_record

CLAIMS = [entry.claim for entry in collect()]


def test_every_mutant_names_claims_that_exist_and_one_of_its_link() -> None:
    known = {claim.id: claim.link for claim in CLAIMS}
    for mutant in ALL:
        assert set(mutant.claims) <= set(known), mutant.id
        assert mutant.at in {known[claim] for claim in mutant.claims}, mutant.id
        assert not re.search(mutant.symptom, "expected this, got that (waited 20.0 of 20 s: why that long)"), mutant.id


def test_ids_are_unique_among_faults_and_mutants_and_are_names_of_files() -> None:
    ids = [fault.id for fault in (*selection.ALL, *selection.MUTANTS)]
    assert len(set(ids)) == len(ids)
    assert [mutant.id for mutant in ALL if not re.fullmatch(r"[a-z][a-z0-9-]*", mutant.id)] == []


def test_short_form_has_one_mutant_of_each_component() -> None:
    short = selection.chosen(short=True, only=frozenset(), mutants=True)
    assert sorted(fault.kind for fault in short) == sorted(get_args(Component))


def test_mutants_and_faults_are_chosen_apart() -> None:
    assert [fault.id for fault in selection.chosen(short=False, only=frozenset(["history-kept"]), mutants=True)] == [
        "history-kept"
    ]
    with pytest.raises(ValueError, match="no such fault: history-kept"):
        selection.chosen(short=False, only=frozenset(["history-kept"]))
    with pytest.raises(ValueError, match="no such mutant: dns-gone"):
        selection.chosen(short=False, only=frozenset(["dns-gone"]), mutants=True)


def test_those_for_two_families_are_chosen_for_a_cluster_that_has_them() -> None:
    everything = selection.chosen(short=False, only=frozenset(), mutants=True, dual=True)
    assert everything == list(selection.MUTANTS)
    single = selection.chosen(short=False, only=frozenset(), mutants=True)
    assert {fault.dual for fault in single} == {False}
    left_out = {fault.id for fault in everything} - {fault.id for fault in single}
    assert "second-family-first" in left_out
    with pytest.raises(ValueError, match=r"needs a cluster with two IP families \(--ip-family=dual\): second-family-first"):
        selection.chosen(short=False, only=frozenset(["second-family-first", "history-kept"]), mutants=True)


def test_guard_knows_its_module_and_the_component_that_is_built_with_it() -> None:
    known = {
        "k8s.io/kubernetes/pkg/proxy": ("k8s.io/kubernetes", "kubernetes"),
        "k8s.io/endpointslice": ("k8s.io/endpointslice", "kubernetes"),
        "github.com/coredns/coredns/plugin/cache": ("github.com/coredns/coredns", "coredns"),
    }
    guards = {package: Guard("x", package, "f", Change("return")) for package in known}
    assert {package: (guard.module, guard.component) for package, guard in guards.items()} == known


def test_node_image_with_mutants_has_another_name_which_changes_with_them() -> None:
    pinning = pins.load()
    pinned = pinning.find("")
    names = {node.tag(pinned, pinning), node.tag(pinned, pinning, GUARDS), node.tag(pinned, pinning, GUARDS[1:])}
    assert len(names) == 3
    assert node.tag(pinned, pinning, GUARDS).startswith(f"kubechain/node:{pinned.version}-mutants-")


class Nodes:
    """Two nodes with the folder of the switches: a set of names for each."""

    def __init__(self) -> None:
        self.files: dict[str, set[str]] = {"a": set(), "b": set()}

    def nodes(self, _which: str) -> list[str]:
        return list(self.files)

    def run_on(self, name: str, script: str) -> str:
        program, *words = script.split()
        paths = {word.removeprefix(f"{SWITCHES}/") for word in words if word.startswith(SWITCHES)}
        self.files[name] = self.files[name] | paths if program == "touch" else self.files[name] - paths
        return ""

    def failing_nodes(self, _where: str, script: str) -> list[str]:
        path = script.rsplit(maxsplit=1)[-1].removeprefix(f"{SWITCHES}/")
        return [name for name, files in self.files.items() if path not in files]


def test_mutant_is_on_while_its_file_is_on_every_node() -> None:
    nodes = Nodes()
    testbed = cast("Testbed", nodes)
    switched = Switched("one")
    assert not switched.in_effect(testbed).met
    switched.inject(testbed)
    assert nodes.files == {"a": {"one"}, "b": {"one"}}
    assert switched.in_effect(testbed).met
    assert not switched.reached(testbed)
    nodes.files["b"].add("one.reached")
    assert switched.reached(testbed)
    switched.forget(testbed)
    assert nodes.files == {"a": {"one"}, "b": {"one"}}
    assert not switched.reached(testbed)
    nodes.files["a"].add("one.reached")
    switched.heal(testbed)
    assert nodes.files == {"a": set(), "b": set()}
    assert str(switched.in_effect(testbed).got) == "mutant one not on, on a, b"


def test_nodes_without_the_mutant_end_the_run_before_the_first_one() -> None:
    assert isinstance(ALL[0].fault.injection, Prepared)
    nodes = Nodes()
    nodes.files["b"].add(BUILT_IN)
    with pytest.raises(HarnessError, match="mutant one is not in the programs of a: the cluster was made for another run"):
        Switched("one").prepare(cast("Testbed", nodes))
    nodes.files["a"].add(BUILT_IN)
    Switched("one").prepare(cast("Testbed", nodes))


def test_mutant_of_kubectl_is_on_while_its_file_is_in_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    testbed = cast("Testbed", SimpleNamespace(folder=tmp_path))
    switched = SwitchedHere("one")
    switched.heal(testbed)
    assert not switched.in_effect(testbed).met
    switched.inject(testbed)
    assert switched.in_effect(testbed).met
    assert (Path(os.environ[VARIABLE]) / "one").exists()
    assert not switched.reached(testbed)
    (tmp_path / "mutants" / "one.reached").touch()
    assert switched.reached(testbed)
    switched.forget(testbed)
    assert not switched.reached(testbed)
    assert switched.in_effect(testbed).met
    switched.heal(testbed)
    assert list((tmp_path / "mutants").iterdir()) == []
    assert VARIABLE not in os.environ
    kinds = {mutant.component: type(mutant.fault.injection) for mutant in ALL}
    assert (kinds["kubectl"], kinds["kubelet"]) == (SwitchedHere, Switched)


def test_mutant_in_two_places_has_two_guards_of_one_id() -> None:
    (mutant,) = (mutant for mutant in ALL if mutant.id == "precondition-ignored")
    assert [(guard.id, guard.function) for guard in mutant.guards] == [
        ("precondition-ignored", "BeforeDelete"),
        ("precondition-ignored", "Preconditions.Check"),
    ]


@pytest.mark.parametrize(("failed", "result"), [(True, "misattributed"), (False, "survived")])
def test_mutant_whose_code_was_not_reached_is_not_killed_by_what_failed(*, failed: bool, result: str) -> None:
    mutant = next(mutant for mutant in ALL if mutant.id == "initialized-denied")
    pods = record(Link.PODS, "failed" if failed else "passed", "Initialized is False", id="CHAIN-PODS-060")
    scored = score(mutant.fault, run_record("PODS" if failed else None, pods, code=int(failed)), FaultSeconds())
    assert scored.result == ("killed" if failed else "survived")
    assert unreached(scored).result == result
    assert unreached(scored).why.startswith("no program came to the changed code: ")


def test_document_lists_every_mutant() -> None:
    text = mutant_list.markdown(CLAIMS)
    assert all(f"| {mutant.id}" in text for mutant in ALL)
    assert all(isinstance(mutant.at, Link) for mutant in ALL)
