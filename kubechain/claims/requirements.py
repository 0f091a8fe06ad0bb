"""Requirements of claims: a claim is skipped, with the reason, on a cluster that does not meet its requirements."""

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
    """The cluster of a run, its Nodes, the origin of requests to nodePorts, and whether claims may disturb Nodes."""

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
    """A requirement; `text` follows the word "needs" in messages, `met` checks an environment."""

    id: str
    text: str
    met: Callable[[Environment], bool] = field(compare=False)


def nodes(count: int) -> Requirement:
    """Require at least `count` Nodes."""
    return Requirement(f"nodes>={count}", f"{count} nodes", lambda environment: len(environment.nodes) >= count)


def kubernetes(minor: int) -> Requirement:
    """Require an API server of Kubernetes 1.`minor` or newer."""
    text = f"Kubernetes 1.{minor} or newer"
    return Requirement(f"kubernetes>=1.{minor}", text, lambda environment: environment.minor >= minor)


def _pods(environment: Environment) -> int:
    return sum(int(node.at("status.allocatable.pods", 0)) for node in environment.nodes)


OWN_CLUSTER = Requirement("kind", "a kind cluster of this project", lambda environment: environment.target.owned)
DISRUPTION = Requirement(
    "disruptive",
    "permission to disturb Nodes (DISRUPTIVE=1)",
    lambda environment: environment.target.owned or environment.disruptive,
)
HOST_ACCESS = Requirement(
    "host", "this machine to reach the addresses of the Nodes", lambda environment: environment.probe_from == "host"
)
KUBECTL = Requirement("kubectl", "kubectl on this machine", lambda environment: bool(environment.target.kubectl))
ROOM = Requirement("room", "room for a hundred more Pods", lambda environment: _pods(environment) >= 200)
POD_CIDR = Requirement(
    "podCIDR", "a podCIDR on every Node", lambda environment: all(node.at("spec.podCIDR") for node in environment.nodes)
)
TWO_NODES, THREE_NODES = nodes(2), nodes(3)
# Since Kubernetes 1.30 the preStop action sleep (KEP-3960) is on by default.
SLEEP_ACTION = kubernetes(30)
ALL = (OWN_CLUSTER, DISRUPTION, HOST_ACCESS, KUBECTL, ROOM, POD_CIDR, TWO_NODES, THREE_NODES, SLEEP_ACTION)


def missing(requirements: Iterable[Requirement], environment: Environment) -> list[str]:
    """Return the texts of the requirements that the environment does not meet."""
    return [requirement.text for requirement in requirements if not requirement.met(environment)]
