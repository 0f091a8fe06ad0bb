"""Upstream's side: many tests in one run of ginkgo, in so many processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.core.process import run
from kubechain.faults.upstream.run import options, outcome_of

# Of one test, by upstream's own documentation, and of all of them one after another.
RUN_SECONDS = 1800.0
GRACE_SECONDS = 60.0
REPORT = "junit.xml"


@dataclass(frozen=True)
class UpstreamSide:
    """The programs ginkgo and e2e.test for one cluster; `tests` is Testname -> the test's full name in the program."""

    ginkgo: Path
    program: Path
    kubeconfig: Path
    kubectl: Path
    tests: Mapping[str, str]

    def run(self, processes: int, folder: Path) -> list[str]:
        """Run all tests; return the names of those that did not pass, whose output is written to `folder`.

        Raises:
            HarnessError: there is no report, or the tests take more than RUN_SECONDS.

        """
        folder.mkdir(parents=True)
        with TemporaryDirectory(dir=folder) as temporary:
            command = self.command(processes, Path(temporary))
            done = run(command, timeout=RUN_SECONDS + GRACE_SECONDS, env={"TMPDIR": temporary})
            report = Path(temporary, REPORT)
            if not report.exists():
                raise HarnessError(f"upstream's tests wrote no report (status {done.status}): {done.last_words}")
            text = report.read_text(encoding="utf-8")
        failed = [test for test, name in self.tests.items() if outcome_of(text, name) != "passed"]
        if failed:
            (folder / "output.txt").write_text(redact.text(done.stdout + done.stderr), encoding="utf-8")
        return failed

    def command(self, processes: int, folder: Path) -> list[str | Path]:
        """Return the command that runs all tests, with the report in `folder`."""
        focus = "|".join(f"{re.escape(name)}$" for name in self.tests.values())
        return [
            self.ginkgo,
            "run",
            f"--procs={processes}",
            "--no-color",
            f"--timeout={RUN_SECONDS:.0f}s",
            f"--focus={focus}",
            f"--junit-report={REPORT}",
            f"--output-dir={folder}",
            self.program,
            "--",
            *options(self.kubeconfig, self.kubectl),
        ]
