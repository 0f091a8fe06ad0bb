"""Which functions of the chain's packages the programs call while the quick claims run, as a harmless change of the programs."""

from __future__ import annotations

from pathlib import Path

from kubechain.core.build_cache import BuildCache
from kubechain.core.progress import Progress
from kubechain.faults.fault import Fault
from kubechain.faults.mutants import drawn
from kubechain.faults.mutants.mutant import Switched, SwitchedHere
from kubechain.faults.testbed import Testbed
from kubechain.images import golang, mutation, pins
from kubechain.images.mutation import SWITCHES, Candidate, Guard, at_once, enter
from kubechain.images.pins import Kubernetes

ID = "functions-covered"
# File in the folder of a run: the functions, one a line.
LISTED = "covered.txt"


class Covering(Switched):
    """Programs that note each function when they first call it; kubectl does so on the machine of the run."""

    def inject(self, testbed: Testbed) -> None:
        """Switch the notes on."""
        super().inject(testbed)
        SwitchedHere(self.id).inject(testbed)

    def heal(self, testbed: Testbed) -> None:
        """Write the functions that were noted to LISTED, in the order of their names, then switch the notes off."""
        file = testbed.folder / LISTED
        names = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set[str]()
        for node in testbed.nodes("all"):
            names.update(testbed.run_on(node, f"cat {SWITCHES}/{self.id}.*.reached 2> /dev/null || true").splitlines())
        here = testbed.folder / "mutants"
        for path in here.glob(f"{self.id}.*.reached"):
            names.update(path.read_text(encoding="utf-8").splitlines())
        file.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
        super().heal(testbed)
        for node in testbed.nodes("all"):
            testbed.run_on(node, f"rm -f {SWITCHES}/{self.id}.*.reached")
        for path in here.glob(f"{self.id}.*"):
            path.unlink()
        SwitchedHere(self.id).heal(testbed)


FAULT = Fault(ID, "harmless", "the programs note the functions that they call", None, Covering(ID))


def candidates(pinned: Kubernetes, store: BuildCache, progress: Progress) -> list[Candidate]:
    """Return the functions of the chain's packages that can be changed by rule, from the modules of the pinned versions.

    Raises:
        SetupError: the source of a module cannot be read (exit code IMAGES).

    """
    versions = {"kubernetes": pinned.version, "coredns": pinned.coredns}
    places = {guard.module: guard.component for guard in (Guard(ID, package, "", at_once()) for package in drawn.packages())}
    sources = dict[str, Path]()
    for module, component in places.items():
        sources[module] = golang.source(component, versions[component], module, store, progress)
    return mutation.candidates(sorted(drawn.packages()), sources, store, progress)


def guards(store: BuildCache, progress: Progress) -> tuple[Guard, ...]:
    """Return what notes each function of the chain's packages, for the default version; SetupError as for `candidates`."""
    found = candidates(pins.load().find(""), store, progress)
    return tuple(Guard(ID, each.package, each.function, enter(each.name)) for each in found)
