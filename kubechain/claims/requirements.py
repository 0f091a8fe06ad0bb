"""What a claim may need of a cluster; where it is missing, the claim is skipped, counted and listed with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Requirement:
    """What a claim may require of a cluster: `text` completes "needs ...", `met` says whether an environment has it."""

    id: str
    text: str
    met: Callable[[Environment], bool] = field(compare=False)


def nodes(count: int) -> Requirement:
    """At least that many Nodes."""
    return Requirement(f"nodes>={count}", f"{count} nodes", lambda environment: len(environment.nodes) >= count)


def kubernetes(minor: int) -> Requirement:
    """An API server of Kubernetes 1.`minor` or newer."""
    text = f"Kubernetes 1.{minor} or newer"
    return Requirement(f"kubernetes>=1.{minor}", text, lambda environment: environment.minor >= minor)


def _pods(environment: Environment) -> int:
    return sum(int(node.at("status.allocatable.pods", 0)) for node in environment.nodes)


OWN_CLUSTER = Requirement("kind", "a kind cluster of this project", lambda environment: environment.target.owned)
DISRUPTION = Requirement(
    "disruptive",
    "leave to disturb nodes (DISRUPTIVE=1)",
    lambda environment: environment.target.owned or environment.disruptive,
)
HOST_ACCESS = Requirement(
    "host", "this machine to reach the nodes' addresses", lambda environment: environment.probe_from == "host"
)
KUBECTL = Requirement("kubectl", "kubectl on this machine", lambda environment: bool(environment.target.kubectl))
ROOM = Requirement("room", "room for a hundred more Pods", lambda environment: _pods(environment) >= 200)
POD_CIDR = Requirement(
    "podCIDR", "a podCIDR on every node", lambda environment: all(node.at("spec.podCIDR") for node in environment.nodes)
)
TWO_NODES, THREE_NODES = nodes(2), nodes(3)
# The preStop action sleep (KEP-3960) is on by default.
SLEEP_ACTION = kubernetes(30)
ALL = (OWN_CLUSTER, DISRUPTION, HOST_ACCESS, KUBECTL, ROOM, POD_CIDR, TWO_NODES, THREE_NODES, SLEEP_ACTION)


def missing(requirements: Iterable[Requirement], environment: Environment) -> list[str]:
    """Return in words which of the requirements are not met."""
    return [requirement.text for requirement in requirements if not requirement.met(environment)]
