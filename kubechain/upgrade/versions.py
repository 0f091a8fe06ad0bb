"""Kubernetes versions as text, such as "v1.37.2"."""

from __future__ import annotations

from collections.abc import Iterable

from kubechain.kube.objects import KubeObject


def minor(version: str) -> int:
    """Return the minor version of "v1.37.2", -1 if there is none to be read."""
    parts = version.removeprefix("v").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else -1


def next_minor(version: str) -> str:
    """Return the minor version after one: "v1.37" for "v1.36.3"."""
    return f"v1.{minor(version) + 1}"


def kubelets(nodes: Iterable[KubeObject]) -> dict[str, str]:
    """Return Node name -> the version of its kubelet."""
    return {node.name: str(node.at("status.nodeInfo.kubeletVersion")) for node in nodes}
