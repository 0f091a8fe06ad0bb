"""Chains from which something is deleted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from kubechain.conditions.http import all_welcome
from kubechain.kube.objects import KubeObject
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.manifests import WEB, WELCOME


@dataclass(frozen=True)
class Deleted:
    """A chain from which something was deleted, and what there was before.

    `replica_sets` and `pods` of the Deployment, the client Pod as `bystander`, and each Node's URL of the nodePort.
    """

    chain: Chain
    replica_sets: frozenset[str]
    pods: tuple[KubeObject, ...]
    bystander: KubeObject
    node_urls: tuple[str, ...]

    @property
    def pod_uids(self) -> frozenset[str]:
        """The UIDs of the Deployment's Pods."""
        return frozenset(pod.uid for pod in self.pods)


@contextmanager
def without(chain_factory: ChainFactory, kind: str) -> Generator[Deleted]:
    """Make a chain, wait until it serves, and delete its object of that kind in the background."""
    waiter = chain_factory.waiter()
    with chain_factory.serving(waiter) as chain:
        client = chain.client
        # Reached on every Node before, or a refusal afterwards would prove nothing.
        waiter.eventually(sources.pages(chain, *chain.node_urls().values()), all_welcome(WELCOME))
        before = Deleted(
            chain,
            frozenset([chain.replica_set.uid]),
            chain.pods,
            chain.present("Pod", client.pod),
            tuple(chain.node_urls().values()),
        )
        chain.api.delete(kind, chain.namespace, WEB, {"propagationPolicy": "Background"})
        yield before
