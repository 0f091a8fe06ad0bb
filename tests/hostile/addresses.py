"""The addresses of the cluster: a /24 of its own in 127.0.0.0/8, all of which is loopback on Linux.

The IPv6 address of what is at an IPv4 address is that address mapped into IPv6: Linux connects to the same place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubechain.kube.families import IPV4, IPV6

NODES = 3
PODS_OF_NODE = 32
FIRST_SERVICE = 128
FIRST_BEYOND = 10
MAPPED = "::ffff:"


def plain(address: str) -> str:
    """Return the IPv4 address of a place, by which it is listened to."""
    return address.removeprefix(MAPPED)


def of_family(address: str, family: str) -> str:
    """Return the address of a place of a family."""
    return MAPPED + plain(address) if family == IPV6 else plain(address)


@dataclass
class Addresses:
    """The Nodes are 127.a.b.1 to 3, the Pods of Node n are in 127.a.b.(32n)/27, the Services in 127.a.b.128/25.

    The port of the API server, which no other cluster of the machine has, gives a and b. `families` are those of the cluster.
    With `beyond`, only Pods reach the Nodes: from elsewhere, their addresses lead to machines of others, which refuse.
    """

    port: int
    families: tuple[str, ...] = (IPV4,)
    beyond: bool = False
    _next: dict[str, Iterable[int]] = field(default_factory=dict[str, Iterable[int]])

    @property
    def prefix(self) -> str:
        """The first three bytes, with a dot at the end."""
        return f"127.{self.port >> 8}.{self.port & 255}."

    def each(self, address: str) -> list[str]:
        """Return the addresses of a place, one of each family of the cluster."""
        return [of_family(address, family) for family in self.families]

    def node(self, number: int) -> str:
        """Return the address of a Node, from 1 on."""
        return f"{self.prefix}{number}"

    def serving(self, number: int) -> str:
        """Return the place where a Node serves nodePorts, from 1 on."""
        return f"{self.prefix}{FIRST_BEYOND + number}" if self.beyond else self.node(number)

    def from_pods(self, address: str) -> str:
        """Return the place to which an address leads from Pods."""
        serving = {self.node(number): self.serving(number) for number in range(1, NODES + 1)}
        return serving.get(plain(address), plain(address))

    def pod_ranges(self, number: int) -> list[str]:
        """Return the podCIDRs of a Node, from 1 on."""
        first = f"{self.prefix}{number * PODS_OF_NODE}"
        return [f"{of_family(first, family)}/{123 if family == IPV6 else 27}" for family in self.families]

    def pod(self, number: int, taken: Iterable[str]) -> str:
        """Return a free place for a Pod on a Node, from 1 on; the one that was free longest comes first."""
        return self._free(f"node {number}", range(number * PODS_OF_NODE, (number + 1) * PODS_OF_NODE), taken)

    def service(self, taken: Iterable[str], family: str) -> str:
        """Return a free clusterIP of a family."""
        return of_family(self._free("service", range(FIRST_SERVICE + 2, 255), taken), family)

    @property
    def kubernetes(self) -> str:
        """The clusterIP of the Service kubernetes."""
        return of_family(f"{self.prefix}{FIRST_SERVICE}", self.families[0])

    @property
    def dns(self) -> str:
        """The clusterIP of the Service kube-dns."""
        return of_family(f"{self.prefix}{FIRST_SERVICE + 1}", self.families[0])

    def _free(self, what: str, numbers: range, taken: Iterable[str]) -> str:
        used = set(map(plain, taken))
        turn = self._next.setdefault(what, itertools.cycle(numbers))
        return next(address for number in turn if (address := f"{self.prefix}{number}") not in used)
