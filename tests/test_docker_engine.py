"""Which container engine a run uses, and when it starts one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.cluster import docker_client, docker_engine, docker_packages
from kubechain.cluster.docker_daemon import Daemon
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import run
from kubechain.core.progress import Progress
from tests.engine_stubs import APT, DOCKERD, machine, program, set_state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a machine without an engine."""
    with machine(tmp_path, monkeypatch) as made:
        yield made


def refusal(folder: Path) -> str:
    """Return why no engine is started, after a check that nothing was."""
    with pytest.raises(SetupError) as raised:
        docker_engine.ensure(folder / "cache", Progress())
    assert raised.value.code == ExitCode.ENGINE
    assert not (folder / "commands").exists()
    assert not (folder / "cache" / "engine" / "daemon.json").exists()
    return str(raised.value)


def test_engine_that_runs_is_used_as_it_is(folder: Path) -> None:
    set_state(folder, answering=[docker_client.DEFAULT])
    engine = docker_engine.ensure(folder / "cache", Progress())
    assert (engine.version, engine.ours, engine.address) == ("27.0.0", False, "")
    assert not (folder / "commands").exists()


def test_engine_is_started_with_roots_of_its_own_and_found_again(folder: Path) -> None:
    engine = docker_engine.ensure(folder / "cache", Progress())
    daemon = Daemon(folder / "cache")
    assert (engine.ours, engine.address) == (True, daemon.address)
    assert os.environ[docker_client.VARIABLE] == daemon.address
    configuration = json.loads(daemon.config.read_text())
    paths = [configuration[name] for name in ("data-root", "exec-root", "pidfile")]
    assert all(path.startswith((str(folder / "cache"), str(folder / "run"))) for path in paths)
    assert configuration["containerd-namespace"] == daemon.name
    # Another process, such as `clean` or an xdist worker, finds it without DOCKER_HOST.
    os.environ[docker_client.VARIABLE] = ""
    assert docker_engine.find(folder / "cache") == engine
    assert os.environ[docker_client.VARIABLE] == daemon.address
    # With DOCKER_HOST exported by the user it is ours too.
    assert docker_engine.find(folder / "cache") == engine
    docker_engine.stop(folder / "cache")
    assert docker_engine.find(folder / "cache") is None
    assert not docker_engine.is_left(folder / "cache")
    assert docker_engine.ensure(folder / "cache", Progress()).ours


def test_path_of_the_socket_is_short_whatever_the_cache_is() -> None:
    assert len(Daemon(Path("/home") / ("x" * 200)).address) < len("unix://") + 50
    assert Daemon(Path("/a")).address != Daemon(Path("/b")).address


@pytest.mark.parametrize("by", [docker_client.VARIABLE, "the docker context"])
def test_engine_that_the_user_has_chosen_is_never_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == docker_client.VARIABLE:
        monkeypatch.setenv(by, "tcp://far:2375")
    else:
        set_state(folder, context="tcp://far:2375")
    why = refusal(folder)
    assert why.startswith(f"no answer from the container engine of {by}")
    assert "tcp://far:2375" in why
    assert why.endswith(": no daemon; start it, or select another")


def test_chosen_engine_precedes_one_that_a_run_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_engine.ensure(folder / "cache", Progress())
    monkeypatch.setenv(docker_client.VARIABLE, "tcp://far:2375")
    set_state(folder, answering=["tcp://far:2375"])
    engine = docker_engine.find(folder / "cache")
    assert engine is not None
    assert (engine.ours, engine.address) == (False, "tcp://far:2375")


def test_docker_context_that_does_not_exist_is_reported(folder: Path) -> None:
    set_state(folder, context="missing")
    assert refusal(folder).startswith("the docker context cannot be used: context not found")


def test_client_that_is_too_new_for_a_running_engine_starts_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_state(folder, why="client version 1.99 is too new")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "their.sock"))
        server.listen()
        monkeypatch.setattr(docker_client, "SOCKET", folder / "their.sock")
        why = refusal(folder)
    assert why.startswith(f"a container engine is here ({folder / 'their.sock'}), and the docker client cannot use it: client")


@pytest.mark.parametrize(
    ("argv0", "words", "what"),
    [
        ("dockerd", ["600"], "dockerd (pid "),
        ("containerd-shim-runc-v2", ["600", "-namespace", "moby"], "a container of a Docker that is down (pid "),
    ],
)
def test_process_of_another_engine_prevents_a_start(folder: Path, argv0: str, words: list[str], what: str) -> None:
    program(folder, argv0, "#!{python} -S\nimport signal\nsignal.pause()\n")
    # As the kernel names a program: by its file. A script would be named after its interpreter.
    (folder / argv0).unlink()
    (folder / argv0).symlink_to(sys.base_prefix + "/bin/python3")
    with subprocess.Popen([folder / argv0, "-c", "import signal; signal.pause()", *words]) as process:
        try:
            run(["sh", "-c", "until read -r name < /proc/$0/comm; do :; done", str(process.pid)], timeout=10)
            assert f"a container engine is here ({what}{process.pid})" in refusal(folder)
        finally:
            process.kill()


def test_client_of_podman_is_refused(folder: Path) -> None:
    set_state(folder, kind="podman version 5.0.0", answering=[docker_client.DEFAULT])
    assert "is not Docker's client but podman version 5.0.0: put Docker's client first in PATH" in refusal(folder)


def test_only_root_may_start_an_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refusal(folder).startswith("no container engine answers, and this is not root: start Docker")


def test_packages_are_installed_without_removing_any(folder: Path) -> None:
    (folder / "dockerd").unlink()
    assert "this is not Debian or Ubuntu" in refusal(folder)
    program(folder, "apt-get", APT + f"[ $1 = update ] || cp {folder}/kept {folder}/dockerd\n")
    program(folder, "kept", DOCKERD)
    (folder / "cp").symlink_to("/usr/bin/cp")
    assert docker_engine.ensure(folder / "cache", Progress()).ours
    update, install = (folder / "apt").read_text().splitlines()
    assert update == "update"
    assert install == "install -y --no-remove --no-install-recommends docker.io iptables iproute2"
    assert not docker_packages.POLICY.exists()


@pytest.mark.parametrize("runtime", ["containerd", "kubelet", "crio"])
def test_nothing_is_installed_beside_another_runtime(folder: Path, runtime: str) -> None:
    (folder / "dockerd").unlink()
    program(folder, "apt-get", APT)
    program(folder, runtime, "#!/bin/sh\n")
    assert f"Docker is not installed beside {folder / runtime}, which it may replace" in refusal(folder)
    assert not (folder / "apt").exists()
