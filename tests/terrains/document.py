"""docs/TERRAINS.md, from the records: `python -m tests.terrains.document --write`, or --check."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests.terrains import faults
from tests.terrains.catalogue import TERRAINS
from tests.terrains.ground import NOTE, SYSTEM
from tests.terrains.terrain import SINGLE, USUAL, Skip, Terrain

PATH = ROOT / "docs" / "TERRAINS.md"
HEAD = """# Terrains

Generated from the records in `tests/terrains` by `make catalogue`; `make lint` fails if it is stale.

A terrain is a healthy cluster that differs from a plain one. `make terrains` makes one after another on kind clusters, runs the
quick claims on each as on a stranger's cluster (`kubechain run --context ... --kubeconfig ...`, images by name), and undoes it. A
terrain is right if the run ends with the exit code and the words of its record, no claim fails, and exactly the claims that the
record names are skipped, each with its reason. The results of each run are in `reports/terrains`, the table of all in
`terrains.md` there.

Green is worth nothing where the suite looks away. With `FAULTS=1`, three faults of [FAULTS.md](FAULTS.md), each of another link,
are injected on each terrain on which the chain must hold, one after another. The suite runs under each with the same options and
with `--fail-fast`; its verdict must name the link of the fault, and the symptom. Then the fault is healed, and claims show that
the chain works again. On {compared} the suite also runs without `--fail-fast`, and must name the same link. None of these faults
acts through a static Pod, which not every terrain has.

```sh
make terrains                              # all, on clusters that are made for it: about two hours
make terrains TERRAIN=restricted,one-pool  # these
make terrains FAULTS=1                     # all, with three faults on each: hours
make terrains CLUSTER=mine KEEP=1          # on kind clusters that stay: mine, mine-ipv6, ...
```

Most are made on one plain kind cluster. Those of the kind "clusters" have one of another make, which is made for them and
removed after them; one whose Kubernetes version has not been built on this machine is built first, which takes a quarter of an
hour. The ConfigMap `{note}` in `{system}` names what is being made: the next command on a kept cluster undoes what a killed one
left. Clusters that are not kept are removed by the next run of kubechain, and by `kubechain clean`.

Policies of the API server stand in for the tools that change and refuse objects in the field, Nodes without a machine for those
of other systems. Misbehaving clusters are in [HOSTILE.md](HOSTILE.md), broken ones in [FAULTS.md](FAULTS.md).
"""
LEFT_OUT = "A fault all of whose claims are skipped on a terrain is left out there, and so are these:"


def markdown() -> str:
    """Return the document."""
    rows = "\n".join(map(_row, TERRAINS))
    columns = ("terrain", "kind", "a cluster that", "options", "ends with", "skipped, besides the usual", "faults")
    table = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n{rows}"
    usual = f"Skipped on every terrain, where its level has them, because the cluster is a stranger's: {_skips(USUAL)}."
    usual += f" Skipped on those without dual stack: {_skips((SINGLE,))}."
    compared = ", ".join(f"`{terrain.id}`" for terrain in TERRAINS if terrain.compares)
    head = HEAD.format(compared=compared, note=NOTE, system=SYSTEM)
    return f"{head}\n{len(TERRAINS)} terrains. {usual}\n\n{table}\n{_faults()}"


def _row(terrain: Terrain) -> str:
    options = " ".join(terrain.options).format(nginx="NGINX", client="CLIENT")
    options += f"{' ' if options else ''}--overlay FILE" if terrain.overlay else ""
    says = f" `{_cell(terrain.says)}`" if terrain.says else ""
    bound = f" within {terrain.seconds:.0f} s" if terrain.code != ExitCode.HOLDS else ""
    ends = f"{int(terrain.code)}{bound}{says}"
    found = ", ".join(f"{fault.id} ({fault.at})" for fault in faults.chosen(terrain))
    cells = (terrain.id, terrain.kind, terrain.differs, f"`{options}`" if options else "", ends, _skips(terrain.skips), found)
    return f"| {' | '.join(cells)} |"


def _faults() -> str:
    """Return which faults there are, and where some do not fit."""
    rows = [f"| {terrain.id} | {', '.join(each.faults)} | {each.why} |" for terrain, each in faults.left_out()]
    table = "\n".join(["| terrain | faults | why they do not fit |", "|---|---|---|", *rows])
    names = ", ".join(fault.id for fault in faults.FAULTS)
    return f"\nEach terrain goes on in this list of faults where the one before has ended: {names}. {LEFT_OUT}\n\n{table}\n"


def _skips(skips: Iterable[Skip]) -> str:
    return "; ".join(f"{', '.join(skip.claims)} (`{_cell(skip.why)}`)" for skip in skips)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the document, or check it; return 1 if `--check` finds it stale."""
    parser = cli.Parser(prog="python -m tests.terrains.document", description="Write or check docs/TERRAINS.md.")
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("--write", action="store_true", help="write the document")
    modes.add_argument("--check", action="store_true", help="fail if the document is stale")
    if parser.parse_args().write:
        PATH.write_text(markdown(), encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != markdown():
        sys.stderr.write(f"{PATH.relative_to(ROOT)} is stale: run `make catalogue`\n")
        return ExitCode.CHAIN_BROKEN
    return ExitCode.HOLDS


if __name__ == "__main__":
    cli.main(main)
