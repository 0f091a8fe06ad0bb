"""Kubernetes versions as text, such as "v1.37.2"."""

from __future__ import annotations

from collections.abc import Iterable

from kubechain.core.versions import minor
from kubechain.kube.objects import KubeObject


def next_minor(version: str) -> str:
    """Return the minor version after one: "v1.37" for "v1.36.3"."""
    return f"v1.{minor(version) + 1}"


def kubelets(nodes: Iterable[KubeObject]) -> dict[str, str]:
    """Return Node name -> the version of its kubelet."""
    return {node.name: str(node.at("status.nodeInfo.kubeletVersion")) for node in nodes}
