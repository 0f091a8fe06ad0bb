"""The images of the workload, built from Debian packages: nginx, and the client with curl and dig."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.progress import Progress
from kubechain.images import rootfs
from kubechain.images.docker import Docker, context
from kubechain.images.pins import FOLDER

SHELL = ("dash", "coreutils", "libc-bin", "curl")


@dataclass(frozen=True)
class Workload:
    """An image: its name, its Debian packages, and a shell command for the host that changes its root file system ("$1")."""

    name: str
    packages: tuple[str, ...]
    command: str

    @property
    def folder(self) -> Path:
        """The folder of its Dockerfile."""
        return FOLDER / self.name

    @property
    def tag(self) -> str:
        """The name of the image; its tag is a hash of its inputs."""
        inputs = key(self.folder, Path(rootfs.__file__), self.command, *self.packages)
        return f"kubechain/{self.name}:{inputs}"


# nginx runs as any user and needs a writable /tmp; unpacking does not create its other folders.
NGINX = Workload(
    "nginx",
    (*SHELL, "nginx"),
    'mkdir -p "$1/tmp" "$1/run" "$1/var/log/nginx" "$1/var/lib/nginx" && chmod 1777 "$1/tmp" "$1/var/log/nginx" '
    '&& ln -sf /dev/stderr "$1/var/log/nginx/error.log" && rm -rf "$1/etc/nginx/modules-enabled"',
)
# Python runs the sampler of an upgrade, which works while the API server is unavailable.
CLIENT_PACKAGES = (*SHELL, "bind9-dnsutils", "socat", "sed", "grep", "python3")
WRITABLE_TMP = 'mkdir -p "$1/tmp" && chmod 1777 "$1/tmp"'
CLIENT = Workload("client", CLIENT_PACKAGES, WRITABLE_TMP)


def build(workload: Workload, docker: Docker, store: BuildCache, progress: Progress) -> None:
    """Build the image of a workload under its tag."""
    packages = [*workload.packages]
    tar = rootfs.tarball(workload.name, packages, store, progress, commands=[workload.command])
    with (
        progress.step(f"image {workload.tag}"),
        context(store.root, rootfs__tar=tar, overlay=workload.folder / "overlay") as files,
    ):
        docker.build(workload.tag, workload.folder / "Dockerfile", files)
