"""A kubectl that listens ends with the run, also with a run that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kubechain.cleanup import processes
from kubechain.conditions.timeouts import Timeout
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError, Unmet
from kubechain.core.process import OWNER, identity, is_running
from kubechain.core.progress import Progress
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.probes import kubectl
from kubechain.probes.kubectl import Kubectl

# It waits without `exec sleep`, during which the kernel shows no environment, and without a child that would outlive it.
KUBECTL = """#!/bin/sh
mkfifo "$3.never"
echo $$ > "$3"
echo "Starting to serve on 127.0.0.1:4321"
read -r line < "$3.never"
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
    path.write_text(KUBECTL.replace("$3", str(tmp_path / "pid")))
    path.chmod(0o755)
    return path


def test_listening_kubectl_has_the_mark_of_its_owner_and_ends_with_the_body(program: Path, tmp_path: Path) -> None:
    with Kubectl(program, Path("k"), "c").listening("proxy") as proxy:
        process = psutil.Process(int((tmp_path / "pid").read_text()))
        assert (proxy.address(), process.environ()[OWNER]) == ("127.0.0.1:4321", identity())
    assert not process.is_running()


def test_kubectl_of_a_killed_run_is_ended_by_the_next_start(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, program, "c"], cwd=ROOT, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    process = psutil.Process(int((tmp_path / "pid").read_text()))
    # The start of a run in another process of the tests may have ended it already.
    assert process in [orphan.process for orphan in processes.find()] or not is_running(identity(process.pid))
    processes.end(Progress())
    assert not psutil.pid_exists(process.pid) or process.status() == psutil.STATUS_ZOMBIE


ENDS = """#!/bin/sh
echo x >> "{folder}/starts"
if test $(wc -l < "{folder}/starts") -lt 3; then echo "error: unexpected EOF"; exit 1; fi
echo $$ > "{folder}/pid"
echo "Forwarding from 127.0.0.1:$(wc -l < "{folder}/starts")000 -> 8080"
exec sleep 600
"""


def test_kubectl_whose_connection_breaks_is_started_again(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text(ENDS.format(folder=tmp_path))
    program.chmod(0o755)
    with Kubectl(program, Path("k"), "c").listening("port-forward") as forward:
        assert forward.address() == "127.0.0.1:3000"
        process = psutil.Process(int((tmp_path / "pid").read_text()))
        process.kill()
        process.wait(5)
        assert forward.address() == "127.0.0.1:4000"
    assert not process.is_running()


def test_kubectl_that_never_listens_is_unmet_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'error: services \"web\" not found'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(kubectl, "KUBECTL", Timeout(0.5, "a test"))
    expected = 'expected kubectl to listen on loopback, got exit status 1: error: services "web" not found'
    with pytest.raises(Unmet, match=expected), Kubectl(program, Path("k"), "c").listening("port-forward"):
        pass


def test_kubectl_that_never_reaches_the_api_server_says_nothing_of_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(kubectl, "KUBECTL", Timeout(0.5, "a test"))
    with pytest.raises(HarnessError, match="Unable to connect"), Kubectl(program, Path("k"), "c").listening("port-forward"):
        pass


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    "said",
    [
        "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
        "Unable to connect to the server: EOF",
        "error: error reading from the server: read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer",
        "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
    ],
)
@pytest.mark.parametrize(("refusals", "attempts"), [(2, 3), (99, 0)])
def test_command_is_repeated_while_the_api_server_is_unavailable(tmp_path: Path, refusals: int, attempts: int, said: str) -> None:
    path, count = tmp_path / "kubectl", tmp_path / "count"
    path.write_text(
        f"#!/bin/sh\necho . >> {count}\n[ $(wc -l < {count}) -gt {refusals} ] && exec echo done\necho '{said}' >&2\nexit 1\n"
    )
    path.chmod(0o755)
    if attempts:
        assert Kubectl(path, Path("k"), "c").run("expose") == "done\n"
        assert len(count.read_text().split()) == attempts
    else:
        with pytest.raises(ApiUnavailable, match=r"attempts in"):
            Kubectl(path, Path("k"), "c").run("expose")


def test_command_that_fails_otherwise_is_not_repeated(tmp_path: Path) -> None:
    path, count = tmp_path / "kubectl", tmp_path / "count"
    path.write_text(f"#!/bin/sh\necho . >> {count}\necho 'Error from server (NotFound): no' >&2\nexit 1\n")
    path.chmod(0o755)
    with pytest.raises(ApiRefused, match="NotFound"):
        Kubectl(path, Path("k"), "c").run("expose")
    assert len(count.read_text().split()) == 1
