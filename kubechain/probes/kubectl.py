"""The program kubectl: commands, and proxy and port-forward, which listen on loopback."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kubechain.conditions.condition import Condition, Result, hopeless, met, unmet
from kubechain.conditions.timeouts import CONTROLLER
from kubechain.core.errors import ExitCode
from kubechain.core.process import check, environment
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

COMMAND_SECONDS = 30.0
LISTENING = re.compile(r"(127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Kubectl:
    """The program kubectl with the kubeconfig and the context of a run."""

    program: Path
    kubeconfig: Path
    context: str

    def run(self, *words: str) -> str:
        """Run a command and return its stdout; SetupError (exit code HARNESS) if it fails."""
        return check([*self._base, *words], timeout=COMMAND_SECONDS, code=ExitCode.HARNESS)

    @property
    def _base(self) -> list[str]:
        return [str(self.program), "--kubeconfig", str(self.kubeconfig), "--context", self.context]

    @contextmanager
    def listening(self, *words: str) -> Generator[str]:
        """Run a command that listens on loopback, such as proxy or port-forward; yield "127.0.0.1:port".

        Raises:
            Unmet: it does not listen.

        """
        with tempfile.TemporaryFile() as output:
            # With the mark of its owner, so that the next run ends it if this process is killed.
            process = subprocess.Popen(
                [*self._base, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )
            try:
                printed = Polled(f"kubectl {words[0]}", lambda: _output(process, output), RealClock())
                done = Waiter(RealClock()).eventually(printed, _listens())
                yield done.got
            finally:
                process.kill()
                process.wait()


def _output(process: subprocess.Popen[bytes], output: IO[bytes]) -> tuple[str, int | None]:
    """Return the output so far, and the exit status or None."""
    # First the status, so that the output of an ended program is complete.
    status = process.poll()
    output.seek(0)
    return output.read().decode(errors="replace"), status


def _listens() -> Condition[tuple[str, int | None]]:
    def check(said: tuple[str, int | None]) -> Result:
        text, ended = said
        found = LISTENING.search(text)
        if ended is not None:
            return hopeless(f"exit status {ended}: {text.strip()}")
        return met(found[1]) if found else unmet(f"the output {text.strip()!r}")

    return Condition("kubectl to listen on loopback", check, CONTROLLER)
