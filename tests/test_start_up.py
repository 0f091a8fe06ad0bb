"""What is imported at the start of a process is not looked through for garbage; what is made later is collected."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kubechain.core.bundle import ROOT

REPORTED = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
PROGRAMS = {
    "command": "import sys; sys.argv = ['kubechain', 'gate', '/nowhere']\nimport kubechain.__main__\n"
    "try: kubechain.__main__.main()\nexcept SystemExit: pass\n",
    "run": "import pytest; pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', 'suites/walkthrough'])\n",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_garbage_is_collected_again_after_the_start(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[name] + REPORTED], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "True True", done.stderr
