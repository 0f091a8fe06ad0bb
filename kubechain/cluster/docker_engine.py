"""The container engine of a run: the one that this user has chosen or that runs, else one that is started here."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kubechain.cluster import docker_client, docker_daemon, docker_packages, network_isolation
from kubechain.cluster.docker_daemon import Daemon
from kubechain.core import file_locks
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress

HELP = "start Docker (or run as root on Debian or Ubuntu, where this is done for you), then try again"


@dataclass(frozen=True)
class Engine:
    """A container engine that answers: the path of its client, its version, and its address.

    `ours` says that kubechain started it; `address` is "" for Docker's default socket, else a value for DOCKER_HOST.
    """

    docker: Path
    version: str
    ours: bool
    address: str = ""


def find(cache: Path) -> Engine | None:
    """Return the engine that runs use, None if none answers; docker and kind reach it from now on.

    An engine that DOCKER_HOST or the docker context selects comes first, then one that kubechain started, then Docker's default.

    Raises:
        SetupError: the client is not Docker's, or its context does not exist (exit code ENGINE).

    """
    docker, daemon = docker_client.path(), Daemon(cache)
    if docker is None:
        return None
    runs = daemon.process() is not None
    ours = runs and docker_client.endpoint(docker) in (docker_client.DEFAULT, daemon.address)
    if ours:
        select(daemon.address)
    answer = docker_client.ask(docker)
    return Engine(docker, answer.version, ours, os.environ.get(docker_client.VARIABLE, "")) if answer.version else None


def select(address: str) -> None:
    """Let docker and kind, as this process starts them from now on, reach the engine at an address ("": leave it as it is)."""
    if address and address != docker_client.DEFAULT:
        os.environ[docker_client.VARIABLE] = address


def ensure(cache: Path, progress: Progress) -> Engine:
    """Return the engine that runs use; if none answers and none is chosen, install and start one.

    Raises:
        SetupError: no engine answers and none can be started (exit code ENGINE).

    """
    daemon = Daemon(cache)
    daemon.folder.mkdir(parents=True, exist_ok=True)
    with file_locks.lock(daemon.folder / "lock"), progress.step("container engine") as step:
        engine = find(cache)
        if engine is None:
            require_startable(cache)
            if not shutil.which("dockerd"):
                step.note(f"installed {' '.join(docker_packages.PACKAGES)}")
                docker_packages.install(progress)
            daemon.start()
            step.note("started")
            engine = find(cache)
            if engine is None:
                raise SetupError(
                    f"dockerd has started, and `docker version` gets no answer from it; see {daemon.log}", ExitCode.ENGINE
                )
        elif engine.ours and not daemon.is_of_an_earlier_version():
            network_isolation.apply(daemon.isolation)
        step.note(f"Docker {engine.version}, isolated from the network" if engine.ours else f"running Docker {engine.version}")
        return engine


def data(cache: Path) -> Path:
    """Return the folder of the images, containers and volumes of an engine that `ensure` started."""
    return Daemon(cache).data


def is_left(cache: Path) -> bool:
    """Whether there is something to stop or to undo of an engine that `ensure` started, be it alive or dead."""
    daemon = Daemon(cache)
    return daemon.process() is not None or daemon.isolation.exists() or daemon.is_of_an_earlier_version()


def stop(cache: Path) -> None:
    """Stop the engine that `ensure` started and undo the network isolation, also if it has died.

    Raises:
        Unmet: it does not end in time.

    """
    Daemon(cache).stop()


def require_startable(cache: Path) -> None:
    """Raise a SetupError (exit code ENGINE) unless an engine can be installed and started here; call it if none answers."""
    docker, own = docker_client.path(), Daemon(cache).address
    chosen = docker_client.endpoint(docker)
    why = docker_client.ask(docker).why if docker else "there is no docker client in PATH"
    if chosen not in (docker_client.DEFAULT, own):
        where = docker_client.selected_by(chosen)
        raise SetupError(f"no answer from the container engine of {where}: {why}; start it, or select another", ExitCode.ENGINE)
    present = docker_daemon.stranger()
    if present is None and docker_client.is_served(docker_client.SOCKET):
        present = str(docker_client.SOCKET)
    if present:
        raise SetupError(
            f"a container engine is here ({present}), and the docker client cannot use it: {why}; mend that, then try again",
            ExitCode.ENGINE,
        )
    if os.geteuid() != 0:
        raise SetupError(f"no container engine answers, and this is not root: {HELP}", ExitCode.ENGINE)
    if not shutil.which("dockerd"):
        docker_packages.require_installable()
