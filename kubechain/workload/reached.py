"""What a process has learned of which Nodes this machine reaches at their nodePorts."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubechain.kube.client import Api


@dataclass(frozen=True)
class Reached:
    """Addresses of Nodes: those that this machine reaches (`from_here`), and those that only Pods reach (`from_pods`).

    `api` runs the commands by which this is found out, None if the user may run none.
    """

    api: Api | None
    from_here: set[str] = field(default_factory=set[str])
    from_pods: set[str] = field(default_factory=set[str])

    def knows(self, address: str) -> bool:
        """Whether it is known who reaches an address."""
        return address in self.from_here or address in self.from_pods
