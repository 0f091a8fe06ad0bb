"""The workload's images from source: nginx, and the client with curl and dig."""

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
    """One image: its name, its Debian packages, and what is done to its root file system ("$1") on the host."""

    name: str
    packages: tuple[str, ...]
    command: str

    @property
    def folder(self) -> Path:
        """Where its Dockerfile is."""
        return FOLDER / self.name

    @property
    def tag(self) -> str:
        """The name of the image, which tells what it is made from."""
        inputs = key(self.folder, Path(rootfs.__file__), self.command, *self.packages)
        return f"kubechain/{self.name}:{inputs}"


# /tmp must be there for any user to write to; unpacked without set-up, nginx has no folders of its own.
NGINX = Workload(
    "nginx",
    (*SHELL, "nginx"),
    'mkdir -p "$1/tmp" "$1/run" "$1/var/log/nginx" "$1/var/lib/nginx" && chmod 1777 "$1/tmp" "$1/var/log/nginx" '
    '&& ln -sf /dev/stderr "$1/var/log/nginx/error.log" && rm -rf "$1/etc/nginx/modules-enabled"',
)
# Python is for the sampler of an upgrade, which asks on its own for as long as the API server is away.
CLIENT = Workload(
    "client", (*SHELL, "bind9-dnsutils", "socat", "sed", "grep", "python3"), 'mkdir -p "$1/tmp" && chmod 1777 "$1/tmp"'
)


def build(workload: Workload, docker: Docker, store: BuildCache, progress: Progress) -> None:
    """Build the image of a workload under its tag."""
    packages = [*workload.packages]
    tar = rootfs.tarball(workload.name, packages, store, progress, commands=[workload.command])
    with (
        progress.step(f"image {workload.tag}"),
        context(store.root, rootfs__tar=tar, overlay=workload.folder / "overlay") as files,
    ):
        docker.build(workload.tag, workload.folder / "Dockerfile", files)
