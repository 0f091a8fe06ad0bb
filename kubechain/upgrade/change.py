"""A change by any means: the command that makes it, and what is done for the witnesses until it is over."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kubechain.core import redact
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.setting_groups import PREFIX
from kubechain.observe.clock import Clock
from kubechain.upgrade import witnesses
from kubechain.upgrade.budget import BUDGET_REMOVED
from kubechain.upgrade.cluster_watch import ClusterWatch
from kubechain.upgrade.phases import Before
from kubechain.upgrade.witnesses import Yielding

# How long is asked at least after the end of the command, for what comes late.
AFTERMATH_SECONDS = 30.0
# How long an interrupted command may take to end.
END_SECONDS = 30.0
LOOK_SECONDS, RENEW_SECONDS = 5.0, 3600.0


@dataclass
class Change:
    """A command that changes the cluster, and for how many seconds is asked at least; without a command, only that."""

    process: subprocess.Popen[bytes] | None
    shown: str
    seconds: float
    watched: ClusterWatch
    began: float
    ended: float | None = None

    def over(self) -> bool:
        """Whether the command has ended, AFTERMATH_SECONDS ago, and the time is over; never without a command and a time."""
        now = self.watched.clock.now()
        if self.process is None:
            return bool(self.seconds) and now >= self.began + self.seconds
        if self.process.poll() is None:
            return False
        if self.ended is None:
            self.ended = now
            self.watched.record_step(f"{self.shown} ended with status {self.process.returncode}")
        return now >= max(self.began + self.seconds, self.ended + AFTERMATH_SECONDS)

    def require_success(self) -> None:
        """Raise HarnessError if the command failed or was interrupted: then nothing can be said of the change as a whole."""
        if self.process and self.process.returncode != 0:
            how = "was interrupted" if self.ended is None else f"ended with status {self.process.returncode}"
            raise HarnessError(f"{self.shown} {how}")


@contextmanager
def changing(command: str, seconds: float, watched: ClusterWatch) -> Generator[Change]:
    """Start a command, if there is one, whose output goes to that of this program; end it with the body.

    Raises:
        SetupError: it cannot be started (exit code TOOLS).

    """
    shown = f"`{redact.text(command)}`"
    if command:
        watched.record_step(f"{shown} started")
    process = start(command) if command else None
    try:
        yield Change(process, shown, seconds, watched, watched.clock.now())
    finally:
        if process and process.poll() is None:
            watched.record_step(f"{shown} interrupted")
            end(process)


def start(command: str, environment: Mapping[str, str] = os.environ) -> subprocess.Popen[bytes]:
    """Start a command without the variables of this run; SetupError if that is not possible (exit code TOOLS)."""
    words = shlex.split(command)
    own = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    try:
        # A session of its own: Ctrl-C is passed on, so that the run says what became of the command.
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, env=own, start_new_session=True)
    except OSError as error:
        raise SetupError(f"cannot run {words[0]}: {error.strerror}", ExitCode.TOOLS) from error


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command as Ctrl-C does, and kill it if it has not ended after END_SECONDS, or at the next Ctrl-C."""
    try:
        _send(process, signal.SIGINT)
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            _send(process, signal.SIGKILL)
            process.wait()


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@dataclass
class WitnessCare:
    """What is done for the witnesses during a change: they expire later, and their PodDisruptionBudget holds up no drain."""

    before: Before
    watched: ClusterWatch
    clock: Clock
    yielding: Yielding = field(init=False)

    def __post_init__(self) -> None:
        chain = self.before.witnesses
        self.yielding = Yielding(chain.api, chain.namespace)
        self.looked = self.renewed = self.clock.now()

    def tend(self) -> None:
        """Do what is due; an API server that is away is asked again later."""
        now, chain = self.clock.now(), self.before.witnesses
        if now - self.looked >= LOOK_SECONDS:
            self.looked = now
            # Also without the right to: then the budget stays.
            with contextlib.suppress(HarnessError):
                if self.yielding.look(self.watched.nodes.read().all("Node"), now):
                    waited = f"a drain waited for it for {witnesses.YIELD_SECONDS:g} s"
                    self.watched.record_step(f"{BUDGET_REMOVED}: {waited}")
        if now - self.renewed >= RENEW_SECONDS:
            self.renewed = now
            with contextlib.suppress(HarnessError):
                witnesses.renew(chain.api, chain.namespace)
