"""What runs that died have left on the container engine: found by name, label and sign of life, and removed."""

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
    """Return the kind clusters whose run is no longer alive, of those that runs with this cache made."""
    mine = [name for name in kind.names(docker) if run_locks.is_made(cache, name, kind.node_ids(docker, name))]
    return [name for name in mine if not run_locks.is_alive(cache, name) and (kept_too or not run_locks.is_kept(cache, name))]


def strange_clusters(cache: Path, docker: Docker) -> list[str]:
    """Return the kind clusters that are named as a run names its own, but were not made with this cache."""
    named = [name for name in kind.names(docker) if name.startswith(f"{PROJECT}-")]
    return [name for name in named if not run_locks.is_made(cache, name, kind.node_ids(docker, name))]


def remove_dead(cache: Path, client: Path, progress: Progress, *, kept_too: bool = False) -> list[str]:
    """Remove the clusters of dead runs (kept ones only if asked to), and what is noted of them; return their names."""
    docker = Docker(client)
    removed: set[str] = set()
    # Until none is found: what a run asked of the engine just before it died may come late.
    while found := dead_clusters(cache, docker, kept_too=kept_too):
        for name in found:
            with progress.step(f"removing cluster {name}, whose run is gone"):
                remove_cluster(docker, name)
        removed.update(found)
    for name in removed:
        for gone in (name, *run_locks.visitors(cache, kind.context(name))):
            run_locks.forget(cache, gone)
    present = set(kind.names(docker))
    for name in run_locks.names(cache):
        # A run that died on a cluster that stays is remembered until its namespaces there are removed.
        if name not in present and not run_locks.is_alive(cache, name) and not run_locks.visited(cache, name):
            run_locks.forget(cache, name)
    return sorted(removed)


def remove_cluster(docker: Docker, name: str) -> None:
    """Remove the node containers of a cluster, with their volumes; all that a kind cluster is."""
    label = f"label={kind.NODE_LABEL}={name}"
    nodes = docker.call("ps", "--all", "--quiet", "--filter", label).split()
    kind.calm(docker, nodes)
    docker.call("rm", "--force", "--volumes", *nodes, seconds=DELETE_SECONDS, doing=f"removing cluster {name}")


def remove_network(docker: Docker, progress: Progress) -> None:
    """Remove the network that kind made, if no cluster is left and nothing else is on it."""
    if kind.names(docker) or NETWORK not in docker.call("network", "ls", "--format", "{{.Name}}").split():
        return
    if docker.call("network", "inspect", "--format", "{{len .Containers}}", NETWORK).strip() == "0":
        with progress.step(f"removing network {NETWORK}"):
            docker.call("network", "rm", NETWORK)


def remove_containers(docker: Docker, progress: Progress) -> None:
    """Remove the containers of image builds whose process is gone, but no node: it may have inherited a build's labels."""
    columns = "\t".join(["{{.ID}}", *(f'{{{{.Label "{label}"}}}}' for label in (kind.NODE_LABEL, OWNER_LABEL))])
    listed = docker.call("ps", "--all", "--filter", OURS, "--format", columns)
    for line in listed.splitlines():
        identity, cluster, owner = line.split("\t")
        if not cluster and is_orphaned(owner):
            with progress.step(f"removing container {identity} of a build that is gone"):
                docker.call("rm", "--force", "--volumes", identity, seconds=DELETE_SECONDS)


def running_containers(docker: Docker) -> list[str]:
    """Return the names of all containers that run."""
    return sorted(docker.call("ps", "--format", "{{.Names}}").split())


def temporary_images(docker: Docker) -> list[str]:
    """Return the images that are needed only while another is built; left, if nothing is being built."""
    return [name for name in image_names(docker) if is_temporary(name)]


def remove_images(docker: Docker, progress: Progress) -> list[str]:
    """Remove the project's images, also those that a build left without a name; return those that are in use."""
    left: list[str] = []
    dangling = docker.call("images", "--quiet", "--filter", OURS, "--filter", "dangling=true").split()
    for name in [*image_names(docker), *sorted(set(dangling))]:
        users = docker.call("ps", "--all", "--quiet", "--filter", f"ancestor={name}").split()
        if users:
            left.append(name)
        else:
            with progress.step(f"removing image {name}"):
                docker.call("rmi", name, seconds=DELETE_SECONDS)
    return left


def image_names(docker: Docker) -> list[str]:
    """Return the names of all images with the project's label."""
    listed = docker.call("images", "--filter", OURS, "--format", "{{.Repository}}:{{.Tag}}").split()
    return sorted(name for name in listed if "<none>" not in name)


def is_temporary(image: str) -> bool:
    """Whether an image with the project's label is needed only while another is built."""
    return not image.startswith(f"{PROJECT}/") or image.endswith("-base") or image.startswith(f"{PROJECT}/routes:")
