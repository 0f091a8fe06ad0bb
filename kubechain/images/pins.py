"""The pinned versions in images/pins.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError

FOLDER = ROOT / "images"


@dataclass(frozen=True)
class Kubernetes:
    """A Kubernetes version and the versions of its components; `node` is the public kind node image, or ""."""

    version: str
    etcd: str
    coredns: str
    pause: str
    node: str = ""

    @property
    def minor(self) -> int:
        """The minor version, such as 37."""
        return Version(self.version).minor


@dataclass(frozen=True)
class Pins:
    """The content of pins.toml; `kubernetes` is by version, `public` are the public images, and their "architectures"."""

    default: str
    go: str
    kind: str
    containerd: str
    kubernetes: dict[str, Kubernetes]
    public: dict[str, str]

    def find(self, wanted: str) -> Kubernetes:
        """Return the pins for a version: "1.37.2", "1.37" or "v1.37.2"; "" is the default.

        Raises:
            SetupError: the version is not pinned (exit code USAGE); the message lists the pinned versions.

        """
        version = wanted.removeprefix("v") if wanted else self.default
        for pinned in self.kubernetes.values():
            if version in (pinned.version, pinned.version.rpartition(".")[0]):
                return pinned
        known = ", ".join(self.kubernetes)
        raise SetupError(f"--k8s={wanted}: unknown version; pinned are {known}", ExitCode.USAGE)


def load() -> Pins:
    """Read pins.toml."""
    text: dict[str, Any] = tomllib.loads((FOLDER / "pins.toml").read_text(encoding="utf-8"))
    versions = {version: Kubernetes(version, **fields) for version, fields in text.pop("kubernetes").items()}
    return Pins(kubernetes=versions, **text)


def module(component: str, version: str) -> Path:
    """Return the folder of the go.mod that pins a version of a component."""
    return FOLDER / "go" / component / version
