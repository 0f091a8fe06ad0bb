"""Broken links as the pages show them: messages of real claims, and the evidence of one of them."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.claims.claim import Link

MANAGER = "kube-controller-manager: no sign of life, its Lease was renewed 39 s ago and lasts 15 s"


@dataclass(frozen=True)
class Fault:
    """A broken link: what its first claim says, and what the cluster shows of the components behind it."""

    link: Link
    message: str
    suspects: str = ""


FAULTS = (
    Fault(
        Link.DEPLOYMENT,
        "expected Deployment web with status.observedGeneration at least 1, got none"
        " (waited 10.0 of 10 s: a link is broken, and such a wait ended in vain after 15 s)",
        MANAGER,
    ),
    Fault(
        Link.PODS,
        "expected 2 Pods with app=web bound to Nodes, got 0 of 2 bound: web-847dc9d778-vxrqs: PodScheduled is absent (not "
        "reported); web-847dc9d778-whrbb: PodScheduled is absent (not reported) (waited 20.0 of 20 s: the scheduler needs"
        " milliseconds for a Pod)",
        "kube-scheduler: no sign of life, its Lease was renewed 24 s ago and lasts 15 s",
    ),
    Fault(
        Link.ENDPOINTS,
        "expected EndpointSlices of web to list exactly the 2 ready Pods, got no ready address (2 Pods ready)"
        " (waited 15.1 of 15 s: the EndpointSlice controller batches for up to a second)",
        MANAGER,
    ),
    Fault(
        Link.CLUSTERIP,
        "expected the page of nginx from http://10.96.214.37:80/, got 0 of 10 requests answered: "
        + "; ".join(f"request {n}: connection timed out after 2.0 s" for n in range(1, 11))
        + " (waited 20.0 of 20 s: kube-proxy syncs at least every 30 s, and at once after a change)",
        "kube-proxy on node kubechain-0a1b2c3d-worker2: 0/1 ready, CrashLoopBackOff",
    ),
    Fault(
        Link.DNS,
        "expected web to resolve to 10.96.214.37, got NXDOMAIN (waited 30.0 of 30 s: CoreDNS caches for 30 s)",
    ),
)
EVIDENCE = """EndpointSlices of a Service MUST list exactly the ready Pods its selector matches.

# owner graph
Deployment/web (2/2 ready)
  ReplicaSet/web-847dc9d778 (2/2 ready)
    Pod/web-847dc9d778-vxrqs (ready, on kubechain-0a1b2c3d-worker)
    Pod/web-847dc9d778-whrbb (ready, on kubechain-0a1b2c3d-worker2)
Service/web (NodePort 10.96.214.37)
  EndpointSlice/web-x7k2p (no address)

# what changed last
EndpointSlice/web-x7k2p has not changed since it was first seen, 15.1 s before the end of the claim

# endpoints
Service web: NodePort 10.96.214.37, TCP 80 -> http, nodePort 31544
  EndpointSlice web-x7k2p: TCP 8080
  in no EndpointSlice: Pod web-847dc9d778-vxrqs, ready
  in no EndpointSlice: Pod web-847dc9d778-whrbb, ready

# who answered where
from each node:
  asked                       timeout
  kubechain-0a1b2c3d-worker        10
  kubechain-0a1b2c3d-worker2       10

# events
Normal ScalingReplicaSet Deployment/web: Scaled up replica set web-847dc9d778 from 0 to 2
Warning Unhealthy Pod/web-847dc9d778-vxrqs: Readiness probe failed: connection refused (x3)

# log of web-847dc9d778-vxrqs
10.244.1.1 - - [27/Nov/2026:05:54:02 +0000] "GET / HTTP/1.1" 200 615 "-" "kube-probe/1.37"

# timeline
   0.000 s  Deployment created
   0.794 s  Pod ready

# objects
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
endpoints: []
"""
