"""Root file systems from Debian packages, made on the host, so that image builds need no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check
from kubechain.core.progress import Progress

SUITE = "bookworm"  # the last Debian whose systemd runs on cgroup v1
HOST_PACKAGES = {"mmdebstrap": "mmdebstrap", "gcc": "gcc libc6-dev"}
BUILD_SECONDS = 1200.0


def prepare_host(progress: Progress) -> None:
    """Install the Debian packages that builds need on the host.

    Raises:
        SetupError: a package is missing, and this process is not root on Debian or Ubuntu (exit code IMAGES).

    """
    missing = [packages for program, packages in HOST_PACKAGES.items() if not shutil.which(program)]
    if not missing:
        return
    words = " ".join(missing).split()
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(
            f"building images needs the Debian packages {' '.join(words)}: install them, or use --images=pull",
            ExitCode.IMAGES,
        )
    with progress.step(f"installing {' '.join(words)} (Debian packages)"):
        check(["apt-get", "update"], timeout=300, code=ExitCode.IMAGES, doing="apt-get update")
        install = ["apt-get", "install", "-y", "--no-install-recommends", *words, "debian-archive-keyring"]
        check(install, timeout=600, env={"DEBIAN_FRONTEND": "noninteractive"}, code=ExitCode.IMAGES)


def tarball(
    name: str,
    packages: Sequence[str],
    store: BuildCache,
    progress: Progress,
    *,
    variant: Literal["minbase", "extract"] = "extract",
    commands: Sequence[str] = (),
    architecture: str = "",
) -> Path:
    """Return the path of a tar of a root file system with these Debian packages and their dependencies.

    `extract` only unpacks the packages, `minbase` installs them with a minimal Debian. `commands` are shell commands for
    the host, run after unpacking, with the folder of the root file system as "$1". `architecture` is Debian's name of
    one, such as arm64 ("": that of this machine); a package of another one can only be unpacked.
    """
    hooks = [f"--extract-hook={command}" for command in commands]
    hooks += [f"--architectures={architecture}"] if architecture else []
    # Documentation and translations would double the size.
    lean = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale", "info")]

    def make(folder: Path) -> None:
        prepare_host(progress)
        with progress.step(f"root file system of {name} (Debian packages)"):
            include = f"--include={','.join(packages)}"
            target = folder / "rootfs.tar"
            command = ["mmdebstrap", f"--variant={variant}", include, *lean, *hooks, SUITE, target]
            check(command, timeout=BUILD_SECONDS, code=ExitCode.IMAGES, doing=f"root file system of {name}")

    inputs = key(SUITE, variant, *packages, *lean, *hooks)
    return store.artifact(f"rootfs-{name}", inputs, make, needs_gib=2) / "rootfs.tar"
