"""What a claim may need of a cluster; where it is missing, the claim is skipped, counted and listed with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from kubechain.cluster.target import Target
from kubechain.core import versions
from kubechain.kube.objects import KubeObject

ProbeOrigin = Literal["host", "cluster"]


@dataclass(frozen=True)
class Environment:
    """What a run stands on: the cluster, its Nodes, where NodePorts are probed from, and what is allowed there."""

    target: Target
    nodes: tuple[KubeObject, ...]
    probe_from: ProbeOrigin
    disruptive: bool

    @property
    def minor(self) -> int:
        """The minor version of the API server, -1 if it is not known."""
        return versions.minor(self.target.versions.get("server", ""))


Need = Callable[[Environment], bool]
NEEDS: dict[str, Need] = {
    "kind": lambda environment: environment.target.owned,
    "disruptive": lambda environment: environment.target.owned or environment.disruptive,
    "host": lambda environment: environment.probe_from == "host",
    "kubectl": lambda environment: bool(environment.target.kubectl),
    "room": lambda environment: sum(int(node.at("status.allocatable.pods", 0)) for node in environment.nodes) >= 200,
    "podCIDR": lambda environment: all(node.at("spec.podCIDR") for node in environment.nodes),
    "nodes>=2": lambda environment: len(environment.nodes) >= 2,
    "nodes>=3": lambda environment: len(environment.nodes) >= 3,
    "kubernetes>=1.30": lambda environment: environment.minor >= 30,
}
REASONS = {
    "kind": "a kind cluster of this project",
    "disruptive": "leave to disturb nodes (DISRUPTIVE=1)",
    "host": "this machine to reach the nodes' addresses",
    "kubectl": "kubectl on this machine",
    "room": "room for a hundred more Pods",
    "podCIDR": "a podCIDR on every node",
    "nodes>=2": "2 nodes",
    "nodes>=3": "3 nodes",
    "kubernetes>=1.30": "Kubernetes 1.30 or newer",
}


def missing(needs: Iterable[str], environment: Environment) -> list[str]:
    """Return in words which of the needs are not met; KeyError for one that does not exist."""
    return [REASONS[need] for need in needs if not NEEDS[need](environment)]
