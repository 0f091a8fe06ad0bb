"""Runs of `kubechain run` in processes of their own, with the settings of another command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kubechain.claims.records import RunRecord, read_run
from kubechain.cli.run import text
from kubechain.core.bundle import ROOT
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.publish import NOT_BEGUN
from kubechain.core.setting_groups import PREFIX, Group
from kubechain.results.runs import RUN_JSON

# A run that is told to end removes its namespaces first.
GRACE_SECONDS = 150.0


def environment(command: Group, own: Collection[str], out: Path, options: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a run: the settings of a command but for its `own`, the folder of results, and more `options`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {name: getattr(command, name) for name in type(command).model_fields if name not in own}
    return {
        **kept,
        **{f"{PREFIX}{name.upper()}": text(value) for name, value in given.items()},
        f"{PREFIX}HTML": "0",
        **(options or {}),
        f"{PREFIX}OUT": text(out),
        # The bundle of a checkout is found from anywhere.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }


def result(out: Path, began: datetime) -> tuple[RunRecord, Path] | None:
    """Return the result of a run that began then, also of one that could not begin, and its folder; None if there is none."""
    for folder in (out, out / NOT_BEGUN):
        try:
            run = read_run(folder / RUN_JSON)
        except SetupError:
            continue
        if run.started >= began.replace(microsecond=0):
            return run, folder
    return None


def said(log: Path) -> str:
    """Return the last line of a run's output, without the name of the command."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip().removeprefix(f"{PROJECT}: ") if lines else "the command said nothing"


@dataclass
class Children:
    """The processes of runs, which end with this one; `processes` are those that have not ended: a watch lasts for months."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: bool = False

    def run(self, words: Sequence[str], environment: Mapping[str, str], log: Path, seconds: float | None = None) -> ExitCode:
        """Run a command with its output in a file, for at most so many seconds; return its exit code."""
        argv = [sys.executable, "-m", "kubechain", *words]
        with log.open("w", encoding="utf-8") as file:
            with self._lock:
                if self._ending:
                    return ExitCode.INTERRUPTED
                process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
                self.processes.append(process)
            code = self._await(process, seconds)
            with self._lock:
                self.processes.remove(process)
        return ExitCode(code) if code in set(ExitCode) else ExitCode.INTERNAL

    def _await(self, process: subprocess.Popen[bytes], seconds: float | None) -> int:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def end(self) -> None:
        """Tell the runs to end, begin no other, and wait until they have removed what they made, at most GRACE_SECONDS.

        In a container, the end of the first process is that of all others.
        """
        with self._lock:
            self._ending = True
            begun = [*self.processes]
            for process in begun:
                process.terminate()
        until = time.monotonic() + GRACE_SECONDS
        for process in begun:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
