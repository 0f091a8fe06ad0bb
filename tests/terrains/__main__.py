"""Make terrains, healthy clusters that differ, one after another on kind clusters, and run the suite on each.

`make terrains` (TERRAIN=ids, FAULTS=1, CLUSTER=NAME, KEEP=1). A terrain is right if the run ends as its record says:
docs/TERRAINS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from tests.terrains import clusters, runner
from tests.terrains.catalogue import TERRAINS
from tests.terrains.terrain import Ended, Judged, Terrain

NAME = f"{PROJECT}-terrains"


def chosen(ids: str) -> list[Terrain]:
    """Return the terrains of these ids, separated by commas; all for none.

    Raises:
        SetupError: an id is unknown (exit code USAGE).

    """
    known = {terrain.id: terrain for terrain in TERRAINS}
    wanted = [word for word in (part.strip() for part in ids.split(",")) if word]
    unknown = [word for word in wanted if word not in known]
    if unknown:
        raise SetupError(f"--terrain={ids}: no terrain {', '.join(unknown)}: see docs/TERRAINS.md", ExitCode.USAGE)
    return [known[word] for word in wanted] or [*TERRAINS]


def groups(terrains: Iterable[Terrain]) -> dict[str, list[Terrain]]:
    """Return the terrains by the ids of their makes, so that each cluster is made once."""
    grouped: dict[str, list[Terrain]] = {}
    for terrain in terrains:
        grouped.setdefault(terrain.make.id, []).append(terrain)
    return grouped


def table(done: Sequence[Judged]) -> str:
    """Return the ends of all terrains as a table of Markdown."""
    rows = ["| terrain | seconds | verdict | skipped | faults | wrong |", "|---|---|---|---|---|---|"]
    for each in done:
        verdict = each.ended.verdict.partition(" skipped: ")[0]
        found = [f"{one.fault}: {one.ended.link or 'no link'} ({one.ended.seconds:.0f} s)" for one in each.tried]
        troubles = "; ".join(each.troubles)
        cells = [each.terrain.id, f"{each.ended.seconds:.0f}", verdict, str(len(each.ended.skipped)), ", ".join(found), troubles]
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        rows.append(f"| {row} |")
    return "\n".join(rows)


def work(given: argparse.Namespace) -> int:
    """Run the terrains; return 1 if one is wrong."""
    terrains, out = chosen(given.terrain), Path(given.out).absolute()
    done: list[Judged] = []
    try:
        for group in groups(terrains).values():
            run_group(group, given, out, done)
    finally:
        if done:
            (out / "terrains.md").write_text(f"{table(done)}\n", encoding="utf-8")
    bad = sum(bool(each.troubles) for each in done)
    say(f"{table(done)}\n{len(done)} terrains, {bad} wrong")
    return int(bad > 0)


def run_group(group: Sequence[Terrain], given: argparse.Namespace, out: Path, done: list[Judged]) -> None:
    """Make the cluster of these terrains, run them there, and add how they end to `done`.

    The rest of them is wrong if the cluster cannot be made, or one of them cannot be undone.
    """
    make, left = group[0].make, [*group]
    try:
        with clusters.ground_of(make, make.cluster(given.cluster), keep=given.keep) as ground, ground.samples():
            while left:
                ground.require_settled()
                terrain = left.pop(0)
                results = out / terrain.id
                shutil.rmtree(results, ignore_errors=True)
                judged = runner.judged(ground, terrain, results, with_faults=given.faults)
                done.append(judged)
                tell(judged, results)
                if not judged.undone:
                    raise SetupError(f"the cluster is not as before: see {terrain.id}", ExitCode.CLUSTER)
    except (HarnessError, Unmet) as error:
        say(str(error))
        done += [Judged(terrain, Ended(-1, "not run", 0.0), [f"no cluster: {error}"]) for terrain in left]


def tell(judged: Judged, results: Path) -> None:
    """Print how the run on a terrain ended, and write what is wrong into its results."""
    ended, wrong = judged.ended, judged.troubles
    say(f"{'BAD' if wrong else 'ok '} {judged.terrain.id}: {ended.seconds:.1f} s, {ended.code}, {ended.verdict}")
    for tried in judged.tried:
        say(f"      {tried.fault}: {tried.ended.link or 'no link'} after {tried.ended.seconds:.1f} s: {tried.ended.verdict}")
    for line in wrong:
        say(f"      wrong: {line}")
    if wrong:
        bad = {name: claim for name, claim in ended.claims.items() if claim[0] not in ("passed", "skipped")}
        (results / "wrong.json").write_text(json.dumps({"wrong": wrong, "claims": bad}, indent=2), encoding="utf-8")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Read the command line, and do the work; return the exit code."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.terrains", description=__doc__)
    parser.add_argument("--terrain", default=environment("TERRAIN_IDS") or "", help="ids separated by commas; default: all")
    parser.add_argument(
        "--cluster",
        default=environment("KUBECHAIN_CLUSTER") or NAME,
        help=f"the plain kind cluster (default: {NAME}); those of other makes have its name and theirs",
    )
    parser.add_argument("--keep", action="store_true", default=environment("KUBECHAIN_KEEP") == "1", help="keep the clusters")
    parser.add_argument(
        "--faults", action="store_true", default=environment("KUBECHAIN_FAULTS") == "1", help="inject three faults on each"
    )
    parser.add_argument("--out", default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "terrains", help="results")
    return work(parser.parse_args())


if __name__ == "__main__":
    cli.main(main)
