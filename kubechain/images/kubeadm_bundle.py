"""The kit of a Kubernetes version: what kubeadm needs to upgrade a node to it, taken out of a node image."""

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


def kit(image: str, docker: Docker, store: BuildCache, progress: Progress) -> Path:
    """Return the folder with PROGRAMS and ARCHIVE, the control plane's images, of a node image that the engine has.

    Raises:
        SetupError: the engine has no such image, or something is not in it (exit code IMAGES).

    """
    identity = docker.image_id(image)
    if identity is None:
        raise SetupError(f"no kit of {image}: the engine has no such image", ExitCode.IMAGES)

    def take(folder: Path) -> None:
        with progress.step(f"kit of {image}"), docker.container(image, "--entrypoint", "sleep") as container:
            for program in PROGRAMS:
                docker.call("cp", f"{container}:/usr/bin/{program}", folder / program)
            docker.call("exec", container, "bash", "-c", START, doing=f"starting containerd in {image}")
            names = _names(docker, container)
            # Of an image for several platforms a node has the blobs of its own alone, and that is all that is exported.
            command = ["ctr", "--namespace=k8s.io", "images", "export", EXPORTED, *names]
            docker.call("exec", container, *command, seconds=EXPORT_SECONDS, doing=f"exporting the images in {image}")
            docker.call("cp", f"{container}:{EXPORTED}", folder / ARCHIVE, seconds=EXPORT_SECONDS)

    return store.artifact("kit", key(identity, Path(__file__)), take, needs_gib=2)


def _names(docker: Docker, container: str) -> list[str]:
    """Return the names by which the kubeadm in a container asks for the images of its own version."""
    version = docker.call("exec", container, "kubeadm", "version", "--output=short").strip()
    return docker.call("exec", container, "kubeadm", "config", "images", "list", "--kubernetes-version", version).split()
