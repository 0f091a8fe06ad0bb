"""Find and remove containers, clusters, networks and images of dead runs on the container engine."""

from __future__ import annotations

from pathlib import Path

from kubechain.cleanup import run_locks
from kubechain.cluster import kind
from kubechain.core.progress import Progress
from kubechain.core.settings import PROJECT
from kubechain.images.docker import LABEL, OWNER_LABEL, Docker, is_orphaned

DELETE_SECONDS = 120.0
NETWORK = "kind"
OURS = f"label={LABEL}"


def dead_clusters(cache: Path, docker: Docker, *, kept_too: bool = False) -> list[str]:
    """Return the names of kind clusters that runs with this cache made and that no living run uses; kept ones on demand."""
    ours = [name for name in kind.names(docker) if run_locks.is_made(cache, name, kind.node_ids(docker, name))]
    return [name for name in ours if not run_locks.is_alive(cache, name) and (kept_too or not run_locks.is_kept(cache, name))]


def strange_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the names of kind clusters that have the name of a run, but were not made with this cache."""
    named = [name for name in kind.names(docker) if name.startswith(f"{PROJECT}-")]
    return [name for name in named if not run_locks.is_made(cache, name, kind.node_ids(docker, name))]


def remove_dead(cache: Path, client: Path, progress: Progress, *, kept_too: bool = False) -> list[str]:
    """Remove the clusters of dead runs (kept ones with `kept_too`) and their marks; return the names of the clusters."""
    docker = Docker(client)
    removed: set[str] = set()
    # Repeated, because the engine may create a node after the run that requested it has died.
    while dead := dead_clusters(cache, docker, kept_too=kept_too):
        for name in dead:
            with progress.step(f"removing the cluster {name} of a run that has ended"):
                remove_cluster(docker, name)
        removed.update(dead)
    for name in removed:
        for removed_name in (name, *run_locks.visitors(cache, kind.context(name))):
            run_locks.forget(cache, removed_name)
    present = set(kind.names(docker))
    for name in run_locks.names(cache):
        # The mark of a visited cluster stays until the namespaces there are removed.
        if name not in present and not run_locks.is_alive(cache, name) and not run_locks.visited(cache, name):
            run_locks.forget(cache, name)
    return sorted(removed)


def remove_cluster(docker: Docker, name: str) -> None:
    """Remove the node containers of a kind cluster and their volumes; SetupError (exit code IMAGES) if that fails."""
    label = f"label={kind.NODE_LABEL}={name}"
    nodes = docker.call("ps", "--all", "--quiet", "--filter", label).split()
    kind.stop_kubelets(docker, nodes)
    docker.call("rm", "--force", "--volumes", *nodes, seconds=DELETE_SECONDS, doing=f"removing the cluster {name}")


def remove_network(docker: Docker, progress: Progress) -> None:
    """Remove the docker network of kind, if there is neither a kind cluster nor another container in it."""
    if kind.names(docker) or NETWORK not in docker.call("network", "ls", "--format", "{{.Name}}").split():
        return
    if docker.call("network", "inspect", "--format", "{{len .Containers}}", NETWORK).strip() == "0":
        with progress.step(f"removing the docker network {NETWORK}"):
            docker.call("network", "rm", NETWORK)


def remove_containers(docker: Docker, progress: Progress) -> None:
    """Remove the containers of image builds whose process has ended.

    A container of a kind cluster stays: a node may have the owner label of the build of its image.
    """
    columns = "\t".join(["{{.ID}}", *(f'{{{{.Label "{label}"}}}}' for label in (kind.NODE_LABEL, OWNER_LABEL))])
    listed = docker.call("ps", "--all", "--filter", OURS, "--format", columns)
    for line in listed.splitlines():
        identity, cluster, owner = line.split("\t")
        if not cluster and is_orphaned(owner):
            with progress.step(f"removing the container {identity} of a build that has ended"):
                docker.call("rm", "--force", "--volumes", identity, seconds=DELETE_SECONDS)


def running_containers(docker: Docker) -> list[str]:
    """Return the names of all running containers."""
    return sorted(docker.call("ps", "--format", "{{.Names}}").split())


def temporary_images(docker: Docker) -> list[str]:
    """Return the names of images that are used only during the build of another image."""
    return [name for name in image_names(docker) if is_temporary(name)]


def remove_images(docker: Docker, progress: Progress) -> list[str]:
    """Remove the images that kubechain built, also unnamed ones; return the names of those that a container uses."""
    in_use: list[str] = []
    dangling = docker.call("images", "--quiet", "--filter", OURS, "--filter", "dangling=true").split()
    for name in [*image_names(docker), *sorted(set(dangling))]:
        users = docker.call("ps", "--all", "--quiet", "--filter", f"ancestor={name}").split()
        if users:
            in_use.append(name)
        else:
            with progress.step(f"removing the image {name}"):
                docker.call("rmi", name, seconds=DELETE_SECONDS)
    return in_use


def image_names(docker: Docker) -> list[str]:
    """Return the names of all images with LABEL."""
    listed = docker.call("images", "--filter", OURS, "--format", "{{.Repository}}:{{.Tag}}").split()
    return sorted(name for name in listed if "<none>" not in name)


def is_temporary(image: str) -> bool:
    """Whether an image with LABEL is used only during the build of another image."""
    return not image.startswith(f"{PROJECT}/") or image.endswith("-base") or image.startswith(f"{PROJECT}/routes:")
