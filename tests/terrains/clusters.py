"""The kind clusters that terrains are made on: each make is there while its terrains run."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kubechain.cleanup import containers, run_locks
from kubechain.cluster import kind
from kubechain.core import run, secret_files, settings
from kubechain.core.progress import Progress
from kubechain.images.docker import Docker
from kubechain.provision import cluster as provision
from kubechain.provision.cluster import Choice
from tests import kept
from tests.terrains import make as makes
from tests.terrains import runner
from tests.terrains.ground import Ground
from tests.terrains.make import Make


@contextmanager
def ground_of(make: Make, name: str, *, keep: bool) -> Generator[Ground]:
    """Make a kind cluster, or use the kept one of this name as it was before a command that was killed on it.

    One that was made is removed after the body, unless it is to be kept; that of a command that was killed is removed by the
    next run of kubechain on this machine.

    Raises:
        SetupError: the cluster cannot be made, or a kept one cannot be brought back to what it was.

    """
    given = settings.load().model_copy(update={"k8s": make.k8s, "ip_family": make.ip_family})
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="terrains-") as temporary:
        folder = Path(temporary)
        # Before the lock of this name is held, which says that its cluster is in use.
        docker = kept.engine()
        if docker:
            containers.remove_dead(given.cache, docker.client, progress)
        this = run.new(folder)
        locks = [run_locks.acquire(given.cache, this.name), run_locks.acquire(given.cache, name), run_locks.hold(this.lock)]
        secret_files.folder(this.folder)
        there = docker is not None and name in kind.names(docker)
        try:
            if docker and there:
                undo_left(docker, name, folder / "before")
            choice = Choice(name, keep=keep, config=makes.write(make, folder), made_as=make.made_as)
            provided = provision.kind_cluster(this, given, choice, progress)
            target = provided.target
            docker = Docker(Path(target.docker))
            try:
                ground = Ground(name, Path(target.kubeconfig), target.context, target.nginx, target.client, this.secrets, docker)
                if make.prepare:
                    with progress.step(f"a cluster that {make.is_}"):
                        make.prepare(ground)
                yield ground
            finally:
                if provided.cluster and target.temporary:
                    with progress.step(f"deleting the cluster {name}"):
                        provided.cluster.delete()
                    run_locks.unmark(given.cache, name)
        finally:
            for lock in reversed(locks):
                lock.release()


def undo_left(docker: Docker, name: str, folder: Path) -> None:
    """Undo what a command that was killed has left on a kept cluster; SetupError (exit code CLUSTER) if it cannot be undone."""
    secrets = secret_files.folder(folder)
    found = kept.kept(docker, name, folder)
    undone = runner.undo_left(Ground(name, found.kubeconfig, found.context, found.nginx, found.client, secrets, docker))
    if undone:
        Progress().console.print(f"undone: {undone} of a killed command", markup=False)
