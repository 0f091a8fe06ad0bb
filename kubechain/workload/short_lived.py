"""How long the DNS of a cluster lets others keep its records: Kubernetes promises no time.

CoreDNS gives its records the time to live of its option `ttl`, of up to 3600 s. Those who have a record may use it for so long.

https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/#coredns-configmap-options
"""

from __future__ import annotations

from kubechain.conditions.timeouts import RECORD_SECONDS
from kubechain.core.errors import NotApplicable
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own


def require_short_lived(chain: Chain, place: PodProbe, name: str, record: str, times: int) -> int:
    """Return the longest time to live of a record that a Pod is told, asked so many times; see PodProbe.time_to_live.

    Raises:
        NotApplicable: it is longer than a claim waits, on a cluster of others.

    """
    ttl = place.time_to_live(name, record, times)
    if ttl > RECORD_SECONDS and not is_own(chain):
        raise NotApplicable(f"needs DNS records that live for {RECORD_SECONDS} s at most: {name} {record} lives for {ttl} s")
    return ttl
