"""A chain whose Deployment or Service is deleted."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.claims.premises import CLUSTER_DNS, NODE_PORTS
from kubechain.claims.requirements import EXEC, NODE_REQUESTS, refused
from kubechain.conditions.dns import resolves_to
from kubechain.conditions.http import all_welcome
from kubechain.core.errors import HarnessError, NotApplicable, Unmet
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Observation, Waiter
from kubechain.probes.http import Page
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.manifests import WEB, WELCOME


@dataclass(frozen=True)
class Deleted:
    """A chain after the deletion of an object, and its state before.

    `replica_sets` are the UIDs of the ReplicaSets of the Deployment, `pods` its Pods, `bystander` is the client Pod, and
    `node_urls` is node name -> URL of the nodePort there; `nodes_note` says which Nodes have none, and `silent` why they did not
    all answer, "" if they did; `changed` is why they need not, because admission changed the Service, "" if it did not;
    `unnamed` is why it is not known that the name of the Service resolved, None if it did, or was not asked.
    """

    chain: Chain
    replica_sets: frozenset[str]
    pods: tuple[KubeObject, ...]
    bystander: KubeObject
    node_urls: Mapping[str, str]
    nodes_note: str
    silent: str
    changed: str
    unnamed: Unmet | HarnessError | None = None

    def require_named(self) -> None:
        """Raise Unmet if the name of the Service did not resolve before, HarnessError if it could not be asked."""
        if self.unnamed:
            raise self.unnamed

    def require_served(self) -> None:
        """Raise Unmet if a Node did not answer before, when a refusal afterwards proves nothing; NotApplicable if none has to."""
        if self.changed:
            raise NotApplicable(self.changed)
        if self.silent:
            raise Unmet(self.silent)

    def refused(self, observation: Observation[list[Page]]) -> None:
        """Keep when each nodePort was asked and refused, for the hand-overs of the chain."""
        now = self.chain.objects.clock.now()
        self.chain.refused.append((now - observation.seconds, now))

    @property
    def pod_uids(self) -> frozenset[str]:
        """The UIDs of the Deployment's Pods."""
        return frozenset(pod.uid for pod in self.pods)


@contextmanager
def without(chain_factory: ChainFactory, kind: str) -> Generator[Deleted]:
    """Make a chain, wait until it serves, and delete its object of a kind (Deployment or Service).

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/#background-deletion
    """
    waiter = chain_factory.waiter()
    with chain_factory.serving(waiter) as chain:
        client = chain.client
        # Once the Service is deleted, nobody can tell any more.
        asked = kind == "Service" and chain.node_ports and not refused([NODE_REQUESTS], chain_factory.environment)
        changed = _changed(chain) if asked else ""
        served = asked and not changed
        before = Deleted(
            chain,
            frozenset([chain.replica_set.uid]),
            chain.pods,
            chain.present("Pod", client.pod),
            chain.node_urls() if served else {},
            chain.nodes_note if served else "",
            _silent(chain_factory, chain, waiter) if served else "",
            changed,
            _unnamed(chain_factory, chain, waiter) if kind == "Service" else None,
        )
        chain.api.delete(kind, chain.namespace, WEB, {"propagationPolicy": "Background"})
        yield before


def _changed(chain: Chain) -> str:
    """Return how admission has changed the Service so that not every Node answers at a nodePort, "" if it has not."""
    try:
        chain.require(NODE_PORTS)
    except NotApplicable as reason:
        return str(reason)
    return ""


def _silent(chain_factory: ChainFactory, chain: Chain, waiter: Waiter) -> str:
    """Return why the nodePort of a chain does not answer on every Node, "" if it does."""
    known = chain_factory.gatekeeper.why_shut(Link.NODEPORT)
    if known:
        return known
    try:
        waiter.eventually(sources.pages_at_nodes(chain), chain.among_nodes(all_welcome(WELCOME)))
    except Unmet as unmet:
        return str(unmet)
    return ""


def _unnamed(chain_factory: ChainFactory, chain: Chain, waiter: Waiter) -> Unmet | HarnessError | None:
    """Return why the name of the Service is not known to resolve; None if it does, or if nobody may ask or need answer."""
    if refused([EXEC], chain_factory.environment) or chain.lacks(CLUSTER_DNS):
        return None
    if known := chain_factory.gatekeeper.why_shut(Link.DNS):
        return Unmet(known)
    try:
        waiter.eventually(sources.answers(chain, chain.client, chain.full_name(WEB, chain.client)), resolves_to(chain.cluster_ip))
    except (Unmet, HarnessError) as error:
        return error
    return None
