"""The image of the runner: the client's Debian packages, and this project with its locked dependencies from PyPI.

Nothing of it runs while it is built, so that the image of another architecture is built on any machine.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

from kubechain import __version__
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.images import rootfs
from kubechain.images.docker import Docker, context
from kubechain.images.pins import FOLDER
from kubechain.images.workload import CLIENT_PACKAGES, WRITABLE_TMP

Architecture = Literal["amd64", "arm64"]
LOCK = ROOT / "requirements.lock"
INSTALL_SECONDS = 600.0
# That of Debian bookworm, and the newest glibc that wheels for it may need.
PYTHON = (3, 11)
GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12")
MACHINES: dict[Architecture, str] = {"amd64": "x86_64", "arm64": "aarch64"}
# The asynchronous twin of the Kubernetes client, which is a third of all packages; and scripts for another Python.
UNUSED = ("kubernetes/aio", "bin")
# Models and calls of the Kubernetes client, of which a run loads next to none.
NOT_COMPILED = re.compile(r"/kubernetes/client/(models|api)/")
TO_RESULTS = 'mkdir -p "$1/results" "$1/etc/kubechain" && chmod 0775 "$1/results"'


def name(architecture: Architecture | Literal[""] = "") -> str:
    """Return the name of the image of this version, by which the manifests of deploy/ know it."""
    return f"kubechain/runner:{__version__}{f'-{architecture}' if architecture else ''}"


def build(docker: Docker, store: BuildCache, progress: Progress, architecture: Architecture | Literal[""] = "") -> str:
    """Build the image for an architecture ("": that of the engine), and return its name.

    Raises:
        SetupError: this is not a checkout, or a package cannot be had (exit code IMAGES).

    """
    built_for = architecture or _architecture(docker)
    tar = rootfs.tarball(
        f"runner-{built_for}", [*CLIENT_PACKAGES], store, progress, commands=[WRITABLE_TMP, TO_RESULTS], architecture=built_for
    )
    site = site_packages(built_for, store, progress)
    image, folder = name(architecture), FOLDER / "runner"
    with (
        progress.step(f"image {image} ({built_for})"),
        context(store.root, rootfs__tar=tar, site=site, overlay=folder / "overlay") as files,
    ):
        docker.build(image, folder / "Dockerfile", files, platform=f"linux/{built_for}")
    return image


def _architecture(docker: Docker) -> Architecture:
    found = docker.call("version", "--format", "{{.Server.Arch}}").strip()
    for architecture in MACHINES:
        if architecture == found:
            return architecture
    raise SetupError(f"the container engine is for {found}: the runner is built for {', '.join(MACHINES)}", ExitCode.IMAGES)


def site_packages(architecture: Architecture, store: BuildCache, progress: Progress) -> Path:
    """Return a folder with the wheel of this checkout and what requirements.lock names, by its hashes, for an architecture."""
    if not LOCK.exists():
        raise SetupError(f"{LOCK} does not exist: the image of the runner is built in a checkout", ExitCode.IMAGES)
    with store.scratch() as scratch:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        check(command, timeout=INSTALL_SECONDS, cwd=ROOT, code=ExitCode.IMAGES, doing="building the wheel")
        wheel = next(scratch.glob("*.whl"))

        def make(folder: Path) -> None:
            with progress.step(f"Python packages of the runner for {architecture} (PyPI)"):
                _install(folder / "site", architecture, "--require-hashes", "--requirement", LOCK)
                _install(folder / "site", architecture, "--no-deps", wheel)
                slim(folder / "site")

        inputs = key(wheel, LOCK, architecture, *UNUSED)
        return store.artifact(f"runner-site-{architecture}", inputs, make) / "site"


def _install(folder: Path, architecture: Architecture, *what: str | Path) -> None:
    """Install wheels for the Python of the image into a folder."""
    platforms = [f"--platform={glibc}_{MACHINES[architecture]}" for glibc in GLIBC]
    version = f"--python-version={'.'.join(map(str, PYTHON))}"
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:", "--implementation", "cp"]
    command = [sys.executable, "-m", "pip", "install", *options, version, *platforms, "--target", folder, *what]
    check(command, timeout=INSTALL_SECONDS, code=ExitCode.IMAGES, doing="installing Python packages")


def slim(site: Path) -> None:
    """Remove what no run uses; compile the rest if this Python is that of the image, because its file system is read-only."""
    for path in UNUSED:
        shutil.rmtree(site / path, ignore_errors=True)
    if sys.version_info[:2] == PYTHON:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(
            site, rx=NOT_COMPILED, quiet=2, stripdir=str(site), prependdir="/opt/kubechain", invalidation_mode=mode
        )
