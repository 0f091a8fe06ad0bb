"""A kind cluster, by pytest-kind: with explicit programs, its output in a log, and nothing left half-made."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pytest_kind import KindCluster

from kubechain.core.build_cache import BuildCache
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check, run
from kubechain.images.docker import Docker

CONFIG = ROOT / "images" / "node" / "kind.yaml"
CREATE_SECONDS = 300.0
READY = "120s"
CALM_SECONDS = 5.0
QUERY_SECONDS = 60.0
LOAD_SECONDS = 300.0
NODE_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
API_PORT = 6443


class Cluster(KindCluster):
    """A kind cluster of this project, with its files in `folder`."""

    def __init__(self, name: str, folder: Path, image: str, kind: Path, kubectl: Path, docker: Path) -> None:
        # Not the parent's: it makes a folder in the current directory and falls back to downloads.
        self.name = name
        self.image = image
        self.path = folder
        self.kubeconfig_path = folder / "kubeconfig"
        self.kind_path = kind
        self.kubectl_path = kubectl
        self.platform = platform.system().lower()
        self.docker = Docker(docker)

    @property
    def context(self) -> str:
        """The name of the cluster's context in its kubeconfig."""
        return context(self.name)

    @property
    def log(self) -> Path:
        """What kind said while it made the cluster."""
        return self.path / "kind.log"

    def exists(self) -> bool:
        """Whether there is a kind cluster of that name."""
        return self.name in names(self.docker)

    def create(self, config_file: str | Path | None = None) -> None:
        """Make the cluster; whatever ends the attempt leaves nothing behind.

        Raises:
            SetupError: kind could not make it (exit code CLUSTER); the message names kind's log.

        """
        config = str(config_file or CONFIG)
        self.path.mkdir(parents=True, exist_ok=True)
        self.kubeconfig_path.touch(mode=0o600)
        words = ["create", "cluster", "--name", self.name, "--image", self.image or "", "--config", config]
        command = [self.kind_path, *words, "--kubeconfig", self.kubeconfig_path, "--wait", READY, "--retain"]
        try:
            done = run(command, timeout=CREATE_SECONDS)
            self.log.write_text(done.stdout + done.stderr)
            if done.status != 0:
                raise SetupError(
                    f"kind could not create the cluster {self.name}: {done.last_words}; see {self.log.name}",
                    ExitCode.CLUSTER,
                )
        except BaseException:
            self.delete()
            raise

    def attach(self) -> None:
        """Write the kubeconfig of a cluster that exists.

        Raises:
            SetupError: it does not answer (exit code CLUSTER).

        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.kubeconfig_path.touch(mode=0o600)
        words = ["export", "kubeconfig", "--name", self.name, "--kubeconfig", self.kubeconfig_path]
        check([self.kind_path, *words], timeout=QUERY_SECONDS, code=ExitCode.CLUSTER, doing=f"attaching to {self.name}")

    def nodes(self) -> list[str]:
        """Return the names of the node containers."""
        listed = self.docker.call("ps", "--all", "--filter", f"label={NODE_LABEL}={self.name}", "--format", "{{.Names}}")
        return sorted(listed.split())

    def kill_node(self, node: str) -> None:
        """End a node at once, as a loss of power does."""
        self.docker.call("kill", node)

    def start_node(self, node: str) -> None:
        """Start a node that was ended."""
        self.docker.call("start", node)

    def restart_kubelet(self, node: str) -> None:
        """Restart the kubelet of a node."""
        self.docker.call("exec", node, "systemctl", "restart", "kubelet")

    def load(self, images: list[str], store: BuildCache) -> None:
        """Put images of the engine on every node, all nodes at once; those that are there already cost nothing."""
        nodes = self.nodes()
        missing = [image for image in images if not all(self.holds(node, image) for node in nodes)]
        if not missing:
            return
        with store.scratch() as folder, ThreadPoolExecutor(len(nodes)) as pool:
            archive = folder / "images.tar"
            self.docker.call("save", "--output", archive, *missing, seconds=LOAD_SECONDS)
            list(pool.map(self.import_archive, nodes, [archive] * len(nodes)))

    def holds(self, node: str, image: str) -> bool:
        """Whether the image store of a node has an image of that name."""
        words = ["exec", node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet", f"name==docker.io/{image}"]
        return bool(run([self.docker.client, *words], timeout=QUERY_SECONDS).stdout.strip())

    def import_archive(self, node: str, archive: Path, *, options: Sequence[str] = ("--all-platforms",)) -> None:
        """Put the images of an archive on a node."""
        command = ["ctr", "--namespace=k8s.io", "images", "import", *options, "--digests", "-"]
        with archive.open("rb") as stream:
            words = [self.docker.client, "exec", "--interactive", node, *command]
            check(words, timeout=LOAD_SECONDS, stdin=stream, code=ExitCode.CLUSTER, doing=f"loading images on {node}")

    def delete(self) -> None:
        """Delete the cluster; one that does not exist is as good."""
        calm(self.docker, self.nodes())
        words = ["delete", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig_path]
        check([self.kind_path, *words], timeout=QUERY_SECONDS, code=ExitCode.CLUSTER, doing=f"deleting {self.name}")
        with contextlib.suppress(FileNotFoundError):
            self.kubeconfig_path.unlink()


def names(docker: Docker) -> list[str]:
    """Return the names of all kind clusters of the engine, running or not."""
    listed = docker.call("ps", "--all", "--filter", f"label={NODE_LABEL}", "--format", f'{{{{.Label "{NODE_LABEL}"}}}}')
    return sorted(set(listed.split()))


def calm(docker: Docker, nodes: list[str]) -> None:
    """Stop the kubelets of nodes that are about to be removed, as far as that is possible.

    They start no more containers then. What is killed while runc has its cgroup frozen, to start a container, stays so for
    ever, and the engine cannot remove the node any more (cgroup v1).
    """
    for node in nodes:
        with contextlib.suppress(SetupError):
            docker.call("exec", node, "systemctl", "stop", "kubelet", seconds=CALM_SECONDS)


def split(nodes: list[str]) -> tuple[str, list[str]]:
    """Return the node of the control plane, and the workers."""
    control_plane = next(node for node in nodes if node.endswith("control-plane"))
    return control_plane, [node for node in nodes if node != control_plane]


def node_ids(docker: Docker, name: str) -> list[str]:
    """Return the ids of the node containers of a cluster."""
    return docker.call("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={NODE_LABEL}={name}").split()


def context(name: str) -> str:
    """Return the name that kind gives to the context of a cluster."""
    return f"kind-{name}"


def kubeconfig(docker: Docker, name: str, folder: Path) -> tuple[Path, str]:
    """Write a kubeconfig for a running cluster into `folder`, without kind; return its path and its context.

    Raises:
        SetupError: the cluster does not run.

    """
    labels = [f"label={NODE_LABEL}={name}", f"label={ROLE_LABEL}=control-plane"]
    node = docker.call("ps", "--quiet", *(word for label in labels for word in ("--filter", label))).split()
    if not node:
        raise SetupError(f"the cluster {name} does not run", ExitCode.CLUSTER)
    text = docker.call("exec", node[0], "cat", "/etc/kubernetes/admin.conf")
    address = docker.call("port", node[0], f"{API_PORT}/tcp").split()[0]
    content: dict[str, Any] = yaml.safe_load(text)
    content["clusters"][0]["cluster"]["server"] = f"https://{address}"
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path, str(content["current-context"])
