"""Runs a command against a cluster that misbehaves as a record says, and judges how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.bundle import ROOT
from tests.hostile.access import CONTEXT, Access
from tests.hostile.cluster import cluster
from tests.hostile.records import CLEAN, DOCTOR, Record
from tests.hostile.tcp_proxy import proxied

VERDICTS = ("chain holds", "chain broken", "no verdict")
CRASHES = ("Traceback (most recent call last)", "INTERNALERROR")
# How much longer than on a machine that is idle a command may take: the seconds of records are for such a machine.
SLOWNESS = float(os.environ.get("HOSTILE_SLOWNESS") or 1.0)
# A watch is noticed as closed within this time.
SETTLE_SECONDS = 3.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (None: it did not end), its output, its seconds, and what it left."""

    code: int | None
    output: str
    seconds: float
    left: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The verdict line, "" if there is none."""
        return next((line for line in reversed(self.output.splitlines()) if line.startswith(VERDICTS)), "")


def run(record: Record, access: Access, folder: Path) -> Ended:
    """Run the command of a record against its cluster, with all its files in a folder."""
    with ExitStack() as stack:
        made = stack.enter_context(cluster(folder, access, record.make))
        kubeconfig = made.kubeconfig
        if record.network:
            kubeconfig = stack.enter_context(proxied(kubeconfig, CONTEXT, record.network, folder))[0]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
        environment |= {"KUBECHAIN_OUT": str(folder / "out"), "KUBECHAIN_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "kubechain", *record.command, "--context", CONTEXT, "--kubeconfig", str(kubeconfig)]
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        try:
            output, code = process.communicate(timeout=record.seconds * SLOWNESS)[0], process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            output, code = process.communicate()[0], None
        seconds = time.monotonic() - began
        ends = time.monotonic() + SETTLE_SECONDS
        while made.left() and time.monotonic() < ends:
            made.api.closed.wait(0.1)
        return Ended(code, output, seconds, tuple(made.left()))


def wrong(record: Record, ended: Ended) -> list[str]:
    """Return what is wrong with an end: a hang, a traceback, another verdict than the allowed ones, leftovers."""
    found = [f"hang: no end after {record.seconds * SLOWNESS:.0f} s"] if ended.code is None else []
    found += [f"traceback: {word} in the output" for word in CRASHES if word in ended.output]
    line = ended.output if record.command[0] in (*DOCTOR, *CLEAN) else ended.verdict
    if ended.code is not None and not any(
        ended.code == allowed.code and (allowed.line in line if line is ended.output else line.startswith(allowed.line))
        for allowed in record.allowed
    ):
        found.append(f"verdict: {ended.code} {line[-300:]!r}, allowed {', '.join(map(str, record.allowed))}")
    if record.says not in line:
        found.append(f"message: {line[-300:]!r} does not say {record.says!r}")
    if ended.left and not record.undeletable:
        found.append(f"leftovers: {', '.join(ended.left)}")
    return found
