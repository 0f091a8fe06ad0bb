"""A kubectl that listens ends with the run, also with a run that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kubechain.cleanup import processes
from kubechain.core.bundle import ROOT
from kubechain.core.process import OWNER, identity
from kubechain.core.progress import Progress
from kubechain.probes.kubectl import Kubectl

LISTENS = """#!/bin/sh
echo $$ > "$3"
echo "Starting to serve on 127.0.0.1:4321"
exec sleep 600
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from kubechain.probes.kubectl import Kubectl
with Kubectl(Path(sys.argv[1]), Path("k"), sys.argv[2]).listening("proxy"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "kubectl"
    path.write_text(LISTENS.replace('"$3"', str(tmp_path / "pid")))
    path.chmod(0o755)
    return path


def test_listening_kubectl_has_the_mark_of_its_owner_and_ends_with_the_body(program: Path, tmp_path: Path) -> None:
    with Kubectl(program, Path("k"), "c").listening("proxy") as at:
        process = psutil.Process(int((tmp_path / "pid").read_text()))
        assert (at, process.environ()[OWNER]) == ("127.0.0.1:4321", identity())
    assert not process.is_running()


def test_kubectl_of_a_killed_run_is_ended_by_the_next_start(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, program, "c"], cwd=ROOT, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    process = psutil.Process(int((tmp_path / "pid").read_text()))
    assert process in [orphan.process for orphan in processes.find()]
    processes.end(Progress())
    assert not psutil.pid_exists(process.pid) or process.status() == psutil.STATUS_ZOMBIE
