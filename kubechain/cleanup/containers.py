"""Find and remove containers, clusters, networks and images of dead runs on the container engine."""

from __future__ import annotations

from pathlib import Path

from kubechain.cleanup import run_locks
from kubechain.cluster import kind
from kubechain.conditions.text import counted
from kubechain.core.default_folders import PROJECT
from kubechain.core.progress import Progress
from kubechain.images.docker import LABEL, OWNER_LABEL, Docker, is_orphaned

DELETE_SECONDS = 120.0
NETWORK = "kind"
OURS = f"label={LABEL}"


def is_made(cache: Path, docker: Docker, name: str) -> bool:
    """Whether a run with this cache made every node of a kind cluster.

    The name is not enough: anybody may have made a cluster of the same name, also after this run was killed.
    """
    made, nodes = run_locks.made(cache, name), kind.containers(docker, name)
    return bool(nodes) and all(node.id in made or node.image in made for node in nodes)


def own_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the names of kind clusters that runs with this cache made and that no living run uses."""
    return [name for name in kind.names(docker) if not run_locks.is_alive(cache, name) and is_made(cache, docker, name)]


def dead_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the names of the own clusters that are not to be kept."""
    return [name for name in own_clusters(cache, docker) if not run_locks.is_kept(cache, name)]


def kept_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the names of the own clusters that are to be kept."""
    return [name for name in own_clusters(cache, docker) if run_locks.is_kept(cache, name)]


def strange_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the names of kind clusters that have the name of a run, but were not made with this cache."""
    return [name for name in kind.names(docker) if name.startswith(f"{PROJECT}-") and not is_made(cache, docker, name)]


def remove_dead(cache: Path, client: Path, progress: Progress) -> list[str]:
    """Remove the clusters of dead runs and their marks; return the names of the clusters."""
    docker = Docker(client)
    removed: set[str] = set()
    # Repeated, because the engine may create a node after the run that requested it has died.
    while dead := dead_clusters(cache, docker):
        for name in dead:
            with progress.step(f"removing the cluster {name} of a run that has ended"):
                _remove_nodes(cache, docker, name)
        removed.update(dead)
    for name in removed:
        _forget_cluster(cache, docker, name)
    present = set(kind.names(docker))
    for name in run_locks.names(cache):
        # The mark of a visited cluster stays until the namespaces there are removed.
        if name not in present and not run_locks.is_alive(cache, name) and not run_locks.visited(cache, name):
            _forget(cache, docker, name)
    return sorted(removed)


def remove_cluster(cache: Path, docker: Docker, name: str) -> None:
    """Remove the nodes of an own cluster and its marks; SetupError (exit code IMAGES) if that fails."""
    _remove_nodes(cache, docker, name)
    _forget_cluster(cache, docker, name)


def describe(docker: Docker, name: str) -> str:
    """Return the number of nodes of an own cluster and its age in words."""
    words = ["ps", "--all", "--filter", f"label={kind.NODE_LABEL}={name}", "--format", "{{.RunningFor}}"]
    ages = docker.call(*words).splitlines()
    return f"{counted(len(ages), 'node')}, created {ages[0] if ages else 'just now'}, by a run with this cache"


def _remove_nodes(cache: Path, docker: Docker, name: str) -> None:
    made = run_locks.made(cache, name)
    kind.remove(docker, [node.id for node in kind.containers(docker, name) if node.id in made or node.image in made])


def _forget_cluster(cache: Path, docker: Docker, name: str) -> None:
    for forgotten in (name, *run_locks.visitors(cache, kind.context(name))):
        _forget(cache, docker, forgotten)


def _forget(cache: Path, docker: Docker, name: str) -> None:
    """Remove the lock file and the marks of a run or cluster, and the name that a killed creation gave to its image."""
    for mark in run_locks.made(cache, name):
        if mark.startswith(f"{kind.CREATION}:"):
            kind.untag(docker, mark)
    run_locks.forget(cache, name)


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
