"""The addresses of Nodes at which kube-proxy serves nodePorts.

https://kubernetes.io/docs/concepts/services-networking/service/#service-nodeport-custom-listen-address
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from kubechain.kube.families import family_of
from kubechain.kube.objects import KubeObject

# The first address of a Node, which is asked in any case.
PRIMARY = "primary"


def served(config: KubeObject) -> tuple[str, ...]:
    """Return the ranges in nodePortAddresses of a configuration of kube-proxy; () where every address serves."""
    ranges: list[str] = config.at("nodePortAddresses", []) or []
    return tuple(each for each in ranges if each != PRIMARY)


def serves_at(address: str, ranges: Iterable[str]) -> bool:
    """Whether kube-proxy serves at an address: all of a family do of which there is no range."""
    networks = [
        ipaddress.ip_network(each, strict=False) for each in ranges if family_of(each.partition("/")[0]) == family_of(address)
    ]
    return not networks or any(ipaddress.ip_address(address) in network for network in networks)
