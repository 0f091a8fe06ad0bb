"""Records of IP families: IPv6 alone, two families, and clusters where one of two does not work."""

from __future__ import annotations

from collections.abc import Callable

from kubechain.claims.claim import Link
from kubechain.kube.families import IPV4, IPV6
from tests.hostile.cluster import Cluster
from tests.hostile.furniture import furnish
from tests.hostile.records import broken
from tests.hostile.records_terrain import terrain


def families(*names: str, **without: str) -> Callable[[Cluster], None]:
    """Return what gives a cluster these families; `without` are sets of the core, each with a family that does not work."""

    def make(cluster: Cluster) -> None:
        core = cluster.core
        core.addresses.families = names
        for key in list(core.store.objects):
            core.store.remove(key)
        furnish(core)
        for name, family in without.items():
            getattr(core, name).add(family)

    return make


RECORDS = (
    terrain("IPV6", "has IPv6 addresses alone", families(IPV6), short=True),
    terrain("DUAL", "gives Services IPv4 first, and IPv6", families(IPV4, IPV6)),
    terrain("DUAL-IPV6", "gives Services IPv6 first, and IPv4", families(IPV6, IPV4)),
    terrain(
        "DUAL-UNLISTED",
        "has two families, and lists no IPv6 address in EndpointSlices",
        families(IPV4, IPV6, unlisted=IPV6),
        "EndpointSlices of both with the IPv6 address of each of 2 ready Pods",
        broken(Link.ENDPOINTS),
    ),
    terrain(
        "DUAL-UNPROXIED",
        "has two families, and does not forward connections to IPv6 addresses of Services",
        families(IPV4, IPV6, unproxied=IPV6),
        "http://[::ffff:127",
        broken(Link.CLUSTERIP),
    ),
    terrain(
        "DUAL-UNNAMED",
        "has two families, and no records AAAA",
        families(IPV4, IPV6, unnamed=IPV6),
        "-> ::ffff:127",
        broken(Link.DNS),
    ),
)
