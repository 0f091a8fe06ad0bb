"""The paths that are asked all the time during an upgrade, and the plans by which the samplers ask them. Pure functions.

The bounds: a sample every DATA_INTERVAL or API_INTERVAL seconds on each path, for at most SECONDS seconds, whatever happens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.upgrade.model import Kind, Route
from kubechain.upgrade.witnesses import SCRATCH
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import SERVICE_PORT, WEB, WELCOME
from kubechain.workload.urls import url

DATA_INTERVAL, API_INTERVAL = 0.05, 0.1
SECONDS = 2 * 3600
# Below the range of nodePorts, and that from which Linux takes the ports of other connections.
FIRST_PORT, PORTS = 10_000, 19_000
# Beyond so many Nodes, the samplers in Pods ask less often, so that the witnesses are asked no more in all.
NODES = 10


@dataclass(frozen=True)
class RouteRequest:
    """A path and the request that is sent on it, as the sampler's plan has it."""

    route: Route
    request: Json


def _both(kind: Kind, what: str, place: str, request: Mapping[str, Any]) -> list[RouteRequest]:
    """Return the path with new connections and the one with kept ones."""
    return [RouteRequest(Route(kind, what, place, reuse), {**request, "reuse": reuse}) for reuse in (False, True)]


def from_ports(asked: list[RouteRequest]) -> list[RouteRequest]:
    """Return paths of the data plane so that new connections come from ports that are used in turn, a range for each path.

    A Node remembers for up to 2 minutes where a connection or a datagram from a port was led, be the Pod gone or not.
    """
    fresh = [each for each in asked if not each.route.reuse]
    count = PORTS // max(1, len(fresh))
    ranges = {each.route: [FIRST_PORT + number * count, count] for number, each in enumerate(fresh)}
    return [RouteRequest(each.route, {**each.request, "ports": ranges.get(each.route)}) for each in asked]


def node_ports(chain: Chain, place: str = "") -> list[RouteRequest]:
    """Return the paths to the nodePort of every Node."""
    urls = chain.node_urls().items()
    return [each for node, at in urls for each in _both("NodePort", node, place, {"url": at, "expect": WELCOME})]


def api_server(chain: Chain) -> list[RouteRequest]:
    """Return the paths to the API server: its health, a read, a write, and the proxy to the Service."""
    scratch = chain.api.server + path_of("ConfigMap", chain.namespace, SCRATCH)
    write = {
        "method": "PATCH",
        "content": "application/merge-patch+json",
        # The sampler puts the sample's number in: a patch that changes nothing would not be written.
        "body": json.dumps({"data": {"n": "{n}"}}),
        "expect": '"ConfigMap"',
    }
    return [
        *_both("API server", "readyz", "", {"url": f"{chain.api.server}/readyz", "expect": "ok"}),
        *_both("API server", "get", "", {"url": scratch, "expect": '"ConfigMap"'}),
        *_both("API server", "write", "", {"url": scratch, **write}),
        *_both("API proxy", "", "", {"url": chain.api.server + chain.service_proxy, "expect": WELCOME}),
    ]


def from_pod(chain: Chain, node: str, domain: str, server: str) -> list[RouteRequest]:
    """Return the paths that a Pod on a Node asks: the clusterIP, and the Service's name through DNS."""
    inside = f"http://{url_host(chain.cluster_ip)}:{SERVICE_PORT}/"
    name = f"{WEB}.{chain.namespace}.svc.{domain}."
    named = {"url": inside, "expect": WELCOME, "lookup": {"server": server, "name": name, "address": chain.cluster_ip}}
    return [
        *_both("ClusterIP", "", node, {"url": inside, "expect": WELCOME}),
        *_both("DNS", "", node, named),
    ]


def url_host(address: str) -> str:
    """Return an address as a URL has it."""
    return url(address).removeprefix("http://").rpartition(":")[0]


def spaced(interval: float, nodes: int) -> float:
    """Return the seconds between two samples of a path, where so many Nodes have a sampler."""
    return interval * max(1.0, nodes / NODES)


def plan(asked: list[RouteRequest], interval: float, *, tls: Json | None = None, nodes: int = 1) -> Json:
    """Return the sampler's plan for these paths, which `nodes` samplers have in common."""
    filled = {"method": "GET", "body": "", "content": "", "lookup": None, "ports": None}
    paths = [{**filled, **each.request} for each in asked]
    between = spaced(interval, nodes)
    return {"interval": between, "limit": int(SECONDS / between), "seconds": SECONDS, "tls": tls, "paths": paths}
