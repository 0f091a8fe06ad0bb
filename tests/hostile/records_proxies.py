"""Records of service proxies that lead a client to one Pod: by their configuration, and for no reason."""

from __future__ import annotations

from kubechain.claims.claim import Link
from tests.hostile.cluster import Cluster
from tests.hostile.records import Record, broken
from tests.hostile.records_terrain import proxy_settings


def _one_backend(cluster: Cluster) -> None:
    """Lead all connections to a Service to one of its Pods."""
    cluster.core.network.choose = min


def _source_hashing(cluster: Cluster) -> None:
    """Lead the connections of a client, of which there is one here, to one Pod, as kube-proxy is configured to."""
    _one_backend(cluster)
    proxy_settings(cluster, "{mode: ipvs, ipvs: {scheduler: sh}}")


# The claims on the ways to a Service, and those that ask for an answer of each Pod there.
WAYS = "CHAIN-CLUSTERIP-010,CHAIN-CLUSTERIP-020,CHAIN-CLUSTERIP-030,CHAIN-CLUSTERIP-080,CHAIN-NODEPORT-010,CHAIN-NODEPORT-020"
COMMAND = ("run", "--no-html", "--patience", "0.4", "--only", WAYS)
RECORDS = (
    Record(
        "IPVS-SOURCE-HASHING",
        "has a kube-proxy whose IPVS leads each client to one Pod",
        _source_hashing,
        says="IPVS has the scheduler sh, which leads a client to one Pod",
        command=COMMAND,
        short=True,
    ),
    Record(
        "ONE-BACKEND",
        "leads each client to one Pod, and does not say why",
        _one_backend,
        (broken(Link.CLUSTERIP),),
        "answers of web-",
        COMMAND,
    ),
)
