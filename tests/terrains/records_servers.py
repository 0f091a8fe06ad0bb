"""Terrains by the API server: how it is reached, what it says of itself, how fast it is, who else uses it."""

from __future__ import annotations

from tests.terrains.components import ProxySettings, SlowWebhook
from tests.terrains.crowd import Crowd
from tests.terrains.terrain import Terrain

SLOW_SECONDS = 900.0
# All addresses of Nodes that the engine gives, and no loopback address.
PRIVATE = ["172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"]

TERRAINS = (
    Terrain("api-slow", "API server", "answers each request 0.3 s later", seconds=SLOW_SECONDS, way="slow"),
    Terrain("api-throttled", "API server", "refuses every seventh request with 429", seconds=SLOW_SECONDS, way="throttled"),
    Terrain("api-unavailable", "API server", "refuses every eleventh request with 503", seconds=SLOW_SECONDS, way="unavailable"),
    Terrain("api-prefixed", "API server", "has its API server behind a path of another", way="prefixed"),
    Terrain("api-of-a-vendor", "API server", "has versions with the suffix of a vendor", way="vendor"),
    Terrain(
        "webhook-slow",
        "API server",
        "has a webhook that looks at each change, and takes half a second",
        (SlowWebhook(),),
        seconds=SLOW_SECONDS,
    ),
    Terrain("crowd", "namespaces", "has 300 namespaces and 1,000 Services of others", (Crowd(300, 1000),)),
    Terrain(
        "node-ports-primary",
        "Nodes",
        "serves nodePorts at the first address of each Node alone",
        (ProxySettings("primary", {"nodePortAddresses": ["primary"], "iptables": {"localhostNodePorts": False}}),),
    ),
    Terrain(
        "node-ports-of-a-range",
        "Nodes",
        "serves nodePorts at the addresses of some ranges alone",
        (ProxySettings("ranges", {"nodePortAddresses": PRIVATE}),),
    ),
)
