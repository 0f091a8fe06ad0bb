"""Measures what the observer costs in runs of claims on a cluster on loopback: `make overhead` (ROUNDS=10).

The watches of a run are threads beside the one that runs the claims. What they compute is the most by which they can hold up the
claims, on a machine with one core; the cost of a run is that CPU time in percent of the seconds of its claims.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from kubechain.claims.records import read_run
from kubechain.results import runs
from tests.hostile.access import with_token
from tests.hostile.catalogue import RECORDS
from tests.hostile.runner import run
from tests.overhead.counter import FILE

MOST_PERCENT = 3.0
SECONDS = 900.0


def measured(folder: Path) -> tuple[float, float, float]:
    """Run the claims once; return the CPU seconds of the observer and of the whole process, and the seconds of the claims."""
    cost = folder / "cost.json"
    os.environ |= {"PYTEST_PLUGINS": "tests.overhead.counter", FILE: str(cost)}
    ended = run(replace(RECORDS[0], seconds=SECONDS), with_token(folder), folder)
    if ended.code:
        raise SystemExit(f"the run ended with {ended.code}: {ended.verdict}")
    spent = json.loads(cost.read_text())
    return spent["observer"], spent["process"], runs.seconds(read_run(folder / "out" / "run.json"))


def main() -> int:
    """Print the cost of each run and the median; return 1 if it is not under MOST_PERCENT."""
    parser = argparse.ArgumentParser(prog="make overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("OVERHEAD_ROUNDS") or 10), help="runs (10)")
    rounds = parser.parse_args().rounds
    shares: list[float] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            observer, process, taken = measured(Path(folder))
        shares.append(100 * observer / taken)
        sys.stdout.write(
            f"run {number + 1}: observer {observer:.2f} s of CPU, whole process {process:.2f} s, claims {taken:.1f} s:"
            f" {shares[-1]:.2f} %\n"
        )
        sys.stdout.flush()
    median = statistics.median(shares)
    sys.stdout.write(f"median of {rounds} runs: {median:.2f} % of the time of the claims, allowed {MOST_PERCENT:g} %\n")
    return int(median >= MOST_PERCENT)


if __name__ == "__main__":
    raise SystemExit(main())
