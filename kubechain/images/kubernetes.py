"""The Kubernetes programs of one version, and the pause program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.images import golang, mutation
from kubechain.images.mutation import Guard
from kubechain.images.pins import Kubernetes

# A Go module has no commit and no time of build; constants make builds reproducible.
COMMIT = "0" * 40
DATE = "1970-01-01T00:00:00Z"


def linker_flags(version: str) -> str:
    """Return the -ldflags that set the version in the programs; kubeadm refuses to work without a version."""
    number = Version(version)
    fields = {
        "gitVersion": f"v{version}",
        "gitMajor": number.major,
        "gitMinor": number.minor,
        "gitTreeState": "clean",
        "gitCommit": COMMIT,
        "buildDate": DATE,
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return "-s -w " + " ".join(f"-X {package}.{field}={value}" for package in packages for field, value in fields.items())


def programs(pinned: Kubernetes, guards: Sequence[Guard], store: BuildCache, progress: Progress) -> Path:
    """Return the folder with kubelet, kubeadm, kubectl and the programs of the control plane, with the mutants of the guards."""
    flags = linker_flags(pinned.version)
    return mutation.tools("kubernetes", pinned.version, guards, store, progress, linker_flags=flags)


def pause(pinned: Kubernetes, store: BuildCache, progress: Progress) -> Path:
    """Return the path of the pause program, compiled from pause.c in the Kubernetes module."""
    source = golang.source("kubernetes", pinned.version, "k8s.io/kubernetes", store, progress)
    code = source / "build" / "pause" / "linux" / "pause.c"

    def compile_it(folder: Path) -> None:
        define = f"-DVERSION={pinned.pause}"
        command = ["gcc", "-Os", "-static", define, "-o", folder / "pause", code]
        check(command, timeout=120, code=ExitCode.IMAGES, doing="compiling pause")

    return store.artifact("pause", key(code, pinned.pause), compile_it) / "pause"
