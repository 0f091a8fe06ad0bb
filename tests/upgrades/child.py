"""A run of the command in a process of its own: its output is followed line by line, its results are read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubechain.claims.records import RunRecord, read_run
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError
from kubechain.upgrade.documents import UpgradeDocument
from tests import rigs


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its exit code, and the folder of its results."""

    exit_code: int
    out: Path

    @property
    def log(self) -> Path:
        """The file of its output: beside the folder, because a run publishes only into a folder of its own."""
        return log_of(self.out)

    def run(self) -> RunRecord:
        """Return its run.json; HarnessError if it wrote none."""
        return read_run(self._file("run.json"))

    def document(self) -> UpgradeDocument:
        """Return its upgrade.json; HarnessError if it wrote none."""
        return UpgradeDocument.model_validate_json(self._file("upgrade.json").read_bytes())

    def _file(self, name: str) -> Path:
        file = self.out / name
        if not file.exists():
            raise HarnessError(f"the run wrote no {file} (exit code {self.exit_code}); see {self.log}")
        return file


def log_of(out: Path) -> Path:
    """Return the file of the output of a run with its results in `out`."""
    return out.with_name(f"{out.name}.log")


def follow(words: Sequence[str], out: Path, given: Mapping[str, str], seen: Callable[[str], None] = lambda _: None) -> Finished:
    """Run `kubechain WORDS` with its results in `out`; `seen` is called with each line of its output.

    `given` are settings in the form of environment variables; the others are those of this process.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "upgrade.json"):
        (out / name).unlink(missing_ok=True)
    environment = {**os.environ, **given, "KUBECHAIN_OUT": str(out), "KUBECHAIN_HTML": "0"}
    command = [sys.executable, "-m", "kubechain", *words]
    with (
        log_of(out).open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
        rigs.ending(child),
    ):
        for line in child.stdout or ():
            log.write(line)
            log.flush()
            seen(line)
        status = child.wait()
    return Finished(status, out)
