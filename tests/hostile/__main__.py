"""`make hostile`: every record and the full form of other tests of whole runs, then sequences for HOSTILE_SECONDS seconds.

KUBECHAIN_PROCESSES is the number of processes. HOSTILE_LEDGER is a file for the results, one a line, as they come: what it says
has held on the present code is not run again. HOSTILE_SLOWNESS is a factor on the time that a command may take.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile.summary import Summary
from tests.ledger import Ledger, code

# Whole runs, then properties with many examples.
FILES = (
    *(
        "hostile",
        "hostile_access",
        "delivery",
        "deployed",
        "detached_resumed",
        "ends",
        "fail_fast",
        "full_disk",
        "integrations",
        "interruptible",
        "interrupts",
        "live",
        "nightly",
    ),
    *(
        "one_namespace",
        "output",
        "own_claims",
        "results_of_runs",
        "rigs",
        "rights_runs",
        "run_command",
        "selection",
        "sharding",
        "time_limit",
    ),
    *("trouble_in_pods", "waivers", "watch"),
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
    parser.add_argument("--ledger", type=Path, default=environment("HOSTILE_LEDGER") or None, help="file of the results")
    given = parser.parse_args()
    ledger = Ledger(given.ledger, code("tests"))
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in FILES]
    words = [*files, "--hostile", "-q", *(["-n", given.processes] if given.processes else [])]
    words += [f"--hostile-seconds={given.seconds}"] if given.seconds else []
    words += ["-k", given.records] if given.records else []
    words += [f"--deselect={case}" for case in sorted(ledger.held())]
    sys.exit(pytest.main(words, plugins=[Summary(ledger)]))
