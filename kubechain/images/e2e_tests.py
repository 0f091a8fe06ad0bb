"""Upstream's end-to-end tests of one Kubernetes version, and an image that replaces the images of their Pods."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.images import golang, kubernetes, pins, rootfs, workload
from kubechain.images.docker import Docker, context
from kubechain.images.pins import FOLDER

COMPONENT = "e2e"
TESTS = "k8s.io/kubernetes/test/e2e"
HERE = FOLDER / "upstream"
# Programs in upstream's own image that the tests of the chain call: curl, dig, getent, nc and a shell.
PACKAGES = (*workload.SHELL, "bind9-dnsutils", "netcat-openbsd", "iproute2", "sed", "grep")
# Debian links nc by its alternatives, which unpacking does not run; netexec of agnhost writes to /uploads.
SETUP = 'ln -sf nc.openbsd "$1/bin/nc" && mkdir -p "$1/tmp" "$1/uploads" && chmod 1777 "$1/tmp"'
# Images (last part of their names) that agnhost can replace, because the tests of the chain use little of them: dig and
# getent of glibc-dns-testing, env and a shell of busybox; nginx only has to run.
REPLACEABLE = frozenset(["agnhost", "busybox", "glibc-dns-testing", "nginx"])


def pinned() -> list[str]:
    """Return the Kubernetes versions whose tests are pinned."""
    return sorted(folder.name for folder in (FOLDER / "go" / COMPONENT).iterdir())


def version_of(wanted: str) -> str:
    """Return the version of the tests for a cluster of the Kubernetes version `wanted`; "" is the default version.

    Raises:
        SetupError: no tests of that version are pinned (exit code USAGE); the message lists the pinned versions.

    """
    version = pins.load().find(wanted).version
    if version not in pinned():
        there = ", ".join(pinned())
        raise SetupError(f"upstream: no tests of Kubernetes {version} are pinned; there are those of {there}", ExitCode.USAGE)
    return version


def program(version: str, store: BuildCache, progress: Progress) -> Path:
    """Return the path of the program e2e.test; build it if the cache does not have it."""
    flags = kubernetes.linker_flags(version)
    return golang.compiled_tests(COMPONENT, version, TESTS, store, progress, linker_flags=flags)


def image(version: str, docker: Docker, store: BuildCache, progress: Progress) -> str:
    """Return the name of the image with agnhost; build it if the engine does not have it. The tag is a hash of its inputs."""
    module = pins.module(COMPONENT, version)
    inputs = key(HERE, module / "go.mod", module / "go.sum", Path(rootfs.__file__), SETUP, *PACKAGES)
    name = f"kubechain/agnhost:{version}-{inputs}"
    if docker.image_id(name):
        return name
    agnhost = golang.tools(COMPONENT, version, store, progress) / "agnhost"
    tar = rootfs.tarball("agnhost", PACKAGES, store, progress, commands=[SETUP])
    # The self-signed certificate with which agnhost serves HTTPS.
    porter = golang.source(COMPONENT, version, "k8s.io/kubernetes", store, progress) / "test" / "images" / "agnhost" / "porter"
    files = {"localhost__crt": porter / "localhost.crt", "localhost__key": porter / "localhost.key", "agnhost": agnhost}
    with progress.step(f"image {name}"), context(store.root, rootfs__tar=tar, overlay=HERE / "overlay", **files) as folder:
        docker.build(name, HERE / "Dockerfile", folder)
    return name


def replaceable(listed: Iterable[str]) -> list[str]:
    """Return the names of those images in the list of e2e.test that agnhost replaces."""
    return sorted(image for image in listed if image.rpartition("/")[2].partition(":")[0] in REPLACEABLE)
