"""Upstream's end-to-end tests of one Kubernetes version, and the image that stands in for those that their Pods ask for."""

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
# What upstream's own image has beside agnhost and the tests of the chain call: curl, dig, getent, nc and a shell.
PACKAGES = (*workload.SHELL, "bind9-dnsutils", "netcat-openbsd", "iproute2", "sed", "grep")
# Unpacked without Debian's alternatives, nc has no name; agnhost's netexec writes to /uploads.
SETUP = 'ln -sf nc.openbsd "$1/bin/nc" && mkdir -p "$1/tmp" "$1/uploads" && chmod 1777 "$1/tmp"'
# The images, by the last part of their names, for which agnhost can stand in: of glibc-dns-testing the tests of the chain
# call dig and getent, of busybox env in a shell, of nginx they ask nothing but that it runs.
STOOD_IN = frozenset(["agnhost", "busybox", "glibc-dns-testing", "nginx"])


def pinned() -> list[str]:
    """Return the Kubernetes versions whose tests are pinned."""
    return sorted(folder.name for folder in (FOLDER / "go" / COMPONENT).iterdir())


def version_of(wanted: str) -> str:
    """Return the version of the tests for a cluster of a Kubernetes version; "" is the default.

    Raises:
        SetupError: there are none (exit code USAGE); the message lists what there is.

    """
    version = pins.load().find(wanted).version
    if version not in pinned():
        there = ", ".join(pinned())
        raise SetupError(
            f"COMPARE=upstream: no tests of Kubernetes {version} are pinned; there are those of {there}", ExitCode.USAGE
        )
    return version


def program(version: str, store: BuildCache, progress: Progress) -> Path:
    """Return the program e2e.test, built if need be."""
    flags = kubernetes.linker_flags(version)
    return golang.compiled_tests(COMPONENT, version, TESTS, store, progress, linker_flags=flags)


def image(version: str, docker: Docker, store: BuildCache, progress: Progress) -> str:
    """Return the name of the image with agnhost, which the engine has then; it tells what it is made from."""
    module = pins.module(COMPONENT, version)
    inputs = key(HERE, module / "go.mod", module / "go.sum", Path(rootfs.__file__), SETUP, *PACKAGES)
    name = f"kubechain/agnhost:{version}-{inputs}"
    if docker.image_id(name):
        return name
    agnhost = golang.tools(COMPONENT, version, store, progress) / "agnhost"
    tar = rootfs.tarball("agnhost", PACKAGES, store, progress, commands=[SETUP])
    # With which agnhost serves HTTPS, for those who do not look who it is.
    porter = golang.source(COMPONENT, version, "k8s.io/kubernetes", store, progress) / "test" / "images" / "agnhost" / "porter"
    files = {"localhost__crt": porter / "localhost.crt", "localhost__key": porter / "localhost.key", "agnhost": agnhost}
    with progress.step(f"image {name}"), context(store.root, rootfs__tar=tar, overlay=HERE / "overlay", **files) as folder:
        docker.build(name, HERE / "Dockerfile", folder)
    return name


def stood_in(listed: Iterable[str]) -> list[str]:
    """Return, of the images that e2e.test lists, those for which agnhost stands in."""
    return sorted(image for image in listed if image.rpartition("/")[2].partition(":")[0] in STOOD_IN)
