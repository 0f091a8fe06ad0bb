"""The program kubectl: commands, and proxy and port-forward, which listen on loopback."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from kubechain.conditions.condition import Condition, Result, met, unmet
from kubechain.conditions.timeouts import KUBECTL
from kubechain.core.errors import ExitCode
from kubechain.core.process import Completed, environment, run
from kubechain.kube.creation import CREATE_SECONDS, persistently
from kubechain.kube.errors import ApiUnavailable
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.kubectl_errors import NOT_REACHED, error_of

COMMAND_SECONDS = 30.0
LISTENING = re.compile(r"(127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Kubectl:
    """The program kubectl with the kubeconfig and the context of a run."""

    program: Path
    kubeconfig: Path
    context: str

    def run(self, *words: str) -> str:
        """Run a command that changes nothing and return its stdout; it is repeated while the API server is unavailable to it.

        Raises:
            HarnessError: it fails; ApiUnavailable if the API server was unavailable at every attempt.

        """

        def attempt() -> str:
            done = run([*self._base, *words], timeout=COMMAND_SECONDS)
            if done.status != 0:
                raise error_of(replace(done, argv=(self.program.name, *words)))
            return done.stdout

        return persistently(attempt, CREATE_SECONDS)

    def attempt(self, namespace: str, words: Sequence[str]) -> Completed:
        """Run a command in a namespace and return its output and its exit status; its argv is as a person types it.

        Raises:
            SetupError: kubectl cannot be started, or did not end in time.

        """
        done = run([*self._base, "--namespace", namespace, *words], timeout=COMMAND_SECONDS)
        return replace(done, argv=(self.program.name, *words))

    @property
    def _base(self) -> list[str]:
        """The program with what leads to the cluster. What the API server offers is kept with the keys of the run."""
        cache = self.kubeconfig.parent / "kubectl-cache"
        return [
            *(str(self.program), "--kubeconfig", str(self.kubeconfig), "--context", self.context),
            *("--cache-dir", str(cache)),
        ]

    @contextmanager
    def listening(self, *words: str) -> Generator[Listener]:
        """Run a command that listens on loopback, such as proxy or port-forward, during the body.

        Raises:
            Unmet: it does not listen within the timeout KUBECTL.

        """
        listener = Listener([*self._base, *words])
        try:
            listener.address()
            yield listener
        finally:
            listener.end()


@dataclass
class Listener:
    """A kubectl that listens on loopback. It ends when its connection to the API server breaks, and is then started again."""

    argv: list[str]
    # What the last one said that has ended, and its exit status.
    _ended: tuple[str, int | None] = ("", None)
    _process: subprocess.Popen[bytes] | None = None
    _output: IO[bytes] | None = None

    def address(self) -> str:
        """Return "127.0.0.1:port" once kubectl listens there.

        Raises:
            Unmet: it does not listen within the timeout KUBECTL; the message has the output of its last attempt.
            HarnessError: nor does it reach the API server.

        """
        printed = Polled("kubectl", self._said, RealClock(), interval=0.2)
        return Waiter(RealClock()).eventually(printed, _listens()).got

    def end(self) -> None:
        """End it, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._output:
            self._output.close()
        self._process = self._output = None

    def _said(self) -> tuple[str, int | None]:
        """Return the output so far, and the exit status or None; one that has ended is started again at the next call.

        Raises:
            ApiUnavailable: it did not reach the API server.

        """
        if not self._process or not self._output:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by end
            # With the mark of its owner, so that the next run ends it if this process is killed.
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )
        # First the status, so that the output of an ended program is complete.
        status = self._process.poll()
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        if status is not None:
            self._ended = text, status
            self.end()
        # One that has just started has said nothing yet.
        said = (text, status) if text else self._ended
        if NOT_REACHED.search(said[0]):
            raise ApiUnavailable(f"kubectl: {' '.join(said[0].split())}", ExitCode.UNREACHABLE)
        return said


def _listens() -> Condition[tuple[str, int | None]]:
    def check(said: tuple[str, int | None]) -> Result:
        text, ended = said
        found = LISTENING.search(text)
        if ended is not None:
            return unmet(f"exit status {ended}: {' '.join(text.split())}")
        return met(found[1]) if found else unmet(f"the output {text.strip()!r}")

    return Condition("kubectl to listen on loopback", check, KUBECTL)
