"""A chain whose Deployment or Service is deleted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.conditions.http import all_welcome
from kubechain.core.errors import Unmet
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Waiter
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.manifests import WEB, WELCOME


@dataclass(frozen=True)
class Deleted:
    """A chain after the deletion of an object, and its state before.

    `replica_sets` are the UIDs of the ReplicaSets of the Deployment, `pods` its Pods, `bystander` is the client Pod, and
    `node_urls` are the URLs of the nodePort on each Node; `silent` is why they did not all answer, "" if they did.
    """

    chain: Chain
    replica_sets: frozenset[str]
    pods: tuple[KubeObject, ...]
    bystander: KubeObject
    node_urls: tuple[str, ...]
    silent: str

    def require_served(self) -> None:
        """Raise Unmet if a Node did not answer before: then a refusal afterwards proves nothing."""
        if self.silent:
            raise Unmet(self.silent)

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
        before = Deleted(
            chain,
            frozenset([chain.replica_set.uid]),
            chain.pods,
            chain.present("Pod", client.pod),
            tuple(chain.node_urls().values()),
            _silent(chain_factory, chain, waiter) if kind == "Service" else "",
        )
        chain.api.delete(kind, chain.namespace, WEB, {"propagationPolicy": "Background"})
        yield before


def _silent(chain_factory: ChainFactory, chain: Chain, waiter: Waiter) -> str:
    """Return why the nodePort of a chain does not answer on every Node, "" if it does."""
    known = chain_factory.gatekeeper.why_shut(Link.NODEPORT)
    if known:
        return known
    try:
        waiter.eventually(sources.pages(chain, *chain.node_urls().values()), chain.among_nodes(all_welcome(WELCOME)))
    except Unmet as unmet:
        return str(unmet)
    return ""
