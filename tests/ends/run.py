"""One run that is ended at a phase: start it, wait for the phase, send the signals, wait for its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests.ends.phases import PHASES, Phase

T = TypeVar("T")
# In the environment of a run and of all its programs: by it the rig finds what a run leaves running.
MARK = "ENDS_FOLDER"
START_SECONDS = 300.0
GAP = 0.3
# How long a run may go on after the last signal, on a cluster that stays: the fixtures wait until the namespaces are gone.
LIMIT = 120.0


@dataclass(frozen=True)
class Case:
    """How one run is ended.

    `target` is "run" (the process that was started), "group" (its process group, as a terminal does), "worker" (the xdist
    worker that reached the phase) or "child" (the program that shows the phase). `signals` are sent GAP seconds apart.
    """

    phase: str
    signals: tuple[signal.Signals, ...]
    target: str
    processes: int = 1

    @property
    def name(self) -> str:
        """The case in one line."""
        sent = f"{len(self.signals)}x {self.signals[0].name}"
        return f"{self.phase}: {sent} to the {self.target}, -n {self.processes}"

    @property
    def id(self) -> str:
        """The case in one word, such as "last-teardown:2xSIGINT:group:n1"."""
        sent = f"{len(self.signals)}x{self.signals[0].name}"
        return f"{self.phase.replace(' ', '-')}:{sent}:{self.target}:n{self.processes}"

    @property
    def where(self) -> Phase:
        """The phase."""
        return PHASES[self.phase]

    @property
    def killed(self) -> bool:
        """Whether the run itself is killed, so that the next run has to clean up."""
        return self.signals[0] == signal.SIGKILL and self.target in ("run", "group")

    @property
    def leaves(self) -> bool:
        """Whether the next start has to clean up: the run is killed, or the program that deletes its cluster."""
        return self.killed or (self.target == "child" and ExitCode.CLEANUP in self.where.bereft)

    @property
    def codes(self) -> tuple[int, ...]:
        """The documented exit codes."""
        if self.killed:
            return (-signal.SIGKILL,)
        # A claim whose process died is inconclusive; a claim whose program died may go on, be inconclusive or fail.
        if self.signals[0] == signal.SIGKILL:
            # A worker that is killed before it has a claim takes none with it.
            in_worker = (0,) if self.where.hook == "collection" else (10,)
            return in_worker if self.target == "worker" else self.where.bereft
        return (self.where.code,)


@dataclass
class Ended:
    """A run that ended: exit code, output, seconds after the last signal, its id, and what does not hold."""

    code: int | None
    output: str
    seconds: float
    run: str = ""
    problems: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Rig:
    """How the runs of the rig are started: the words of the command before and after its options, and the folder of all cases."""

    command: Sequence[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    cwd: Path = ROOT
    selects: bool = True
    # The builds that all runs use.
    builds: Path | None = None
    # The command of the next start.
    next_command: Sequence[str] = ()

    def start(self, folder: Path, case: Case | None) -> subprocess.Popen[str]:
        """Start a run in a process group of its own, which stops at the phase of the case (None: nowhere)."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
        told = {
            "KUBECHAIN_OUT": str(folder / "out"),
            "KUBECHAIN_CACHE": str(folder / "cache"),
            "KUBECHAIN_HTML": "0",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder / "tmp"),
            MARK: str(folder),
            **self.environment,
        }
        words = list(self.command if case else self.next_command)
        if case:
            words += ["--only", case.where.only] if self.selects else []
            told |= case.where.environment
        if case and case.where.stops:
            told |= {"PYTEST_PLUGINS": "tests.ends.stop", "ENDS_PHASE": case.phase}
        if case and case.processes > 1:
            words += ["-n", str(case.processes)]
        output = (folder / "output.txt").open("a")
        with output:
            # A parent in the background (nohup, `&` of a script) ignores these signals, and so would the run.
            return subprocess.Popen(
                ["env", "--default-signal=HUP,INT", *words],
                cwd=self.cwd,
                env={**kept, **told},
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    def next_start(self, folder: Path) -> Ended:
        """Run one claim to its end, or `kubechain clean` if the run makes its own cluster, with the folders of a case."""
        (folder / "output.txt").rename(folder / "killed.txt")
        process = self.start(folder, None)
        began = time.monotonic()
        code = process.wait(START_SECONDS)
        return Ended(code, (folder / "output.txt").read_text(), time.monotonic() - began)

    def end(self, case: Case, number: int) -> tuple[Path, Ended]:
        """Run a case; return its folder and how the run ended."""
        folder = self.folder / f"{number:03}"
        for name in ("tmp", "out", "cache"):
            (folder / name).mkdir(parents=True)
        if self.builds:
            (folder / "cache" / "builds").symlink_to(self.builds)
        earlier_results(folder / "out")
        process = self.start(folder, case)
        try:
            ended = self._ended(case, folder, process)
        finally:
            for each in marked(folder):
                each.kill()
        return folder, ended

    def _ended(self, case: Case, folder: Path, process: subprocess.Popen[str]) -> Ended:
        reached = wait_for(lambda: reached_by(case, folder, process), START_SECONDS)
        if reached is None or process.poll() is not None:
            return Ended(process.poll(), (folder / "output.txt").read_text(), 0, problems=["the phase was not reached"])
        pid, run = reached
        for number in case.signals:
            if case.target == "group":
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid if case.target == "run" else pid, number)
            threading.Event().wait(GAP)
        (folder / "go").touch()
        sent = time.monotonic()
        problems = list[str]()
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            problems.append(f"it still runs {LIMIT:.0f} s after the last signal")
        return Ended(process.poll(), (folder / "output.txt").read_text(), time.monotonic() - sent, run, problems)


def reached_by(case: Case, folder: Path, process: subprocess.Popen[str]) -> tuple[int, str] | None:
    """Return (pid of the worker or the program, id of the run) once the phase is reached or the run has ended, None before."""
    if process.poll() is not None:
        return (0, "")
    told = [json.loads(path.read_text()) for path in folder.glob("reached-*")]
    if case.where.stops and not told:
        return None
    pid = int(told[0]["pid"]) if told else 0
    if case.where.child:
        pid = next((each.pid for each in marked(folder) if case.where.child in command_line(each)), 0)
    return (pid, run_of(folder)) if pid else None


def run_of(folder: Path) -> str:
    """Return the id of the run that works in the folder of a case, "" if there is none."""
    return next((path.name for path in (folder / "out" / ".runs").glob("*") if path.is_dir()), "")


def earlier_results(out: Path) -> None:
    """Write results as an earlier run published them."""
    (out / "run.json").write_text('{"earlier": true}')
    (out / "summary.md").write_text("earlier")
    (out / ".published.json").write_text(json.dumps({"names": ["run.json", "summary.md"]}))


def marked(folder: Path) -> list[psutil.Process]:
    """Return the processes that belong to the runs of a folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def command_line(process: psutil.Process) -> str:
    """Return the command line of a process, "" if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_for(read: Callable[[], T | None], seconds: float) -> T | None:
    """Return what `read` returns once it is not None; None after so many seconds."""
    until = time.monotonic() + seconds
    while (value := read()) is None and time.monotonic() < until:
        threading.Event().wait(0.05)
    return value
