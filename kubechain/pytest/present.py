"""What each process of a run does at this moment: its claim, and what that waits for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kubechain.claims import claim
from kubechain.core import files, redact, secret_files
from kubechain.core.records import JsonRecord
from kubechain.core.run import PRESENT
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import RealClock
from kubechain.observe.present_waits import PRESENT_WAITS
from kubechain.pytest.session import asks_for_claims
from kubechain.pytest.state import run_state, worker_input

WRITE_SECONDS = 0.5
# Characters of a state, which may be the output of a program.
MOST_OF_STATE = 500
PROCESS = pytest.StashKey["Process"]()


class Present(JsonRecord):
    """A claim that runs, and its wait: the condition ("" if it waits for nothing), the state, and its monotonic seconds."""

    claim: str
    condition: str = ""
    got: str = ""
    began: float = 0.0
    ends: float = 0.0


@dataclass
class Process:
    """A plugin of each process that runs claims; with xdist, it writes what it does into a file of its own."""

    file: Path | None
    claim: str = ""
    written: str = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note the claim that runs."""
        stated = claim.of(item)
        self.claim = stated.id if stated else ""
        try:
            return (yield)
        finally:
            self.claim = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Write the file while claims run."""
        if self.file is None:
            return (yield)
        with run_periodically("present", WRITE_SECONDS, self.write, RealClock()):
            return (yield)

    def now(self) -> list[Present]:
        """Return the claim that runs and its wait, [] between two claims."""
        # Another thread may end the claim.
        name = self.claim
        if not name:
            return []
        wait = PRESENT_WAITS.last()
        if wait is None:
            return [Present(claim=name)]
        return [Present(claim=name, condition=_shown(wait.condition), got=_shown(wait.got), began=wait.began, ends=wait.ends)]

    def write(self) -> None:
        """Write the file if something has changed; a disk that is full prevents no claim."""
        text = json.dumps([each.as_json() for each in self.now()])
        if self.file and text != self.written:
            with contextlib.suppress(OSError):
                secret_files.folder(self.file.parent)
                files.write(self.file, text)
                self.written = text


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    worker = worker_input(config)
    if asks_for_claims(config):
        folder = run_state(config).run.folder / PRESENT
        config.stash[PROCESS] = Process(folder / f"{worker['workerid']}.json" if worker else None)
        config.pluginmanager.register(config.stash[PROCESS])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Remove the file of a worker that has ended."""
    with contextlib.suppress(OSError):
        (run_state(node.config).run.folder / PRESENT / f"{node.gateway.id}.json").unlink()


def of_run(config: pytest.Config) -> list[Present]:
    """Return what all processes of a run do now."""
    found = config.stash[PROCESS].now()
    for file in sorted((run_state(config).run.folder / PRESENT).glob("[!.]*.json")):
        with contextlib.suppress(OSError, ValueError, ValidationError):
            found += map(Present.model_validate, json.loads(file.read_text(encoding="utf-8")))
    return found


@lru_cache(maxsize=64)
def _shown(text: str) -> str:
    """Return a text on one line, without secrets and bounded."""
    return " ".join(redact.text(text).split())[:MOST_OF_STATE]
