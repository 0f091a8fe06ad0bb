"""Where pages are asked for: addresses of Nodes and URLs. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import SERVICE_PORT


def each(urls: Sequence[str]) -> str:
    """Return URLs for a message, each once, with how often it is asked."""
    return ", ".join(at if count == 1 else f"{at} ({count} times)" for at, count in Counter(urls).items())


def url(address: str, port: int = SERVICE_PORT) -> str:
    """Return the URL of a page at an address, which may be an IPv6 one."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/"


def address_of(node: KubeObject) -> str:
    """Return a Node's InternalIP; HarnessError if it reports none."""
    found = [a["address"] for a in node.at("status.addresses", []) if a["type"] == "InternalIP"]
    if not found:
        raise HarnessError(f"node {node.name} reports no InternalIP")
    return str(found[0])
