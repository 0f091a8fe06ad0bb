"""The programs kind and kubectl: of the machine if recent enough, else built from source or copied from the node image."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from kubechain.core import versions
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode
from kubechain.core.process import check, run
from kubechain.core.progress import Progress
from kubechain.images import golang, pins
from kubechain.images.docker import Docker, container_labels

QUERY_SECONDS = 30.0


@dataclass(frozen=True)
class Tool:
    """A program and its version, such as "0.33.0", or "" if it prints none."""

    path: Path
    version: str


def kind(given: str | None, store: BuildCache, progress: Progress) -> Tool:
    """Return kind: `given` (any version), else that of the PATH if it is as new as the pin, else built from its Go module."""
    pinned = pins.load().kind
    path = given or shutil.which("kind")
    version = versions.find(run([path, "version"], timeout=QUERY_SECONDS).stdout) if path else None
    if path and (given or (version and version >= Version(pinned))):
        return Tool(Path(path), str(version or ""))
    return Tool(golang.tools("kind", pinned, store, progress) / "kind", pinned)


def kubectl(given: str | None, minor: int, docker: Docker, node_image: str, store: BuildCache, progress: Progress) -> Tool:
    """Return kubectl: `given` (any version), else that of the PATH if its minor version fits, else that of the node image.

    It fits within one minor version (https://kubernetes.io/releases/version-skew-policy/#kubectl).
    """
    path = given or shutil.which("kubectl")
    if path:
        version = _kubectl_version(Path(path))
        if given or abs(versions.minor(version) - minor) <= 1:
            return Tool(Path(path), version)

    def extract(folder: Path) -> None:
        with progress.step("kubectl from the node image"):
            container = docker.call("create", *container_labels(), node_image).strip()
            try:
                docker.call("cp", f"{container}:/usr/bin/kubectl", folder / "kubectl")
            finally:
                docker.call("rm", container)

    own = store.artifact("kubectl", key(docker.image_id(node_image) or node_image), extract) / "kubectl"
    return Tool(own, _kubectl_version(own))


def _kubectl_version(path: Path) -> str:
    text = check([path, "version", "--client", "-o", "json"], timeout=QUERY_SECONDS, code=ExitCode.TOOLS)
    return str(versions.find(json.loads(text)["clientVersion"]["gitVersion"]) or "")
