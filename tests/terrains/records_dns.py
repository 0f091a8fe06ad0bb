"""Terrains by the cluster's DNS: other servers, more servers, caches."""

from __future__ import annotations

from tests.terrains.dns import (
    KEPT_LONG,
    ON_LOOPBACK,
    ON_NODE,
    OTHER,
    SECOND,
    SECOND_SERVICE,
    USUAL,
    Added,
    UsualGone,
    elsewhere,
    told,
)
from tests.terrains.dns import cache as cache_of
from tests.terrains.terrain import Skip, Terrain, Unfit

USUAL_GONE = Unfit("the fault is that of the usual servers, which are gone", ("dns-gone",))
TERRAINS = (
    Terrain(
        "dns-elsewhere",
        "DNS",
        "has its DNS in another namespace, by other names and at another address, and none where kubeadm makes it",
        (Added(elsewhere), told(OTHER), UsualGone()),
        unfit=(USUAL_GONE,),
    ),
    Terrain(
        "dns-cache-on-node",
        "DNS",
        "has a cache of its DNS on each Node, which the Pods ask",
        (Added(cache_of), ON_LOOPBACK, told(ON_NODE)),
        skips=(Skip(f"the replicas of the cluster's DNS cannot be found: {ON_NODE}", ("CHAIN-DNS-170",)),),
        unfit=(Unfit("the cache answers that the server failed, where the fault lets Pods wait", ("dns-gone",)),),
    ),
    Terrain("dns-two-servers", "DNS", "names two DNS servers in each Pod", (SECOND_SERVICE, told(USUAL, SECOND))),
    Terrain("dns-long-cache", "DNS", "has a DNS that keeps answers for as long as they last, those of no name too", (KEPT_LONG,)),
)
