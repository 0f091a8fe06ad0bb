"""Programs that outlived the run that started them, found by the owner in their environment, and ended.

A run that is killed cannot end what it started, and a Go build goes on for an hour. Every program that the project
runs carries its owner's identity (fixtures.command), which all that it starts inherits.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from kubechain.conditions.condition import empty
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import SetupError, Unmet
from kubechain.core.process import OWNER, identity
from kubechain.core.progress import Progress
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

PROC = Path("/proc")
ASKED = Timeout(10, "a compiler or an image build stops and removes its temporary files")
KILLED = Timeout(5, "the kernel takes a killed process away")


@dataclass(frozen=True)
class Orphan:
    """A process whose owner is gone."""

    pid: int
    program: str


def find() -> list[Orphan]:
    """Return this user's processes (every user's, for root) whose owner lives no more; none where there is no /proc."""
    # What this very process was started with, if it has an owner, is its own business.
    spared = os.environ.get(OWNER)
    found: list[Orphan] = []
    for folder in PROC.glob("[0-9]*"):
        # Gone meanwhile, or another user's.
        with contextlib.suppress(OSError):
            owner = owner_of((folder / "environ").read_bytes())
            # In another PID namespace, such as a container's, the number would mean another process.
            here = (folder / "ns" / "pid").readlink() == (PROC / "self" / "ns" / "pid").readlink()
            if owner and owner != spared and here and identity(owner.partition("-")[0]) != owner:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found.append(Orphan(int(folder.name), Path(words[0].decode(errors="replace")).name))
    return found


def owner_of(environment: bytes) -> str:
    """Return the owner in a process's environment, "" if it has none."""
    prefix = f"{OWNER}=".encode()
    found = next((entry for entry in environment.split(b"\0") if entry.startswith(prefix)), b"")
    return found.removeprefix(prefix).decode(errors="replace")


def end(progress: Progress) -> None:
    """End all orphans: asked first, then killed.

    Raises:
        SetupError: one cannot be killed.

    """
    found = find()
    if not found:
        return
    names = ", ".join(f"{orphan.program} (pid {orphan.pid})" for orphan in found)
    with progress.step(f"ending programs of runs that are gone: {names}"):
        for number, within in ((signal.SIGTERM, ASKED), (signal.SIGKILL, KILLED)):
            with contextlib.suppress(Unmet):
                _signal(number, within)
                return
        raise SetupError(f"cannot end {', '.join(f'pid {orphan.pid}' for orphan in find())}: a run that is gone left it")


def _signal(number: signal.Signals, within: Timeout) -> None:
    """Send all orphans a signal, also those that come to light meanwhile, until none is left."""
    told: set[int] = set()

    def pull() -> list[str]:
        left = find()
        for orphan in left:
            if orphan.pid not in told:
                told.add(orphan.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan.pid, number)
        return [orphan.program for orphan in left]

    Waiter(RealClock()).eventually(Polled("orphans", pull, RealClock()), empty("orphan"), within=within)
