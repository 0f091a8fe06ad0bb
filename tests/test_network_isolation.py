"""Exactly what the network isolation of an engine changed is undone, be the engine alive or dead."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.cluster import docker_client, docker_engine, network_isolation
from kubechain.cluster.docker_daemon import Daemon
from kubechain.core.errors import SetupError
from kubechain.core.process import run
from kubechain.core.progress import Progress
from tests.engine_stubs import machine, program, set_state, table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a machine without an engine."""
    with machine(tmp_path, monkeypatch) as made:
        yield made


def test_exactly_what_isolation_changed_is_undone(folder: Path) -> None:
    theirs = "ip unreachable 10.96.0.0/16 metric 4000000000"
    (folder / "table").write_text(f"{theirs}\n")
    docker_engine.ensure(folder / "cache", Progress())
    added = table(folder)
    assert len(added) == len(set(added)) == len(network_isolation.changes())
    assert "iptables DOCKER-USER -i br-+ ! -o br-+ -j REJECT" in added
    assert "ip6tables FORWARD -i br-+ ! -o br-+ -j REJECT" in added
    docker_engine.ensure(folder / "cache", Progress())
    assert table(folder) == added
    docker_engine.stop(folder / "cache")
    assert table(folder) == [theirs]
    assert not Daemon(folder / "cache").isolation.exists()


def test_isolation_of_a_dead_engine_is_undone(folder: Path) -> None:
    docker_engine.ensure(folder / "cache", Progress())
    process = Daemon(folder / "cache").process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    run(["sh", "-c", "while kill -0 $0; do :; done", str(process.pid)], timeout=10)
    os.environ[docker_client.VARIABLE] = ""
    assert docker_engine.is_left(folder / "cache")
    docker_engine.stop(folder / "cache")
    assert table(folder) == []
    assert not docker_engine.is_left(folder / "cache")


def test_change_is_recorded_before_it_is_made(folder: Path) -> None:
    program(folder, "ip6tables", "#!/bin/sh\nexit 1\n")
    with pytest.raises(SetupError, match=r"network isolation \(ip6tables -w -I FORWARD\) failed"):
        docker_engine.ensure(folder / "cache", Progress())
    assert docker_engine.is_left(folder / "cache")
    docker_engine.stop(folder / "cache")
    assert table(folder) == []


def test_after_a_restart_of_the_machine_only_the_record_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_engine.ensure(folder / "cache", Progress())
    before, boot = table(folder), folder / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(network_isolation, "BOOT_ID", boot)
    docker_engine.stop(folder / "cache")
    assert table(folder) == before
    assert not Daemon(folder / "cache").isolation.exists()


def test_engine_of_an_earlier_version_is_ours_and_can_be_stopped(folder: Path) -> None:
    daemon = Daemon(folder / "cache")
    daemon.folder.mkdir(parents=True)
    daemon.config.write_text("{}")
    left = ["iptables DOCKER-USER -o eth0 -j REJECT", "ip6tables FORWARD -o eth0 -j REJECT"]
    routes = [f"ip unreachable {network} metric 4000000000" for network in network_isolation.NETWORKS]
    (folder / "table").write_text("".join(f"{line}\n" for line in [*routes, *left]))
    command = ["sh", "-c", "trap 'exit 0' TERM; while :; do /usr/bin/sleep 0.1; done", "dockerd", "--config-file", daemon.config]
    with subprocess.Popen(command, start_new_session=True) as earlier:
        (daemon.folder / "dockerd.pid").write_text(f"{earlier.pid}\n")
        set_state(folder, answering=[docker_client.DEFAULT])
        engine = docker_engine.ensure(folder / "cache", Progress())
        assert (engine.ours, engine.address) == (True, "")
        assert table(folder) == [*routes, *left]
        docker_engine.stop(folder / "cache")
        assert earlier.wait(10) == 0
    assert table(folder) == []
    assert not docker_engine.is_left(folder / "cache")
