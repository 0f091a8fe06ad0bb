"""Gates: the conditions on which later links wait, so that one broken link gives one failure and not twenty."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubechain.claims.claim import Claim, Link
from kubechain.conditions import deployments, endpoints, pods, services
from kubechain.conditions.condition import Condition
from kubechain.core.errors import Blocked, Unmet
from kubechain.kube.objects import NamespaceState
from kubechain.observe.wait import Source, Waiter
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, REPLICAS, WEB

# Each link -> the links that it needs.
BEFORE: dict[Link, tuple[Link, ...]] = {
    Link.IMAGE: (Link.PODS,),
    Link.DEPLOYMENT: (),
    Link.REPLICASET: (Link.DEPLOYMENT,),
    Link.PODS: (Link.REPLICASET,),
    Link.SERVICE: (),
    Link.ENDPOINTS: (Link.PODS, Link.SERVICE),
    Link.CLUSTERIP: (Link.ENDPOINTS,),
    Link.NODEPORT: (Link.ENDPOINTS,),
    Link.API: (Link.ENDPOINTS,),
    Link.ENV: (Link.SERVICE,),
    Link.DNS: (Link.SERVICE,),
    Link.SCALE: (Link.ENDPOINTS,),
    Link.ROLLOUT: (Link.ENDPOINTS,),
    Link.HEALING: (Link.ENDPOINTS,),
    Link.NODES: (Link.ENDPOINTS,),
    Link.DELETION: (Link.ENDPOINTS,),
    Link.UPGRADE: (Link.ENDPOINTS,),
}


SERVICE_UP = services.allocated(WEB, cluster_ip=True, node_port=True)
GATED = (Link.DEPLOYMENT, Link.REPLICASET, Link.PODS, Link.SERVICE, Link.ENDPOINTS)


def gates(replicas: int) -> dict[Link, Condition[NamespaceState]]:
    """Return the condition that each of GATED is up, for a Deployment of that many replicas.

    Its timeout runs from when the links before are up.
    """
    return {
        Link.DEPLOYMENT: deployments.observed(WEB),
        Link.REPLICASET: deployments.controls_one_replica_set(WEB, replicas),
        Link.PODS: pods.exactly_ready(LABELS, replicas),
        Link.SERVICE: SERVICE_UP,
        Link.ENDPOINTS: endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, replicas),
    }


def awaited(claim: Claim) -> list[Link]:
    """Return the links whose gates must open before a claim is tried, in the order of the chain."""
    return gated([*BEFORE[claim.link], *claim.after, *([] if claim.opens else [claim.link])])


def gated(links: list[Link]) -> list[Link]:
    """Return the links with a gate among these links and all links that they need, in the order of the chain."""
    needed: set[Link] = set()
    todo = list(links)
    while todo:
        link = todo.pop()
        if link not in needed:
            needed.add(link)
            todo += BEFORE[link]
    return sorted((link for link in needed if link in GATED), key=lambda link: link.order)


@dataclass
class Gatekeeper:
    """Waits for gates, and remembers those that stayed shut, so that no other chain waits for them again.

    `shut` is link -> message of a gate that did not open, `refused` is link -> message of the API server that refused an
    object of the link.
    """

    shut: dict[Link, str] = field(default_factory=dict[Link, str])
    refused: dict[Link, str] = field(default_factory=dict[Link, str])

    def refuse(self, links: dict[Link, str]) -> None:
        """Shut the gates of links whose objects the API server refused; `links` is link -> message."""
        for link, why in links.items():
            self.refused.setdefault(link, why)
            self.shut.setdefault(link, why)

    def require_accepted(self, link: Link) -> None:
        """Raise Unmet if the API server refused an object of the link."""
        if link in self.refused:
            raise Unmet(self.refused[link])

    def admit(self, links: list[Link], objects: Source[NamespaceState], waiter: Waiter, replicas: int = REPLICAS) -> None:
        """Wait until each of the links is up, for a Deployment with `replicas`.

        Raises:
            Blocked: a link did not come up, on this chain or on an earlier chain of this process.

        """
        for link in links:
            if link in self.shut:
                raise Blocked(link, self.shut[link])
            try:
                waiter.eventually(objects, gates(replicas)[link])
            except Unmet as unmet:
                self.shut[link] = str(unmet)
                raise Blocked(link, str(unmet)) from unmet
