"""The programs kind and kubectl: the machine's if they are recent enough, else from source or from the node image."""

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
    """A program and its version such as "0.33.0"; "" if it does not say any."""

    path: Path
    version: str


def kind(given: str | None, store: BuildCache, progress: Progress) -> Tool:
    """Return kind: the given one, the machine's if it is not older than the pin, else built from its Go module."""
    pinned = pins.load().kind
    path = given or shutil.which("kind")
    found = versions.find(run([path, "version"], timeout=QUERY_SECONDS).stdout) if path else None
    if path and (given or (found and found >= Version(pinned))):
        return Tool(Path(path), str(found or ""))
    return Tool(golang.tools("kind", pinned, store, progress) / "kind", pinned)


def kubectl(given: str | None, minor: int, docker: Docker, node_image: str, store: BuildCache, progress: Progress) -> Tool:
    """Return kubectl: the given one, the machine's if within one minor version, else the node image's own."""
    path = given or shutil.which("kubectl")
    if path:
        found = _kubectl_version(Path(path))
        if given or abs(versions.minor(found) - minor) <= 1:
            return Tool(Path(path), found)

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
