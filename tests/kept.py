"""A kind cluster of the engine that kubechain uses, and the images of the workload that are on its Nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubechain.cluster import docker_engine, kind
from kubechain.core import settings
from kubechain.core.default_folders import default_cache
from kubechain.images import resolve, workload
from kubechain.images.docker import Docker


@dataclass(frozen=True)
class Kept:
    """A kind cluster by its kubeconfig, with the names of the images of nginx and of the client on its Nodes."""

    kubeconfig: Path
    context: str
    nginx: str
    client: str

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a run on it besides its context, as environment variables: it is no cluster of the run's own."""
        return {"KUBECHAIN_NGINX_IMAGE": self.nginx, "KUBECHAIN_CLIENT_IMAGE": self.client, "KUBECHAIN_CLUSTER": ""}


def engine() -> Docker | None:
    """Return the container engine, None if none answers."""
    found = docker_engine.find(default_cache())
    return Docker(found.docker) if found else None


def kept(docker: Docker, name: str, folder: Path) -> Kept:
    """Return the running kind cluster of this name; its kubeconfig is written to `folder`.

    Images that were built here have the names of the builds; where none were, the Nodes have the public images.

    Raises:
        SetupError: its control plane node does not run (exit code CLUSTER).

    """
    given = settings.load()
    kubeconfig, context = kind.kubeconfig(docker, name, folder)
    nginx, client = workload.NGINX.tag, workload.CLIENT.tag
    return Kept(
        kubeconfig,
        context,
        nginx if docker.image_id(nginx) else resolve.public_nginx(given),
        client if docker.image_id(client) else resolve.public_client(given),
    )
