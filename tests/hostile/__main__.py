"""`make hostile`: every record, in KUBECHAIN_PROCESSES processes, then sequences for HOSTILE_SECONDS seconds."""

from __future__ import annotations

import os
import sys

import pytest

from kubechain.core.bundle import ROOT

if __name__ == "__main__":
    processes, seconds = map(os.environ.get, ("KUBECHAIN_PROCESSES", "HOSTILE_SECONDS"))
    files = [str(ROOT / "tests" / f"test_hostile{name}.py") for name in ("", "_access")]
    words = [*files, "--hostile", "-q", *(["-n", processes] if processes else [])]
    words += [f"--hostile-seconds={seconds}"] if seconds else []
    sys.exit(pytest.main(words))
