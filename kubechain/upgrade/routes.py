"""The routes that are sampled during an upgrade, and the plans of the samplers. Pure functions.

Each route is sampled every DATA_INTERVAL or API_INTERVAL seconds, for at most SAMPLER_SECONDS seconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubechain.core import redact
from kubechain.core.change_settings import SAMPLER_SECONDS
from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.upgrade.model import Kind, Route
from kubechain.upgrade.witnesses import BALANCED, SCRATCH
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB, WELCOME
from kubechain.workload.urls import url

# Requests to load balancers and to URLs of users leave the cluster, and may be paid for.
DATA_INTERVAL, API_INTERVAL, OUTSIDE_INTERVAL = 0.05, 0.5, 0.2
# What the samplers may ask of the API server, per second: new TLS connections (those that fetch samples included), writes to
# etcd, requests. An API server may be replaced for 10 s at least, so that two samples a second suffice.
MOST_CONNECTIONS, MOST_WRITES, MOST_REQUESTS = 10.0, 4.0, 20.0
# Source ports below the range of nodePorts, and below the ephemeral ports of Linux.
FIRST_PORT, PORTS = 10_000, 19_000
# With more Nodes than this, the samplers in Pods send less often, so that the total rate does not grow.
FULL_RATE_NODES = 10


@dataclass(frozen=True)
class RouteRequest:
    """A route and its request, in the form of the sampler's plan."""

    route: Route
    request: Json


@dataclass(frozen=True)
class Place:
    """A Node to ask, or to ask from: its name in messages and its UID. "" stands for the machine of the run."""

    name: str = ""
    uid: str = ""


HERE = Place()


def _both(kind: Kind, what: Place, place: Place, request: Mapping[str, Any]) -> list[RouteRequest]:
    """Return the route with new connections and the route with kept connections."""
    uids = tuple(each.uid for each in (what, place) if each.uid)
    return [RouteRequest(Route(kind, what.name, place.name, reuse, uids), {**request, "reuse": reuse}) for reuse in (False, True)]


def source_ports(number: int, room: int) -> list[int]:
    """Return the range of source ports, [first, count], of route `number` of a sampler that has ranges for `room` routes.

    A route with new connections uses its ports in turn: for up to 2 minutes, the connection tracking of a Node sends a repeated
    source port to the same Pod, even a deleted one. Routes beyond the room share ranges: they lead to other Nodes.
    """
    count = PORTS // room
    return [FIRST_PORT + number % room * count, count]


def with_source_ports(requests: Sequence[RouteRequest], room: int = 0) -> list[RouteRequest]:
    """Return the requests with a range of source ports for each route with new connections; see source_ports."""
    new = [each.route for each in requests if not each.route.reuse]
    ranges = {route: source_ports(number, room or len(new)) for number, route in enumerate(new)}
    return [RouteRequest(each.route, {**each.request, "ports": ranges.get(each.route)}) for each in requests]


def node_port(chain: Chain, node: Place, address: str, place: Place = HERE) -> list[RouteRequest]:
    """Return the routes from `place` to the nodePort of a Node with this address, none without a nodePort."""
    port = chain.node_port
    return _both("NodePort", node, place, {"url": url(address, port), "expect": WELCOME}) if port else []


def load_balancer(chain: Chain) -> list[RouteRequest]:
    """Return the routes to the addresses of the witnesses' Service of type LoadBalancer, none without one."""
    service = chain.objects.read().one("Service", BALANCED)
    ingress: list[Json] = service.at("status.loadBalancer.ingress", []) if service else []
    found: list[RouteRequest] = []
    for each in ingress:
        address = str(each.get("ip") or each.get("hostname"))
        found += _both("LoadBalancer", Place(address), HERE, {"url": url(address), "expect": WELCOME})
    return found


def of_users(urls: str) -> list[RouteRequest]:
    """Return the routes to URLs separated by commas; their names have no query, which may hold secrets."""
    found: list[RouteRequest] = []
    for each in filter(None, map(str.strip, urls.split(","))):
        parts = urlsplit(each)
        found += _both(
            "URL", Place(redact.text(f"{parts.scheme}://{parts.netloc}{parts.path}")), HERE, {"url": each, "expect": ""}
        )
    return found


def api_server(chain: Chain) -> list[RouteRequest]:
    """Return the routes to the API server: its health, a read, a write, and the proxy to the Service."""
    scratch = chain.api.server + path_of("ConfigMap", chain.namespace, SCRATCH)
    write = {
        "method": "PATCH",
        "content": "application/merge-patch+json",
        # The sampler replaces {n} by the number of the sample, because a patch without a change is not written to etcd.
        "body": json.dumps({"data": {"n": "{n}"}}),
        "expect": '"ConfigMap"',
    }
    return [
        *_both("API server", Place("readyz"), HERE, {"url": f"{chain.api.server}/readyz", "expect": "ok"}),
        *_both("API server", Place("get"), HERE, {"url": scratch, "expect": '"ConfigMap"'}),
        *_both("API server", Place("write"), HERE, {"url": scratch, **write}),
        *_both("API proxy", HERE, HERE, {"url": chain.api.server + chain.service_proxy, "expect": WELCOME}),
    ]


def from_pod(chain: Chain, node: Place, domain: str, server: str) -> list[RouteRequest]:
    """Return the routes from a Pod on a Node: to the clusterIP, and to the Service's name.

    `domain` is the cluster's DNS domain, `server` the address of its DNS server.
    """
    service = url(chain.cluster_ip)
    name = f"{WEB}.{chain.namespace}.svc.{domain}."
    by_name = {"url": service, "expect": WELCOME, "lookup": {"server": server, "name": name, "address": chain.cluster_ip}}
    return [
        *_both("ClusterIP", HERE, node, {"url": service, "expect": WELCOME}),
        *_both("DNS", HERE, node, by_name),
    ]


def scaled(interval: float, nodes: int) -> float:
    """Return the interval in seconds between samples of a route when `nodes` Nodes have a sampler."""
    return interval * max(1.0, nodes / FULL_RATE_NODES)


def plan(
    requests: Sequence[RouteRequest],
    interval: float,
    *,
    tls: Json | None = None,
    nodes: int = 1,
    ended: Collection[Route] = (),
) -> Json:
    """Return the plan of a sampler for these requests; `nodes` is the number of samplers that run in Pods.

    Routes in `ended` keep their places in the plan and are no longer sampled.
    """
    defaults = {"method": "GET", "body": "", "content": "", "lookup": None, "ports": None}
    paths = [None if each.route in ended else {**defaults, **each.request} for each in requests]
    seconds = scaled(interval, nodes)
    return {"interval": seconds, "limit": int(SAMPLER_SECONDS / seconds), "seconds": SAMPLER_SECONDS, "tls": tls, "paths": paths}
