"""How long a route may be unavailable during an upgrade, with the reasons. Pure functions."""

from __future__ import annotations

from kubechain.upgrade.model import Allowance, Kind

FORWARDED = "what forwards to the Pods stands in each Node's kernel, and does not depend on the control plane"
NAMED = "the DNS servers answer from what they know, and do not depend on the control plane"
KEPT = "a kept UDP socket stays with the CoreDNS Pod it first reached, until kube-proxy sees that the Pod is gone"
REPLACED = (
    "the only etcd and API server are replaced one after another: the kubelet asks the API server that waits for etcd, "
    "34 s at a time, and the API server has 30 s to end"
)
FAILED_OVER = "other API servers, behind a load balancer, take over within a few health checks"
CHECKED = "a load balancer sends requests to a Node until its health checks have failed there, every 10 s and twice"
NONE, SOCKET = Allowance(0.0, FORWARDED), Allowance(15.0, KEPT)

# (kind, kept connections) -> the allowance of a hop with a single control plane, and with several or none visible.
ALLOWANCES: dict[tuple[Kind, bool], tuple[Allowance, Allowance]] = {
    **{(kind, reuse): (NONE, NONE) for kind in ("NodePort", "ClusterIP") for reuse in (False, True)},
    **{("LoadBalancer", reuse): (Allowance(20.0, CHECKED), Allowance(20.0, CHECKED)) for reuse in (False, True)},
    ("DNS", False): (Allowance(0.0, NAMED), Allowance(0.0, NAMED)),
    ("DNS", True): (SOCKET, SOCKET),
    **{
        (kind, reuse): (Allowance(180.0, REPLACED), Allowance(10.0, FAILED_OVER))
        for kind in ("API server", "API proxy")
        for reuse in (False, True)
    },
}


def allowed(kind: Kind, control_planes: int, *, reuse: bool = False) -> Allowance:
    """Return the allowance of a hop for routes of a kind, with new connections or kept ones (`reuse`).

    `control_planes` is the number of control planes; a managed cluster may show none, but has several.
    """
    single, several = ALLOWANCES[kind, reuse]
    return single if control_planes == 1 else several
