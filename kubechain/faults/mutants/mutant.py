"""A mutant: what a component of Kubernetes does wrong while it is on, and the fault as which it is judged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.faults.fault import Component, Fault
from kubechain.faults.testbed import Testbed
from kubechain.images.mutation import BUILT_IN, SWITCHES, VARIABLE, Change, Guard


@dataclass(frozen=True)
class Switched:
    """A mutant that is on: a file of its name is on every node. The programs look for it ten times a second."""

    id: str

    @property
    def _file(self) -> str:
        return f"{SWITCHES}/{self.id}"

    def prepare(self, testbed: Testbed) -> None:
        """Raise a HarnessError unless the programs of every node have the mutant."""
        without = testbed.failing_nodes("all", f"grep -qxF {self.id} {BUILT_IN}")
        if without:
            raise HarnessError(
                f"mutant {self.id} is not in the programs of {some(without)}: the cluster was made for another run; remove it"
            )

    def inject(self, testbed: Testbed) -> None:
        """Write the file on every node."""
        for node in testbed.nodes("all"):
            testbed.run_on(node, f"touch {self._file}")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the file on every node."""
        without = testbed.failing_nodes("all", f"test -e {self._file}")
        return expect(not without, f"mutant {self.id} not on, on {some(without)}")

    def heal(self, testbed: Testbed) -> None:
        """Remove the file from every node, and the one that says that the changed code was reached."""
        for node in testbed.nodes("all"):
            testbed.run_on(node, f"rm -f {self._file} {self._file}.reached")

    def forget(self, testbed: Testbed) -> None:
        """Remove the file that says that the changed code was reached; it is there again when a program comes to the code."""
        for node in testbed.nodes("all"):
            testbed.run_on(node, f"rm -f {self._file}.reached")

    def reached(self, testbed: Testbed) -> bool:
        """Whether a program has come to the changed code since the mutant was switched on, or since `forget`."""
        return len(testbed.failing_nodes("all", f"test -e {self._file}.reached")) < len(testbed.nodes("all"))


class SwitchedHere(Switched):
    """A mutant of kubectl that is on: a file of its name is on the machine of the run, in the results folder."""

    def inject(self, testbed: Testbed) -> None:
        """Write the file, and name its folder to the programs that this process starts."""
        folder = testbed.folder / "mutants"
        folder.mkdir(exist_ok=True)
        (folder / self.id).touch()
        os.environ[VARIABLE] = str(folder)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the file."""
        return expect(self._here(testbed).exists(), f"mutant {self.id} not on")

    def heal(self, testbed: Testbed) -> None:
        """Remove the file, and the one that says that the changed code was reached."""
        for path in (self._here(testbed), self._here(testbed, ".reached")):
            path.unlink(missing_ok=True)
        os.environ.pop(VARIABLE, None)

    def forget(self, testbed: Testbed) -> None:
        """Remove the file that says that the changed code was reached."""
        self._here(testbed, ".reached").unlink(missing_ok=True)

    def reached(self, testbed: Testbed) -> bool:
        """Whether kubectl has come to the changed code since the mutant was switched on, or since `forget`."""
        return self._here(testbed, ".reached").exists()

    def _here(self, testbed: Testbed, ending: str = "") -> Path:
        return testbed.folder / "mutants" / f"{self.id}{ending}"


def switch(id: str, component: Component) -> Switched:  # noqa: A002  # as the field of a mutant
    """Return what switches a mutant of a component."""
    return SwitchedHere(id) if component == "kubectl" else Switched(id)


@dataclass(frozen=True)
class Mutant:
    """A mutant: a component, a function or Type.Method of a Go package in it, and how that is changed.

    `does` says in one sentence what the component does wrong; the other fields are those of a fault. `more` are further changes,
    where what the mutant leaves out is done in two places: package, function and change of each.
    """

    id: str
    component: Component
    package: str
    function: str
    change: Change
    does: str
    at: Link
    claims: tuple[str, ...]
    symptom: str
    breaks: tuple[Link, ...] = ()
    short: bool = False
    more: tuple[tuple[str, str, Change], ...] = ()
    dual: bool = False
    given: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def guards(self) -> list[Guard]:
        """Where the changes are inserted into the source."""
        return [Guard(self.id, *place) for place in ((self.package, self.function, self.change), *self.more)]

    @property
    def fault(self) -> Fault:
        """The fault as which the mutant is judged."""
        return Fault(
            self.id, self.component, self.does, self.at, switch(self.id, self.component), self.claims, self.symptom, self.breaks,
            short=self.short, dual=self.dual, given=self.given,
        )  # fmt: skip
