"""Make terrains, healthy clusters that differ, one after another on a kind cluster, and run the suite on each.

`make terrains` (TERRAIN=ids, FAULTS=1, CLUSTER=NAME, KEEP=1). A terrain is right if the run ends as its record says:
docs/TERRAINS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubechain.cluster import docker_engine, kind
from kubechain.core.bundle import ROOT
from kubechain.core.default_folders import PROJECT, default_cache
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.images import workload
from kubechain.images.docker import Docker
from tests.terrains import runner
from tests.terrains.catalogue import TERRAINS
from tests.terrains.ground import Ground
from tests.terrains.terrain import Judged, Terrain

NAME = f"{PROJECT}-terrains"
PROGRAM = [sys.executable, "-m", PROJECT]
# A claim that needs little: the run makes the cluster, and brings the images to its Nodes.
FIRST = "CHAIN-PODS-010"


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


def made(name: str, folder: Path) -> tuple[Ground, Docker]:
    """Make a kind cluster of this name, or use the kept one, as it was before a command that was killed on it."""
    docker = docker_with(name)
    if docker:
        undone = runner.undo_left(connected(name, docker, folder / "before"), docker)
        if undone:
            say(f"undone: {undone} of a killed command")
    first = [*PROGRAM, "run", "--cluster", name, "--keep", "--only", FIRST, "--no-html", "--out", str(folder / "first")]
    status = subprocess.run(first, cwd=ROOT, env=runner.environment(), check=False).returncode
    if status:
        raise SetupError(f"the cluster {name} is not there, or not in order: exit code {status}", ExitCode.CLUSTER)
    docker = docker_with(name)
    if docker is None:
        raise SetupError("no container engine answers", ExitCode.ENGINE)
    return connected(name, docker, folder / "cluster"), docker


def connected(name: str, docker: Docker, folder: Path) -> Ground:
    """Return the kind cluster of this name."""
    (folder / "secrets").mkdir(mode=0o700, parents=True)
    kubeconfig, context = kind.kubeconfig(docker, name, folder)
    return Ground(name, kubeconfig, context, workload.NGINX.tag, workload.CLIENT.tag, folder / "secrets")


def docker_with(name: str) -> Docker | None:
    """Return the docker that has a kind cluster of this name, None if there is no such cluster."""
    engine = docker_engine.find(default_cache())
    docker = Docker(engine.docker) if engine else None
    return docker if docker and name in kind.names(docker) else None


def remove(name: str) -> None:
    """Delete the kind cluster of this name."""
    words = [*PROGRAM, "clean", "--kept", "--yes", "--cluster", name]
    subprocess.run(words, cwd=ROOT, env=runner.environment(), check=False)


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
    # A cluster that was there stays.
    keep = given.keep or docker_with(given.cluster) is not None
    done: list[Judged] = []
    with tempfile.TemporaryDirectory(prefix="terrains-") as folder:
        try:
            ground, docker = made(given.cluster, Path(folder))
            with ground.samples():
                for terrain in terrains:
                    results = out / terrain.id
                    shutil.rmtree(results, ignore_errors=True)
                    judged = runner.judged(ground, terrain, results, docker if given.faults else None)
                    done.append(judged)
                    tell(judged, results)
                    if not judged.undone:
                        raise SetupError(f"the cluster is not as before: see {terrain.id}", ExitCode.CLUSTER)
        finally:
            if done:
                (out / "terrains.md").write_text(f"{table(done)}\n", encoding="utf-8")
            if not keep:
                remove(given.cluster)
    bad = sum(bool(each.troubles) for each in done)
    say(f"{table(done)}\n{len(done)} terrains, {bad} wrong")
    return int(bad > 0)


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
    INTERRUPTS.arm()
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m tests.terrains", description=__doc__)
    parser.add_argument("--terrain", default=environment("TERRAIN_IDS") or "", help="ids separated by commas; default: all")
    parser.add_argument("--cluster", default=environment("KUBECHAIN_CLUSTER") or NAME, help=f"kind cluster (default: {NAME})")
    parser.add_argument("--keep", action="store_true", default=environment("KUBECHAIN_KEEP") == "1", help="keep the cluster")
    parser.add_argument(
        "--faults", action="store_true", default=environment("KUBECHAIN_FAULTS") == "1", help="inject three faults on each"
    )
    parser.add_argument("--out", default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "terrains", help="results")
    given = parser.parse_args()
    try:
        return work(given)
    except HarnessError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        say("interrupted: the terrain is undone")
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
