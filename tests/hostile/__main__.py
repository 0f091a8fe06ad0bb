"""`make hostile`: every record and the full form of other tests of whole runs, then sequences for HOSTILE_SECONDS seconds.

KUBECHAIN_PROCESSES is the number of processes.
"""

from __future__ import annotations

import argparse
import os
import sys

import pytest

from kubechain.core.bundle import ROOT

# Whole runs, then properties with many examples.
FILES = (
    *("hostile", "hostile_access", "delivery", "ends", "fail_fast", "full_disk", "integrations", "interrupts", "live"),
    *("one_namespace", "output", "own_claims", "results_of_runs", "rights_runs", "run_command", "sharding", "time_limit"),
    *("trouble_in_pods", "waivers"),
    *("conditions_endpoints", "conditions_http", "deploy", "history", "redact", "reports", "upgrade_outages", "upgrade_page"),
)

if __name__ == "__main__":
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="tests.hostile", description=__doc__)
    parser.add_argument("-n", "--processes", default=environment("KUBECHAIN_PROCESSES"), help="worker processes; default: none")
    parser.add_argument(
        "--seconds", default=environment("HOSTILE_SECONDS"), help="then draw sequences for so long; default: none"
    )
    parser.add_argument("-k", "--records", default="", help="only records whose ids match this expression of pytest -k")
    given = parser.parse_args()
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in FILES]
    words = [*files, "--hostile", "-q", *(["-n", given.processes] if given.processes else [])]
    words += [f"--hostile-seconds={given.seconds}"] if given.seconds else []
    words += ["-k", given.records] if given.records else []
    sys.exit(pytest.main(words))
