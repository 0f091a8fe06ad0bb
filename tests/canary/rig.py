"""Real runs of the suite on a real cluster, seen through a proxy that plants secrets, and a search for each of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.core import redact
from kubechain.core.bundle import ROOT
from tests import rigs
from tests.canary import scan
from tests.canary.keys import CONTEXT, Keys
from tests.canary.plants import CLAIMS, DRY_RUN, Plants
from tests.canary.watching import watched

RUN_SECONDS = 1200.0
INTERRUPTED_AFTER, SAMPLED = 15.0, 20.0


@dataclass
class Run:
    """One command of a rig; `kind` are the credentials of its kubeconfig, `statuses` the exit codes that it may have."""

    name: str
    kind: str
    words: tuple[str, ...]
    statuses: tuple[int, ...]
    refuses: str = ""
    """Which requests the proxy refuses, as `Plants.refuses`."""
    interrupted: float = 0.0
    """Seconds after the first claim has begun, after which it gets SIGINT; 0 for never."""


@dataclass
class Result:
    """What a run left: its status, artifacts by name, and "secret of PLACE in ARTIFACT" for each that leaked."""

    run: Run
    status: int
    artifacts: dict[str, str]
    leaks: list[str] = field(default_factory=list[str])
    readable: list[str] = field(default_factory=list[str])

    @property
    def passed(self) -> bool:
        """Whether the run ended as it should, and nothing leaked."""
        return self.status in self.run.statuses and not self.leaks and not self.readable


def runs(snapshot: Path) -> tuple[Run, ...]:
    """Return the runs of the rig; those of an upgrade share a snapshot file."""
    phase = ("--snapshot", str(snapshot))
    return (
        Run("green", "token", ("run",), (0,)),
        Run("refused", "exec", ("run",), (22,), refuses=DRY_RUN),
        Run("failing", "exec", ("run", "-n", "2", "--patience", "0.2"), (1, 10), refuses=CLAIMS),
        Run("interrupted", "tokenFile", ("run",), (2,), interrupted=INTERRUPTED_AFTER),
        Run("before", "password", ("upgrade", "before", *phase), (0,)),
        # Of so few samples, some are no verdict.
        Run("during", "token", ("upgrade", "during", *phase), (0, 1, 10), interrupted=SAMPLED),
        Run("after", "key", ("upgrade", "after", *phase), (0, 1)),
    )


class Rig:
    """Runs commands in a folder of its own, through the proxy at `url` that plants secrets; `images` are options for images."""

    def __init__(self, folder: Path, url: str, plants: Plants, keys: Keys, images: Sequence[str], pull_secret: Path) -> None:
        self.folder, self.url, self.plants, self.keys = folder, url, plants, keys
        self.images, self.pull_secret = tuple(images), pull_secret

    def execute(self, run: Run) -> Result:
        """Run a command and search for secrets in everything that it printed and left."""
        self.plants.refuses = run.refuses
        out, temporary = self.folder / run.name, self.folder / f"{run.name}.tmp"
        temporary.mkdir()
        kubeconfig = self.keys.kubeconfig(self.url, run.kind)
        given = ("--context", CONTEXT, "--kubeconfig", str(kubeconfig), "--out", str(out))
        given += (*self.images, "--pull-secret", str(self.pull_secret))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
        environment = {**kept, **self.keys.environment(), "TMPDIR": str(temporary)}
        argv = [sys.executable, "-m", "kubechain", *run.words, *given]
        with watched(out / ".runs", temporary) as readable:
            status, printed = _printed(argv, environment, self.folder / f"{run.name}.log", run.interrupted, _claims_began(out))
        artifacts = {"what it printed": printed}
        beside = [path for path in self.folder.glob("snapshot*") if path.is_file()]
        artifacts |= {str(path.relative_to(self.folder)): text for path, text in scan.files(out).items()}
        artifacts |= {path.name: path.read_text(encoding="latin-1") for path in beside}
        leaks = self._leaks(artifacts)
        if run.name == "green" and redact.MARK in artifacts.get("green/summary.md", ""):
            leaks.append(f"{redact.MARK} in the summary of a green run, which has nothing to hide")
        return Result(run, status, artifacts, leaks, sorted(readable))

    def _leaks(self, artifacts: dict[str, str]) -> list[str]:
        secrets = {
            **{secret: f"{form} of {place}" for secret, (place, form) in self.plants.secrets().items()},
            **{secret: f"the {what}" for secret, what in self.keys.secrets.items()},
        }
        search = scan.Search(secrets)
        return [f"{secrets[secret]} in {name}" for name, text in artifacts.items() for secret in search.found(text)]


def _claims_began(out: Path) -> Callable[[], bool]:
    """Return whether a claim of a run has ended, or the samplers of an upgrade have begun."""
    return lambda: any(out.glob(".runs/*/finished")) or any(out.parent.glob("snapshot.json.asked/began"))


def _printed(
    argv: Sequence[str], environment: dict[str, str], log: Path, interrupted: float, began: Callable[[], bool]
) -> tuple[int, str]:
    """Run a command; return its exit status and what it printed. SIGINT is sent `interrupted` seconds after it began."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        with rigs.ending(process):
            if interrupted:
                _interrupt(process, interrupted, began)
            process.wait(RUN_SECONDS)
    return process.returncode, log.read_text(encoding="utf-8", errors="replace")


def _interrupt(process: subprocess.Popen[bytes], seconds: float, began: Callable[[], bool]) -> None:
    for _ in range(int(RUN_SECONDS)):
        if began():
            break
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            continue
        return
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
