"""The processes of runs that another command starts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kubechain.cli.children import Children
from kubechain.core.errors import ExitCode


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Children:
    """Runs whose command is a script: `python -m kubechain` finds this one."""
    (tmp_path / "kubechain.py").write_text("import sys, time\ntime.sleep(float(sys.argv[1]))\n")
    monkeypatch.chdir(tmp_path)
    return Children()


def run(children: Children, seconds: float, log: Path, within: float | None = None) -> ExitCode:
    environment = {**os.environ, "PYTHONPATH": str(log.parent), "PYTHONSAFEPATH": ""}
    return children.run([str(seconds)], environment, log, within)


def test_process_that_has_ended_is_forgotten(children: Children, tmp_path: Path) -> None:
    for _ in range(3):
        assert run(children, 0.0, tmp_path / "log") == ExitCode.HOLDS, (tmp_path / "log").read_text()
    run(children, 60.0, tmp_path / "log", within=0.1)
    assert children.processes == []


def testprocesses_that_run_are_ended(children: Children, tmp_path: Path) -> None:
    threads = [threading.Thread(target=run, args=(children, 60.0, tmp_path / f"log-{number}")) for number in range(2)]
    for thread in threads:
        thread.start()
    while len(children.processes) < len(threads):
        threading.Event().wait(0.01)
    children.end()
    for thread in threads:
        thread.join(10)
    assert (children.processes, [thread.is_alive() for thread in threads]) == ([], [False, False])
    assert run(children, 0.0, tmp_path / "log") == ExitCode.INTERRUPTED
