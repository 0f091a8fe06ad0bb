"""The programs and images of a Kubernetes version with which kubeadm upgrades a node, copied from a node image."""

from __future__ import annotations

from pathlib import Path

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.images.docker import Docker
from kubechain.images.node import START

PROGRAMS = ("kubeadm", "kubelet", "kubectl")
ARCHIVE = "images.tar"
EXPORTED = f"/kind/{ARCHIVE}"
EXPORT_SECONDS = 300.0


def bundle_of(image: str, docker: Docker, store: BuildCache, progress: Progress) -> Path:
    """Return a folder with PROGRAMS and ARCHIVE (the images of the control plane) from a node image of the engine.

    Raises:
        SetupError: the engine does not have the image, or the image lacks a program or an image (exit code IMAGES).

    """
    identity = docker.image_id(image)
    if identity is None:
        raise SetupError(f"node image {image}: the container engine does not have it", ExitCode.IMAGES)

    def extract(folder: Path) -> None:
        with progress.step(f"kubeadm and images of {image}"), docker.container(image, "--entrypoint", "sleep") as container:
            for program in PROGRAMS:
                docker.call("cp", f"{container}:/usr/bin/{program}", folder / program)
            docker.call("exec", container, "bash", "-c", START, doing=f"starting containerd in {image}")
            names = _names(docker, container)
            # Without --all-platforms: a node has only the blobs of its own platform.
            command = ["ctr", "--namespace=k8s.io", "images", "export", EXPORTED, *names]
            docker.call("exec", container, *command, seconds=EXPORT_SECONDS, doing=f"exporting the images in {image}")
            docker.call("cp", f"{container}:{EXPORTED}", folder / ARCHIVE, seconds=EXPORT_SECONDS)

    return store.artifact("kubeadm", key(identity, Path(__file__)), extract, needs_gib=2)


def _names(docker: Docker, container: str) -> list[str]:
    """Return the image names that the kubeadm in a container uses for its own version."""
    version = docker.call("exec", container, "kubeadm", "version", "--output=short").strip()
    return docker.call("exec", container, "kubeadm", "config", "images", "list", "--kubernetes-version", version).split()
