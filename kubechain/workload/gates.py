"""When is a link up? The conditions that later links wait for, so that one broken link is not twenty failures."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubechain.claims.claim import Claim, Link
from kubechain.conditions import deployments, endpoints, pods, services
from kubechain.conditions.condition import Condition
from kubechain.core.errors import Blocked, Unmet
from kubechain.kube.objects import NamespaceState
from kubechain.observe.wait import Source, Waiter
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, REPLICAS, WEB

# The links that hand over to each link. Links without a gate hand over to none.
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
    """Return the links whose gates must be open before a claim is tried, in the order of the chain."""
    return gated([*BEFORE[claim.link], *claim.after, *([] if claim.opens else [claim.link])])


def gated(links: list[Link]) -> list[Link]:
    """Return the links that have a gate among these and all that hand over to them, in the order of the chain."""
    found: set[Link] = set()
    todo = list(links)
    while todo:
        link = todo.pop()
        if link not in found:
            found.add(link)
            todo += BEFORE[link]
    return sorted((link for link in found if link in GATED), key=lambda link: link.order)


@dataclass
class Gatekeeper:
    """Opens gates, and remembers which stayed shut: what one chain has waited for in vain, no other waits for again.

    `refused` are those of them for which there is nothing to wait: the API server does not take what they are made of.
    """

    shut: dict[Link, str] = field(default_factory=dict[Link, str])
    refused: dict[Link, str] = field(default_factory=dict[Link, str])

    def refuse(self, links: dict[Link, str]) -> None:
        """Shut the gates of links, with why, because what they are made of was refused."""
        for link, why in links.items():
            self.refused.setdefault(link, why)
            self.shut.setdefault(link, why)

    def require_taken(self, link: Link) -> None:
        """Raise Unmet if what the link is made of was refused."""
        if link in self.refused:
            raise Unmet(self.refused[link])

    def admit(self, links: list[Link], objects: Source[NamespaceState], waiter: Waiter, replicas: int = REPLICAS) -> None:
        """Wait until each of the links is up, for a Deployment of that many replicas.

        Raises:
            Blocked: one did not come up, on this chain or on an earlier one of this run.

        """
        for link in links:
            if link in self.shut:
                raise Blocked(link, self.shut[link])
            try:
                waiter.eventually(objects, gates(replicas)[link])
            except Unmet as unmet:
                self.shut[link] = str(unmet)
                raise Blocked(link, str(unmet)) from unmet
