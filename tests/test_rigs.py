"""The rigs end as the command does: trouble and Ctrl-C are one line, after things are put back."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests import rigs
from tests.hostile.cases import full
from tests.soak.__main__ import waited

FOLDER = ROOT / "tests"
PROGRAMS = [*FOLDER.glob("*/__main__.py"), *FOLDER.glob("*/document.py"), FOLDER / "drawing.py", FOLDER / "go_programs.py"]
# It is pytest, which ends so by itself.
OF_PYTEST = [FOLDER / "hostile" / "__main__.py"]
# Says when it has begun, and that it puts things back.
CHILD = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.3)
    pathlib.Path("put-back").touch()
    sys.exit(2)
signal.signal(signal.SIGTERM, end)
pathlib.Path("began").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("name", [str(each.relative_to(FOLDER)) for each in PROGRAMS if each not in OF_PYTEST])
def test_every_program_begins_and_ends_in_the_one_way(name: str) -> None:
    text = (FOLDER / name).read_text()
    last = ast.parse(text).body[-1]
    assert isinstance(last, ast.If), "what is imported must not run"
    assert [ast.unparse(each) for each in last.body] in (["cli.main(main)"], ["cli.main(work)"])
    assert [word for word in ("ArgumentParser", "INTERRUPTS.arm") if word in text] == []


@pytest.fixture
def child(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that puts something back when it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", CHILD], cwd=tmp_path)
    while not (tmp_path / "began").exists():
        assert process.poll() is None
        threading.Event().wait(0.01)
    return process


def test_run_that_a_rig_waits_for_puts_things_back_before_the_rig_ends(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), rigs.ending(child):
        raise KeyboardInterrupt
    assert (child.returncode, (tmp_path / "put-back").exists()) == (2, True)


def test_run_that_does_not_end_is_killed(child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rigs, "END_SECONDS", 0.01)
    with pytest.raises(KeyboardInterrupt), rigs.ending(child):
        raise KeyboardInterrupt
    assert child.returncode == -signal.SIGKILL


def test_soak_waits_for_its_run(child: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "wait4", interrupted)
    with pytest.raises(KeyboardInterrupt):
        waited(child, 60.0)
    assert (child.returncode, (tmp_path / "put-back").exists()) == (2, True)


@pytest.mark.whole_runs
@pytest.mark.parametrize("number", [signal.SIGINT, full(signal.SIGTERM)])
def test_interrupted_night_is_one_line(tmp_path: Path, number: signal.Signals) -> None:
    make = tmp_path / "make"
    made = CHILD.replace('"began"', f"{str(tmp_path / 'began')!r}").replace('"put-back"', f"{str(tmp_path / 'put-back')!r}")
    make.write_text(f"#!{sys.executable}\n{made}")
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.nightly", "--short", "--jobs", "faults", "--out", str(tmp_path / "out")]
    night = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "began").exists():
        assert night.poll() is None, night.communicate()
        threading.Event().wait(0.01)
    night.send_signal(number)
    printed, said = night.communicate(timeout=60)
    assert (night.returncode, said) == (ExitCode.INTERRUPTED, "kubechain: interrupted\n"), printed
    assert (tmp_path / "put-back").exists()


@pytest.mark.whole_runs
@pytest.mark.parametrize("name", ["soak", full("rights"), full("nightly")])
def test_bad_command_line_is_one_line(name: str) -> None:
    words = [sys.executable, "-m", f"tests.{name}", "--roles=none", "--jobs=none"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1), done.stderr
    assert done.stderr.startswith("kubechain: ")
