"""Find and end programs whose run has ended, by the owner in their environment.

A killed run cannot end its programs, and a Go build takes up to an hour. kubechain.core.process sets the identity of the
owner in the environment of every program, and their children inherit it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

import psutil

from kubechain.conditions.condition import empty
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import SetupError, Unmet
from kubechain.core.process import OWNER, is_running, pid_namespace
from kubechain.core.progress import Progress
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

TERMINATED = Timeout(10, "a compiler or an image build stops and removes its temporary files")
KILLED = Timeout(5, "the kernel removes a killed process")


@dataclass(frozen=True)
class Orphan:
    """A process whose owner has ended."""

    process: psutil.Process
    program: str


def find() -> list[Orphan]:
    """Return the processes of this user (of every user, for root) whose owner has ended."""
    # The owner of this process itself, whose programs are not orphans.
    spared = os.environ.get(OWNER)
    orphans: list[Orphan] = []
    for process in psutil.process_iter():
        # The process may have ended, or belong to another user.
        with contextlib.suppress(psutil.Error, OSError):
            owner = process.environ().get(OWNER)
            # In another PID namespace, such as that of a container, the pid of the owner belongs to another process.
            here = pid_namespace(process.pid) == pid_namespace()
            if owner and owner != spared and here and not is_running(owner):
                orphans.append(Orphan(process, process.name()))
    return orphans


def end(progress: Progress) -> None:
    """End all orphans with SIGTERM, and those that remain with SIGKILL.

    Raises:
        SetupError: an orphan still runs.

    """
    orphans = find()
    if not orphans:
        return
    names = ", ".join(f"{orphan.program} (pid {orphan.process.pid})" for orphan in orphans)
    with progress.step(f"ending programs of runs that have ended: {names}"):
        for number, within in ((signal.SIGTERM, TERMINATED), (signal.SIGKILL, KILLED)):
            with contextlib.suppress(Unmet):
                _signal(number, within)
                return
        running = ", ".join(f"{orphan.program} (pid {orphan.process.pid})" for orphan in find())
        raise SetupError(f"programs of a run that has ended do not end, even after SIGKILL: {running}; end them and try again")


def _signal(number: signal.Signals, within: Timeout) -> None:
    """Send each orphan a signal, also those that appear while waiting, until there is none; Unmet if one remains."""
    signalled: set[psutil.Process] = set()

    def pull() -> list[str]:
        orphans = find()
        for orphan in orphans:
            if orphan.process not in signalled:
                signalled.add(orphan.process)
                with contextlib.suppress(psutil.Error):
                    orphan.process.send_signal(number)
        return [orphan.program for orphan in orphans]

    Waiter(RealClock()).eventually(Polled("orphans", pull, RealClock()), empty("orphan"), within=within)
