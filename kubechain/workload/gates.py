"""Gates: the conditions on which later links wait, so that one broken link gives one failure and not twenty.

A gate is asked before a claim, and again after a claim that failed: a claim that failed because a link that it uses is broken
by now is blocked by that link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kubechain.claims import premises
from kubechain.claims.claim import Claim, Link
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.premises import Premise
from kubechain.claims.requirements import EXEC
from kubechain.conditions import deployments, endpoints, pods, scheduling, services
from kubechain.conditions.condition import Condition
from kubechain.conditions.dns import resolves_to
from kubechain.conditions.env import service_variables, variables_are
from kubechain.conditions.http import all_welcome, every_backend
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.observe.source import Source
from kubechain.observe.wait import Waiter
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, SERVICE_PORT, WEB, WELCOME
from kubechain.workload.shut_gates import ShutGates
from kubechain.workload.urls import url

T = TypeVar("T")
# Each link -> the links that it needs. They are waited for before a claim of the link is tried.
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
# Each link -> the links that it uses in passing. They are not waited for, but if one is broken, it is to blame.
USES: dict[Link, tuple[Link, ...]] = {
    # Pods ask the DNS server at the clusterIP of its Service.
    Link.DNS: (Link.CLUSTERIP,),
}
# Each link -> what its claims and its gate rest on: where admission has changed that, nothing is promised.
RESTS: dict[Link, tuple[Premise, ...]] = {
    Link.CLUSTERIP: premises.REACHED,
    Link.NODEPORT: premises.NODE_PORTS,
    Link.ENV: premises.SERVICE_LINKS,
    Link.DNS: premises.CLUSTER_DNS,
}
# What the gates of these links rest on besides: they wait for an answer of every Pod.
ALSO_RESTS = {Link.CLUSTERIP: premises.SPREAD, Link.NODEPORT: premises.SPREAD}
ASKED_AGAIN = Timeout(3, "a working link answers at once; 3 s allow for one lost packet")


@dataclass(frozen=True)
class Gate(Generic[T]):
    """The condition that a link is up on a chain, and the source that it is asked of.

    `earlier` are conditions on the way there, each of which is met sooner or not at all.
    """

    source: Source[T]
    condition: Condition[T]
    earlier: tuple[Condition[T], ...] = ()

    def wait(self, waiter: Waiter, within: Timeout | None = None) -> None:
        """Wait until the link is up; Unmet if it does not come up within the condition's timeout, or `within`."""
        for condition in (*self.earlier, self.condition):
            waiter.eventually(self.source, condition, within=within)


# Each link with a gate -> its gate on a chain. The timeout of a gate runs from when the links before are up.
GATES: dict[Link, Callable[[Chain], Gate[Any]]] = {
    Link.DEPLOYMENT: lambda chain: Gate(chain.objects, deployments.observed(WEB)),
    Link.REPLICASET: lambda chain: Gate(chain.objects, deployments.controls_one_replica_set(WEB, chain.replicas)),
    Link.PODS: lambda chain: Gate(
        chain.objects,
        pods.exactly_ready(LABELS, chain.replicas),
        earlier=(scheduling.scheduled(LABELS, chain.replicas), scheduling.bound(LABELS)),
    ),
    Link.SERVICE: lambda chain: Gate(chain.objects, services.allocated_by_type(WEB)),
    Link.ENDPOINTS: lambda chain: Gate(chain.objects, endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, chain.replicas)),
    Link.CLUSTERIP: lambda chain: Gate(
        sources.backends_inside(chain, chain.client, url(chain.cluster_ip)), every_backend(chain.pod_names, WELCOME)
    ),
    Link.NODEPORT: lambda chain: Gate(sources.backends_at_nodes(chain), every_backend(chain.pod_names, WELCOME)),
    Link.API: lambda chain: Gate(sources.proxied(chain, chain.service_proxy, *chain.pod_proxies), all_welcome(WELCOME)),
    Link.ENV: lambda chain: Gate(
        sources.environment(chain, chain.client),
        # Where the client Pod has none, the claim that opens the link asks Pods that were started later.
        variables_are(WEB, service_variables(WEB, chain.cluster_ip, SERVICE_PORT), if_any=True),
    ),
    Link.DNS: lambda chain: Gate(sources.answers(chain, chain.client, WEB), resolves_to(chain.cluster_ip)),
}
# Each link whose status is made of what another reports, once the Pods are up -> that link, and what it must report.
FED_BY: dict[Link, tuple[Link, Callable[[Chain], Gate[Any]]]] = {
    Link.DEPLOYMENT: (
        Link.REPLICASET,
        lambda chain: Gate(chain.objects, deployments.replica_set_counts(WEB, chain.replicas)),
    ),
}
# The links whose gates ask watched objects: on every chain, while the others are asked once on the shared chain.
WATCHED = (Link.DEPLOYMENT, Link.REPLICASET, Link.PODS, Link.SERVICE, Link.ENDPOINTS)


def awaited(claim: Claim) -> list[Link]:
    """Return the links whose gates must open before a claim is tried, in the order of the chain."""
    return gated([*BEFORE[claim.link], *claim.after, *([] if claim.opens else [claim.link])])


def gated(links: Iterable[Link]) -> list[Link]:
    """Return the links with a gate among these links and all links that they need, in the order of the chain."""
    return [link for link in _closure(links, BEFORE) if link in GATES]


def used(own: Link, after: Iterable[Link]) -> list[Link]:
    """Return the links with a gate that a claim of link `own` uses besides it, in the order of the chain.

    If one of them is broken, the claim says nothing about its own link.
    """
    both = {link: (*BEFORE[link], *USES.get(link, ())) for link in Link}
    return [link for link in _closure([*both[own], *after], both) if link in GATES and link != own]


def _closure(links: Iterable[Link], edges: dict[Link, tuple[Link, ...]]) -> list[Link]:
    needed: set[Link] = set()
    todo = list(links)
    while todo:
        link = todo.pop()
        if link not in needed:
            needed.add(link)
            todo += edges[link]
    return sorted(needed, key=lambda link: link.order)


@dataclass
class Gatekeeper(ShutGates):
    """Waits for gates, and remembers those that stayed shut, so that no other chain waits for them again.

    `refused` is link -> message of the API server that refused an object of the link; `opened` are (namespace, link) of gates
    that opened, `undecided` is link -> why its gate could not be asked for as long as it may take, `no_command` why no command
    can be run in the client Pod, None as long as one can.
    """

    refused: dict[Link, str] = field(default_factory=dict[Link, str])
    opened: set[tuple[str, Link]] = field(default_factory=set[tuple[str, Link]])
    undecided: dict[Link, HarnessError] = field(default_factory=dict[Link, HarnessError])
    no_command: HarnessError | None = None

    def refuse(self, links: dict[Link, str]) -> None:
        """Shut the gates of links whose objects the API server refused; `links` is link -> message."""
        for link, why in links.items():
            self.refused.setdefault(link, why)
            self.shut(link, why)

    def require_accepted(self, link: Link) -> None:
        """Raise Unmet if the API server refused an object of the link."""
        if link in self.refused:
            raise Unmet(self.refused[link])

    def obstruct(self, blocked: Blocked) -> bool:
        """Stop every process of the run before the obstacle that blocks a claim; return whether it is an obstacle."""
        if blocked.waits_for not in list(Obstacle):
            return False
        self.shut(Obstacle(blocked.waits_for), blocked.why)
        return True

    def require_open(self, links: Iterable[Link]) -> None:
        """Raise Blocked by an obstacle that is known, else by the first of these links whose gate is known to be shut."""
        for link in (*Obstacle, *links):
            if why := self.why_shut(link):
                raise Blocked(link, why)

    def require_untried(self, claim: Claim) -> None:
        """Require that nothing which a claim uses is known to be broken.

        A gate of its own link that stayed shut before another link's claim does not block it: no claim has said so yet.

        Raises:
            Blocked: a link that it uses is broken, or its own: another claim of the link has said so.
            HarnessError: it runs commands in Pods, and no command can be run.

        """
        self.require_open([*used(claim.link, claim.after), *([claim.link] if self.has_failed(claim.link) else [])])
        if self.no_command and EXEC in claim.needs:
            raise HarnessError(f"no command can be run in a Pod: {self.no_command}", self.no_command.code)

    def admit(self, links: Iterable[Link], chain: Chain, waiter: Waiter, own: Link | None = None) -> None:
        """Wait until each of the links is up on a chain.

        If the gate of `own`, the link of the claim, stayed shut before a claim of another link, the claim is tried all the same,
        until one of its link has failed: a link may answer now and then, so that those that open it have passed.

        Raises:
            Blocked: a link did not come up, on this chain or on an earlier chain of this run.
            HarnessError: a gate could not be asked; but for watched objects, it is not asked again.

        """
        for link in links:
            if link == own and self.why_shut(link) and not self.has_failed(link):
                continue
            self.require_open([link])
            if link in self.undecided:
                raise HarnessError(str(self.undecided[link]), self.undecided[link].code)
            if (chain.namespace, link) not in self.opened:
                try:
                    self._ask(link, chain, waiter)
                except HarnessError as error:
                    if link not in WATCHED:
                        self.undecided[link] = error
                    raise

    def _ask(self, link: Link, chain: Chain, waiter: Waiter, within: Timeout | None = None) -> None:
        if chain.lacks([*RESTS.get(link, ()), *ALSO_RESTS.get(link, ())]):
            return  # What the gate waits for is not promised; the claims of the link say why.
        began = waiter.clock.now()
        try:
            GATES[link](chain).wait(waiter, within)
        except Unmet as unmet:
            blocked = chain.blocked(link, unmet)
            if not self.obstruct(blocked):
                self.shut(link, blocked.why)
            waiter.pace.hurry()
            raise blocked from unmet
        if link not in WATCHED:
            self.opened.add((chain.namespace, link))
            chain.answered.setdefault(link, (began, waiter.clock.now()))

    def ask_again(self, links: Iterable[Link], chain: Chain, waiter: Waiter) -> None:
        """Ask whether links are still up on a chain, without much waiting; shut the gate of the first that is not.

        Raises:
            Blocked: a link is not up any more.

        """
        for link in links:
            self.require_open([link])
            try:
                self._ask(link, chain, waiter, ASKED_AGAIN)
            except HarnessError:
                continue  # what cannot be asked is not to blame

    def try_command(self, chain: Chain) -> None:
        """Run a command in the client Pod, to know whether claims may still run theirs."""
        try:
            chain.client.must_run("true")
        except Blocked:
            return  # there is no such Pod: its link says why
        except HarnessError as error:
            self.no_command = error

    def require_fed(self, claim: Claim, chain: Chain, waiter: Waiter) -> None:
        """Ask whether the link that feeds the status of a claim's link reports what it must; no gate is shut.

        The claims of that link say themselves what is wrong.

        Raises:
            Blocked: it does not.

        """
        if claim.link not in FED_BY or Link.PODS not in claim.after:
            return
        link, gate = FED_BY[claim.link]
        try:
            gate(chain).wait(waiter, ASKED_AGAIN)
        except Unmet as unmet:
            raise Blocked(link, str(unmet)) from unmet
        except HarnessError:
            return  # what cannot be asked is not to blame
