"""Measures what the observer costs in quick runs: `make overhead CLUSTER=NAME` (ROUNDS=10), of a kind cluster that a run kept.

The watches of a run are threads beside the one that runs the claims. What they compute is the most by which they can hold up the
claims, on a machine with one core; the cost of a run is that CPU time in percent of the seconds of its claims.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from kubechain.claims.records import read_run
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.results import runs
from tests import kept, rigs
from tests.kept import Kept
from tests.overhead.counter import FILE

MOST_PERCENT = 3.0
SECONDS = 900.0


def measured(cluster: Kept, folder: Path) -> tuple[float, float, float]:
    """Run the quick claims once; return the CPU seconds of the observer and of the whole process, and the seconds of the claims.

    Raises:
        HarnessError: the chain does not hold.

    """
    cost, out = folder / "cost.json", folder / "out"
    environment = {**os.environ, **cluster.settings} | {
        "KUBECHAIN_CONTEXT": cluster.context,
        "KUBECHAIN_KUBECONFIG": str(cluster.kubeconfig),
        "KUBECHAIN_OUT": str(out),
        "KUBECHAIN_HTML": "0",
        "KUBECHAIN_PROCESSES": "1",
        "PYTEST_PLUGINS": "tests.overhead.counter",
        "PYTHONPATH": str(ROOT),
        FILE: str(cost),
    }
    words = [sys.executable, "-m", "kubechain", "run"]
    status, printed = rigs.done(words, environment, seconds=SECONDS)
    if status:
        raise HarnessError(f"the run ended with {status}: {printed.strip()[-500:]}")
    spent = json.loads(cost.read_text(encoding="utf-8"))
    return spent["observer"], spent["process"], runs.seconds(read_run(out / "run.json"))


def main() -> int:
    """Print the cost of each run and the median; return 1 if it is not under MOST_PERCENT."""
    parser = cli.Parser(prog="make overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("OVERHEAD_ROUNDS") or 10), help="runs (10)")
    parser.add_argument("--cluster", default=os.environ.get("KUBECHAIN_CLUSTER", ""), help="kind cluster that a run kept")
    given = parser.parse_args()
    if not given.cluster:
        parser.error("the name of a kept kind cluster is needed: CLUSTER=NAME, made by make e2e KEEP=1 CLUSTER=NAME")
    docker = kept.engine()
    if docker is None:
        raise SetupError("no container engine answers: start the cluster with make e2e KEEP=1", ExitCode.ENGINE)
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        cluster = kept.kept(docker, given.cluster, Path(home))
        for number in range(given.rounds):
            with tempfile.TemporaryDirectory(dir=home) as folder:
                observer, process, taken = measured(cluster, Path(folder))
            shares.append(100 * observer / taken)
            sys.stdout.write(
                f"run {number + 1}: observer {observer:.2f} s of CPU, whole process {process:.2f} s, claims {taken:.1f} s:"
                f" {shares[-1]:.2f} %\n"
            )
            sys.stdout.flush()
    median = statistics.median(shares)
    sys.stdout.write(f"median of {given.rounds} runs: {median:.2f} % of the time of the claims, allowed {MOST_PERCENT:g} %\n")
    return int(median >= MOST_PERCENT)


if __name__ == "__main__":
    cli.main(main)
