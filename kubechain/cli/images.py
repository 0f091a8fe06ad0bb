"""`kubechain images`: the images that a cluster needs for the runs of deploy/, named or built."""

from __future__ import annotations

import sys

from kubechain.cli.in_cluster_commands import ImagesCommand
from kubechain.cluster import docker_engine
from kubechain.core.errors import ExitCode
from kubechain.core.progress import Progress
from kubechain.images import resolve, runner, workload
from kubechain.images.docker import Docker


def work(command: ImagesCommand) -> int:
    """Print the images one a line; with --build, build them first."""
    for image in _built(command) if command.build else _named(command):
        sys.stdout.write(f"{image}\n")
    return ExitCode.HOLDS


def _named(command: ImagesCommand) -> list[str]:
    return [resolve.public_nginx(command), resolve.mirrored(command, runner.name(command.architecture))]


def _built(command: ImagesCommand) -> list[str]:
    """Build the images in the container engine, which is started if necessary; nginx is built for this machine alone."""
    progress, store = Progress(), resolve.store_of(command)
    docker = Docker(docker_engine.ensure(command.cache, progress).docker)
    nginx = workload.NGINX
    if not docker.image_id(nginx.tag):
        workload.build(nginx, docker, store, progress)
    return [nginx.tag, runner.build(docker, store, progress, command.architecture)]
