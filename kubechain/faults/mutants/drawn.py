"""Mutants that are drawn by a rule and a seed, from the functions that a green run of the quick claims comes to.

The rule: of each component, the functions of the packages in which the other mutants are, which a program called while the
quick claims ran and held, are put into the order of the SHA-256 of "SEED NAME"; the first OF_EACH are taken. In each of them the
kind of the change, and then the place for it, are the first in the same order, of those that the function has: it returns at
once, the condition of an if is negated, or a constant is changed (images/mutants/places.go). Nobody chooses or leaves out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from kubechain.faults.fault import Component, Fault
from kubechain.faults.mutants import catalogue
from kubechain.faults.mutants.mutant import switch
from kubechain.images.mutation import Candidate, Change, Guard, at_once, constant, negate

SEED = 19
OF_EACH = 10
Kind = Literal["early return", "condition negated", "constant changed"]
# The functions, one a line, and the mutants; both are written by `make draw`.
COVERED, DRAWN = (Path(__file__).with_name(name) for name in ("covered.txt", "drawn.json"))
# Mutants that no claim can notice: id -> why.
EQUIVALENT: Mapping[str, str] = {}
T = TypeVar("T")


@dataclass(frozen=True)
class Drawn:
    """A mutant that was drawn: where it is, and the `nth` of `among` places for a change of its kind in the function."""

    id: str
    component: Component
    package: str
    function: str
    kind: Kind
    nth: int = 1
    among: int = 1

    @property
    def guard(self) -> Guard:
        """Where the change is inserted into the source."""
        changes: dict[Kind, Change] = {
            "early return": at_once(),
            "condition negated": negate("", self.nth, self.among),
            "constant changed": constant(self.nth, self.among),
        }
        return Guard(self.id, self.package, self.function, changes[self.kind])

    @property
    def place(self) -> str:
        """The kind of the change, and which of the places in the function it has."""
        return self.kind if self.kind == "early return" else f"{self.kind} ({self.nth} of {self.among})"

    @property
    def fault(self) -> Fault:
        """The fault as which the mutant is judged: the suite may notice it at any link."""
        title = f"{self.package} {self.function}: {self.place}"
        injection, why = switch(self.id, self.component), EQUIVALENT.get(self.id, "")
        return Fault(self.id, self.component, title, "anywhere", injection, equivalent=why)


def packages() -> dict[str, Component]:
    """Return the packages of the chain: those of the other mutants, each with the component of the first of these."""
    return {mutant.package: mutant.component for mutant in reversed(catalogue.ALL)}


def draw(covered: Collection[str], candidates: Iterable[Candidate], seed: int = SEED, of_each: int = OF_EACH) -> list[Drawn]:
    """Draw `of_each` mutants of each component; `covered` are the names of functions with their packages."""
    known, components = [each for each in candidates if each.name in covered], packages()
    drawn = list[Drawn]()
    for component in get_args(Component):
        own = [each for each in known if components.get(each.package) == component]
        for each in _ordered(own, lambda candidate: candidate.name, seed)[:of_each]:
            places = _places(each)
            kind = _ordered(places, lambda kind, of=each: f"{of.name} {kind}", seed)[0]
            nth, among = _ordered(places[kind], lambda place, of=each, to=kind: f"{of.name} {to} {place[0]}", seed)[0]
            drawn.append(Drawn(f"drawn-{len(drawn) + 1:02}", component, each.package, each.function, kind, nth, among))
    return drawn


def _places(candidate: Candidate) -> dict[Kind, list[tuple[int, int]]]:
    """Return the kinds of change that fit a function, each with its places: (nth, among)."""
    places: dict[Kind, list[tuple[int, int]]] = {
        "early return": [(1, 1)],
        "condition negated": [(nth, candidate.among) for nth in candidate.conditions],
        "constant changed": [(nth, candidate.constants) for nth in range(1, candidate.constants + 1)],
    }
    return {kind: found for kind, found in places.items() if found}


def _ordered(values: Iterable[T], name: Callable[[T], str], seed: int) -> list[T]:
    """Return values in the order of the SHA-256 of the seed and their names."""
    return sorted(values, key=lambda value: hashlib.sha256(f"{seed} {name(value)}".encode()).hexdigest())


def written(mutants: Sequence[Drawn]) -> str:
    """Return the text of DRAWN for these mutants, one a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(mutant)) for mutant in mutants) + "\n]\n"


def read(text: str) -> tuple[Drawn, ...]:
    """Return the mutants in the text of DRAWN."""
    return tuple(Drawn(**fields) for fields in json.loads(text))


ALL: tuple[Drawn, ...] = read(DRAWN.read_text(encoding="utf-8")) if DRAWN.exists() else ()
# They are in the programs of the same node image as the other mutants.
GUARDS: tuple[Guard, ...] = tuple(mutant.guard for mutant in ALL)
