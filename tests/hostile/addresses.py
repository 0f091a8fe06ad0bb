"""The addresses of the cluster: a /24 of its own in 127.0.0.0/8, all of which is loopback on Linux."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

NODES = 3
PODS_OF_NODE = 32
FIRST_SERVICE = 128


@dataclass
class Addresses:
    """The Nodes are 127.a.b.1 to 3, the Pods of Node n are in 127.a.b.(32n)/27, the Services in 127.a.b.128/25.

    The port of the API server, which no other cluster of the machine has, gives a and b.
    """

    port: int
    _next: dict[str, Iterable[int]] = field(default_factory=dict[str, Iterable[int]])

    @property
    def prefix(self) -> str:
        """The first three bytes, with a dot at the end."""
        return f"127.{self.port >> 8}.{self.port & 255}."

    def node(self, number: int) -> str:
        """Return the InternalIP of a Node, from 1 on."""
        return f"{self.prefix}{number}"

    def pod_range(self, number: int) -> str:
        """Return the podCIDR of a Node, from 1 on."""
        return f"{self.prefix}{number * PODS_OF_NODE}/27"

    def pod(self, number: int, taken: Iterable[str]) -> str:
        """Return a free address for a Pod on a Node, from 1 on; the one that was free longest comes first."""
        return self._free(f"node {number}", range(number * PODS_OF_NODE, (number + 1) * PODS_OF_NODE), taken)

    def service(self, taken: Iterable[str]) -> str:
        """Return a free clusterIP."""
        return self._free("service", range(FIRST_SERVICE + 2, 255), taken)

    @property
    def kubernetes(self) -> str:
        """The clusterIP of the Service kubernetes."""
        return f"{self.prefix}{FIRST_SERVICE}"

    @property
    def dns(self) -> str:
        """The clusterIP of the Service kube-dns."""
        return f"{self.prefix}{FIRST_SERVICE + 1}"

    def _free(self, what: str, numbers: range, taken: Iterable[str]) -> str:
        used = set(taken)
        turn = self._next.setdefault(what, itertools.cycle(numbers))
        return next(address for number in turn if (address := f"{self.prefix}{number}") not in used)
