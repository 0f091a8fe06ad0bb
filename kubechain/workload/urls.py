"""Addresses of Nodes, and URLs. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kubechain.core.errors import HarnessError
from kubechain.kube.families import host_of
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import SERVICE_PORT


def counted(urls: Sequence[str]) -> str:
    """Return URLs for a message, each URL once, with its count: "http://a/, http://b/ (2 times)"."""
    return ", ".join(at if count == 1 else f"{at} ({count} times)" for at, count in Counter(urls).items())


def url(address: str, port: int = SERVICE_PORT) -> str:
    """Return the HTTP URL of an IPv4 or IPv6 address, or of a name, and a port."""
    return f"http://{host_of(address)}:{port}/"


def addresses_of(node: KubeObject, *kinds: str) -> list[str]:
    """Return the addresses of a Node of these kinds, in the order of its status; by default InternalIP alone."""
    return [str(a["address"]) for a in node.at("status.addresses", []) if a["type"] in (kinds or ("InternalIP",))]


def address_of(node: KubeObject) -> str:
    """Return the first InternalIP of a Node; HarnessError if it has none."""
    addresses = addresses_of(node)
    if not addresses:
        raise HarnessError(f"Node {node.name} has no InternalIP in its status")
    return addresses[0]
