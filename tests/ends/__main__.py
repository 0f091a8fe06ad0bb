"""End runs in every way, and print what is left: on a cluster that stays, or on kind clusters of their own.

`make ends CONTEXT=NAME` or `make ends CLUSTER=NAME`; the settings are those of `kubechain run`. With a ledger, each case is
written there as it ends; those that have held on the present code are not run again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kubechain.cleanup import cordons, namespaces
from kubechain.cluster import docker_engine, existing, kind
from kubechain.core import cli
from kubechain.core.default_folders import PROJECT, default_cache
from kubechain.core.errors import HarnessError
from kubechain.core.settings import PREFIX
from kubechain.images.docker import Docker
from kubechain.kube.client import Api
from tests.ends import judge, matrix
from tests.ends.run import Case, Ended, Rig, wait_for
from tests.ledger import Ledger, code

# A namespace whose deletion has begun when a run is killed; the next run does not wait for it.
DELETED_SECONDS = 90.0
ATTEMPTS = 10
IMAGES = ("NGINX_IMAGE", "CLIENT_IMAGE")
PROGRAM = [sys.executable, "-m", PROJECT]
BUILDS = Path.home() / ".cache" / PROJECT / "builds"
# Returns what the run of an id left on its cluster.
Left = Callable[[str], list[str]]


def main() -> int:
    """Run the cases; return 1 if one of them leaves something or ends in another way than documented."""
    parser = cli.Parser(prog="python -m tests.ends", description=__doc__)
    environment = {name: os.environ.get(f"{PREFIX}{name}", "") for name in ("CONTEXT", "KUBECONFIG", "CLUSTER", *IMAGES)}
    for name, value in environment.items():
        parser.add_argument(f"--{name.lower().replace('_', '-')}", default=value, help="as of kubechain run")
    told_by = os.environ.get
    parser.add_argument("--cases", default=told_by("ENDS_CASES", ""), help="ids or patterns of ids, with commas; default: all")
    parser.add_argument("--ledger", type=Path, default=told_by("ENDS_LEDGER") or None, help="file of the results, to go on from")
    parser.add_argument("--list", action="store_true", help="print the ids and what the ledger says of each, and run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, on a cluster that stays")
    given = parser.parse_args()
    if bool(given.context) == bool(given.cluster):
        parser.error("either a context or the name of a kind cluster is needed")
    every = matrix.own_cluster() if given.cluster else [*matrix.signalled(), *matrix.killed()]
    try:
        cases = matrix.chosen(every, given.cases)
    except ValueError as error:
        parser.error(str(error))
    ledger = Ledger(given.ledger, code("tests/ends"))
    if given.list:
        write("\n".join(matrix.listed(cases, ledger.problems())))
        return 0
    due = [case for case in cases if case.id not in ledger.held()]
    write(f"{len(cases)} cases, {len(cases) - len(due)} of them held on this code before")
    told = {f"{PREFIX}{name}": getattr(given, name.lower()) for name in IMAGES}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ends-") as home:
        folder = Path(home)
        if given.cluster:
            jobs = 1
            # The runs have caches of their own, and find an engine that runs by $DOCKER_HOST, which this sets.
            docker_engine.find(default_cache())
            rig = Rig(
                [*PROGRAM, "run", "--cluster", given.cluster], folder, told, builds=BUILDS, next_command=[*PROGRAM, "clean"]
            )
            left = partial(of_cluster, given.cluster)
        else:
            jobs = given.jobs
            (folder / "keys").mkdir()
            kubeconfig = existing.kubeconfig(given.kubeconfig, given.context, folder / "keys")
            command = [*PROGRAM, "run", "--context", given.context, "--kubeconfig", str(kubeconfig)]
            rig = Rig(command, folder, told, builds=BUILDS, next_command=[*command, "--only", "CHAIN-SERVICE-010"])
            left = partial(on_cluster, existing.connect(kubeconfig, given.context, folder / "keys"))
        with ThreadPoolExecutor(jobs) as pool:
            found = list(pool.map(partial(judged, rig, left, ledger), due, range(len(due))))
    known = {**ledger.problems(), **{case.id: each for case, each in zip(due, found, strict=True)}}
    write(matrix.table(cases, known))
    bad = sum(bool(known[case.id]) for case in cases)
    write(f"{len(cases)} cases, {bad} with problems, {len(due)} run in {time.monotonic() - began:.0f} s")
    return int(bad > 0)


def judged(rig: Rig, left: Left, ledger: Ledger, case: Case, number: int) -> list[str]:
    """Run a case, and after a kill the next start; print, write to the ledger and return what does not hold."""
    folder, ended = rig.end(case, number)
    found = judge.problems(case, folder, ended)
    if case.leaves:
        after = rig.next_start(folder)
        if after.code != 0:
            found.append(f"the next start ended with {after.code}: {after.output[-200:]}")
        found += [f"after the next start: {each}" for each in judge.leftovers(folder)]
    if case.leaves:
        wait_for(lambda: None if left(ended.run) else True, DELETED_SECONDS)
    found += [f"on the cluster: {each}" for each in left(ended.run)]
    say(case, ended, found)
    ledger.add(case.id, found, exit_code=ended.code, seconds=round(ended.seconds, 1))
    return found


def on_cluster(api: Api, run: str) -> list[str]:
    """Return what a run left on a cluster that stays: namespaces and cordoned Nodes."""
    if not run:
        return []
    for _ in range(ATTEMPTS):
        # The rig itself loads the machine.
        with contextlib.suppress(HarnessError):
            return [each.name for each in namespaces.of_run(api, run) + cordons.left_by(api, run)]
    return ["unknown: the API server does not answer"]


def of_cluster(name: str, _run: str) -> list[str]:
    """Return the node containers of a kind cluster."""
    engine = docker_engine.find(default_cache())
    return [node.id for node in kind.containers(Docker(engine.docker), name)] if engine else []


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(case: Case, ended: Ended, found: Sequence[str]) -> None:
    """Print one case, with the end of the run's output if something does not hold."""
    write(f"{'BAD' if found else 'ok '} {case.name}: exit code {ended.code} after {ended.seconds:.1f} s")
    for each in found:
        write(f"      {each}")
    if found:
        write("      | " + "\n      | ".join(ended.output.splitlines()[-25:]))


if __name__ == "__main__":
    cli.main(main)
