"""A kind cluster (a KindCluster of pytest-kind): explicit paths of all programs, and a log."""

from __future__ import annotations

import contextlib
import platform
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pytest_kind import KindCluster

from kubechain.cluster.kind_config import CONFIG, control_planes
from kubechain.core import secret_files
from kubechain.core.build_cache import BuildCache
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check, run
from kubechain.images.docker import Docker
from kubechain.images.load_balancer import CREATION_LABEL

# Control planes join one after another.
CREATE_SECONDS, JOIN_SECONDS = 300.0, 150.0
READY = "120s"
STOP_SECONDS = 5.0
QUERY_SECONDS = 60.0
LOAD_SECONDS = 300.0
DELETE_SECONDS = 120.0
NODE_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
# How kind names the container that distributes requests to several control planes.
LOAD_BALANCER = "-external-load-balancer"
# One control plane has no number.
CONTROL_PLANE = re.compile(r"-control-plane\d*$")
LOG_LINES = 50
API_PORT = 6443
# Of kind, which looks for docker, podman and nerdctl, and may find another than kubechain uses.
PROVIDER = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
# Repository of the names that an image has while a cluster is created from it.
CREATION = f"{PROJECT}/cluster"


@dataclass(frozen=True)
class NodeContainer:
    """A node container: its id, and the name of the image that it was created from, or the creation that it is labelled with."""

    id: str
    image: str


class Cluster(KindCluster):
    """A kind cluster made by kubechain; its kubeconfig and its log are in `folder`."""

    def __init__(self, name: str, folder: Path, image: str, kind: Path, kubectl: Path, docker: Path) -> None:
        # Without super(): that makes a folder in the current directory and downloads missing programs.
        self.name = name
        self.image = image
        self.path = folder
        self.kubeconfig_path = folder / "kubeconfig"
        self.kind_path = kind
        self.kubectl_path = kubectl
        self.platform = platform.system().lower()
        self.docker = Docker(docker)
        # By this name of its image, which nobody else uses, a node of this creation is known before its id is.
        self.creation = f"{CREATION}:{secrets.token_hex(8)}"
        self.ids: frozenset[str] = frozenset()
        # Names of node containers that run, and are no Nodes yet.
        self.idle: frozenset[str] = frozenset()

    @property
    def context(self) -> str:
        """The name of the cluster's context in its kubeconfig."""
        return context(self.name)

    @property
    def log(self) -> Path:
        """The file with the output of `kind create cluster`."""
        return self.path / "kind.log"

    def exists(self) -> bool:
        """Whether the engine has a kind cluster of this name, running or not."""
        return self.name in names(self.docker)

    def create(self, config_file: str | Path | None = None) -> None:
        """Make the cluster; the caller deletes what is left of it if that fails or is interrupted.

        Its nodes have the image `creation`, a name that stays until `delete` or `untag`.

        Raises:
            SetupError: kind cannot make it (exit code CLUSTER); the message names the log.

        """
        config = str(config_file or CONFIG)
        secret_files.folder(self.path)
        self.kubeconfig_path.touch(mode=0o600)
        words = ["create", "cluster", "--name", self.name, "--image", self.creation, "--config", config]
        command = [self.kind_path, *words, "--kubeconfig", self.kubeconfig_path, "--wait", READY, "--retain"]
        self.docker.call("tag", self.image or "", self.creation)
        joining = max(0, control_planes(Path(config)) - 1)
        done = run(command, timeout=CREATE_SECONDS + JOIN_SECONDS * joining, env=PROVIDER)
        self.log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.status != 0:
            raise SetupError(
                f"kind cannot create the cluster {self.name}: {done.last_words}; see {self.log.name}", ExitCode.CLUSTER
            )
        self.ids = frozenset(node.id for node in self.containers() if node.image == self.creation)

    def attach(self) -> None:
        """Write the kubeconfig of a cluster that exists.

        Raises:
            SetupError: kind cannot read it from the node (exit code CLUSTER).

        """
        secret_files.folder(self.path)
        self.kubeconfig_path.touch(mode=0o600)
        words = ["export", "kubeconfig", "--name", self.name, "--kubeconfig", self.kubeconfig_path]
        check(
            [self.kind_path, *words],
            timeout=QUERY_SECONDS,
            env=PROVIDER,
            code=ExitCode.CLUSTER,
            doing=f"kind export kubeconfig of cluster {self.name}",
        )

    def nodes(self) -> list[str]:
        """Return the names of the node containers that are Nodes: not the load balancer, and not those that are to join later."""
        listed = self.docker.call("ps", "--all", "--filter", f"label={NODE_LABEL}={self.name}", "--format", "{{.Names}}")
        return sorted(name for name in {*listed.split()} - self.idle if not name.endswith(LOAD_BALANCER))

    def kubelet_log(self, node: str) -> str:
        """Return the end of the log of a node's kubelet, "" if it cannot be read."""
        words = ["journalctl", "--unit=kubelet", "--no-pager", "--output=cat", f"--lines={LOG_LINES}"]
        return run([self.docker.client, "exec", node, *words], timeout=QUERY_SECONDS).stdout

    def kill_node(self, node: str) -> None:
        """Kill a node container with SIGKILL, as a loss of power does."""
        self.docker.call("kill", node)

    def start_node(self, node: str) -> None:
        """Start a node container that was killed."""
        self.docker.call("start", node)

    def restart_kubelet(self, node: str) -> None:
        """Restart the kubelet of a node."""
        self.docker.call("exec", node, "systemctl", "restart", "kubelet")

    def load(self, images: list[str], store: BuildCache) -> None:
        """Copy images from the engine to every node in parallel; skip images that all nodes have."""
        nodes = self.nodes()
        pool = ThreadPoolExecutor(len(nodes))
        try:
            held = list(pool.map(self.held, nodes, [images] * len(nodes)))
            missing = [image for image in images if not all(image in each for each in held)]
            if not missing:
                return
            with store.scratch() as folder:
                archive = folder / "images.tar"
                self.docker.call("save", "--output", archive, *missing, seconds=LOAD_SECONDS)
                list(pool.map(self.import_archive, nodes, [archive] * len(nodes)))
        finally:
            # An interrupted run does not wait: the imports end with the nodes, which are deleted next.
            pool.shutdown(wait=False, cancel_futures=True)

    def holds(self, node: str, image: str) -> bool:
        """Whether containerd on a node has an image of that name; SetupError if the node does not run."""
        return image in self.held(node, [image])

    def held(self, node: str, images: Sequence[str]) -> frozenset[str]:
        """Return which of the images of the engine containerd on a node has; SetupError if the node does not run."""
        words = ["exec", node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet"]
        done = check([self.docker.client, *words], timeout=QUERY_SECONDS, code=ExitCode.CLUSTER, doing=f"images of {node}")
        return frozenset(image for image in images if f"docker.io/{image}" in done.split())

    def import_archive(self, node: str, archive: Path, *, options: Sequence[str] = ("--all-platforms",)) -> None:
        """Import the images of an archive (docker save) into containerd on a node."""
        command = ["ctr", "--namespace=k8s.io", "images", "import", *options, "--digests", "-"]
        with archive.open("rb") as stream:
            words = [self.docker.client, "exec", "--interactive", node, *command]
            check(words, timeout=LOAD_SECONDS, stdin=stream, code=ExitCode.CLUSTER, doing=f"loading images on {node}")

    def containers(self) -> list[NodeContainer]:
        """Return the node containers of every cluster of this name: of this one, or of one that somebody else made."""
        return containers(self.docker, self.name)

    def remains(self) -> list[str]:
        """Return the ids of the node containers of this creation, and of no other cluster of the same name."""
        return [node.id for node in self.containers() if node.id in self.ids or node.image == self.creation]

    def delete(self) -> None:
        """Delete the node containers of this creation, if there are any."""
        remove(self.docker, self.remains())
        self.untag()
        with contextlib.suppress(FileNotFoundError):
            self.kubeconfig_path.unlink()

    def untag(self) -> None:
        """Remove the name of the image that this creation used."""
        untag(self.docker, self.creation)


def names(docker: Docker) -> list[str]:
    """Return the names of all kind clusters of the engine, running or not."""
    listed = docker.call("ps", "--all", "--filter", f"label={NODE_LABEL}", "--format", f'{{{{.Label "{NODE_LABEL}"}}}}')
    return sorted(set(listed.split()))


def stop_kubelets(docker: Docker, nodes: list[str]) -> None:
    """Stop the kubelets of nodes that are about to be removed, so that they start no more containers; ignore failures.

    runc freezes the cgroup of a container while it starts it. On cgroup v1, a process that is killed then stays frozen, and
    the engine cannot remove the node.
    """
    for node in nodes:
        with contextlib.suppress(SetupError):
            docker.call("exec", node, "systemctl", "stop", "kubelet", seconds=STOP_SECONDS)


def split(nodes: list[str]) -> tuple[list[str], list[str]]:
    """Return the nodes with a control plane, the first of the cluster first, and the workers, from the names of all nodes."""
    control_planes = sorted(filter(CONTROL_PLANE.search, nodes))
    return control_planes, [node for node in nodes if node not in control_planes]


def containers(docker: Docker, name: str) -> list[NodeContainer]:
    """Return the node containers of a cluster, [] if it does not exist."""
    # A load balancer has the image that kind names, and a label of the creation.
    form = f'{{{{.ID}}}} {{{{.Image}}}} {{{{.Label "{CREATION_LABEL}"}}}}'
    words = ["ps", "--all", "--no-trunc", "--filter", f"label={NODE_LABEL}={name}", "--format", form]
    listed = (line.split() for line in docker.call(*words).splitlines())
    return [NodeContainer(identity, "".join(image[-1:])) for identity, *image in listed]


def remove(docker: Docker, ids: list[str]) -> None:
    """Remove node containers and their volumes; SetupError (exit code IMAGES) if that fails."""
    if ids:
        stop_kubelets(docker, ids)
        docker.call("rm", "--force", "--volumes", *ids, seconds=DELETE_SECONDS, doing="removing the nodes of a kind cluster")


def untag(docker: Docker, creation: str) -> None:
    """Remove a name in CREATION from an image that has another name, and images of deleted load balancers; ignore failures."""
    run([docker.client, "rmi", "--no-prune", creation], timeout=QUERY_SECONDS)
    run([docker.client, "image", "prune", "--force", "--filter", f"label={CREATION_LABEL}"], timeout=QUERY_SECONDS)


def context(name: str) -> str:
    """Return the name of the context that kind writes for a cluster."""
    return f"kind-{name}"


def kubeconfig(docker: Docker, name: str, folder: Path) -> tuple[Path, str]:
    """Write a kubeconfig for a running cluster into `folder` without the program kind; return (path, context).

    Raises:
        SetupError: the control plane node does not run (exit code CLUSTER).

    """
    labels = [f"label={NODE_LABEL}={name}", f"label={ROLE_LABEL}=control-plane"]
    node = docker.call("ps", "--quiet", *(word for label in labels for word in ("--filter", label))).split()
    if not node:
        raise SetupError(f"the control plane node of the kind cluster {name} does not run", ExitCode.CLUSTER)
    text = docker.call("exec", node[0], "cat", "/etc/kubernetes/admin.conf")
    address = docker.call("port", node[0], f"{API_PORT}/tcp").split()[0]
    content: dict[str, Any] = yaml.safe_load(text)
    content["clusters"][0]["cluster"]["server"] = f"https://{address}"
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path, str(content["current-context"])
