"""Services with two IP families, of which a claim is about both."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.conditions.text import some
from kubechain.core.errors import Blocked
from kubechain.kube.families import RECORDS, cluster_ips
from kubechain.kube.objects import KubeObject


def cluster_ips_of_both(service: KubeObject) -> dict[str, str]:
    """Return family -> clusterIP of a Service that requires two families; Blocked if it was not given an address of each."""
    found = cluster_ips(service)
    if len(found) < len(RECORDS):
        raise Blocked(Link.SERVICE, f"expected Service {service.name} with a clusterIP of each IP family, got {some(found)}")
    return found
