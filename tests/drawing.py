"""Draw mutants by rule, in functions that a green run of the quick claims comes to: `make draw`.

The run is on a kind cluster whose programs note the functions that they call, and ends with a verdict of its own. What it found
and what was drawn are kept beside the rule, in kubechain/faults/mutants; docs/MUTANTS.md lists what was drawn.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import get_args

from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings, load
from kubechain.faults.fault import Component
from kubechain.faults.mutants import covering, drawn
from kubechain.images import pins
from kubechain.images.resolve import store_of


def keep(settings: Settings, progress: Progress) -> list[drawn.Drawn]:
    """Draw from the functions that the last run found, and write these and the mutants beside the rule.

    Raises:
        HarnessError: a component has too few functions, so that nothing is written.

    """
    covered = (settings.out / covering.LISTED).read_text(encoding="utf-8")
    candidates = covering.candidates(pins.load().find(""), store_of(settings), progress)
    mutants = drawn.draw(frozenset(covered.splitlines()), candidates)
    found = Counter(mutant.component for mutant in mutants)
    few = [f"{component} {found[component]}" for component in get_args(Component) if found[component] < drawn.OF_EACH]
    if few:
        raise HarnessError(f"expected {drawn.OF_EACH} functions of each component that the run calls, got {', '.join(few)}")
    drawn.COVERED.write_text(covered, encoding="utf-8")
    drawn.DRAWN.write_text(drawn.written(mutants), encoding="utf-8")
    return mutants


def main() -> int:
    """Return the exit code of the run that looks; 0 if it holds, and mutants are drawn."""
    code = subprocess.run([sys.executable, "-m", "kubechain", "faults", "--mutants", "--cover"], cwd=ROOT, check=False).returncode
    if code:
        print("  nothing is drawn: the functions that a run calls count if it holds", file=sys.stderr)  # noqa: T201
        return code
    try:
        mutants = keep(load(), Progress())
    except HarnessError as error:
        print(f"  nothing is drawn: {error}", file=sys.stderr)  # noqa: T201
        return int(error.code)
    print(f"  {len(mutants)} mutants drawn into {drawn.DRAWN.relative_to(ROOT)}; now `make catalogue`")  # noqa: T201
    return 0


if __name__ == "__main__":
    cli.main(main)
