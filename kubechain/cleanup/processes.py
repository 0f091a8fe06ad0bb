"""Programs that outlived the run that started them, found by the owner in their environment, and ended.

A run that is killed cannot end what it started, and a Go build goes on for an hour. Every program that the project
runs carries the identity of its owner (kubechain.core.process), which all that it starts inherits.
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

ASKED = Timeout(10, "a compiler or an image build stops and removes its temporary files")
KILLED = Timeout(5, "the kernel takes a killed process away")


@dataclass(frozen=True)
class Orphan:
    """A process whose owner has ended."""

    process: psutil.Process
    program: str


def find() -> list[Orphan]:
    """Return the processes of this user (of every user, for root) whose owner has ended."""
    # What this very process was started with, if it has an owner, is its own business.
    spared = os.environ.get(OWNER)
    found: list[Orphan] = []
    for process in psutil.process_iter():
        # It has ended meanwhile, or is another user's.
        with contextlib.suppress(psutil.Error, OSError):
            owner = process.environ().get(OWNER)
            # In another PID namespace, such as a container's, the pid of the owner means another process.
            here = pid_namespace(process.pid) == pid_namespace()
            if owner and owner != spared and here and not is_running(owner):
                found.append(Orphan(process, process.name()))
    return found


def end(progress: Progress) -> None:
    """End all orphans: asked first, then killed.

    Raises:
        SetupError: one cannot be killed.

    """
    found = find()
    if not found:
        return
    names = ", ".join(f"{orphan.program} (pid {orphan.process.pid})" for orphan in found)
    with progress.step(f"ending programs of runs that have ended: {names}"):
        for number, within in ((signal.SIGTERM, ASKED), (signal.SIGKILL, KILLED)):
            with contextlib.suppress(Unmet):
                _signal(number, within)
                return
        left = ", ".join(f"pid {orphan.process.pid}" for orphan in find())
        raise SetupError(f"cannot end {left}: a run that has ended left it")


def _signal(number: signal.Signals, within: Timeout) -> None:
    """Send all orphans a signal, also those that come to light meanwhile, until none is left."""
    signalled: set[psutil.Process] = set()

    def pull() -> list[str]:
        left = find()
        for orphan in left:
            if orphan.process not in signalled:
                signalled.add(orphan.process)
                with contextlib.suppress(psutil.Error):
                    orphan.process.send_signal(number)
        return [orphan.program for orphan in left]

    Waiter(RealClock()).eventually(Polled("orphans", pull, RealClock()), empty("orphan"), within=within)
