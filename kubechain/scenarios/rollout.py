"""A rolling update of a Deployment under load."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from kubechain.conditions import deployments, pods
from kubechain.kube.objects import Json, KubeObject
from kubechain.probes.load import Tally, enough_sent
from kubechain.scenarios.load import LEAST, load
from kubechain.workload import actions, manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import LABELS, WEB

REPLICAS = 4
SURGE, UNAVAILABLE = 1, 1


@dataclass(frozen=True)
class Rolled:
    """A chain of REPLICAS Pods after a rolling update to another Pod template.

    `old` is the ReplicaSet before the update, `requests` is the load on the nodePort during it, and `from_sequence` is the
    number of the last change in the history before it.
    """

    chain: Chain
    old: KubeObject
    requests: Tally
    from_sequence: int


def rolling(image: str) -> Json:
    """Return a Deployment with maxSurge SURGE and maxUnavailable UNAVAILABLE, whose Pods serve while they terminate."""
    manifest = manifests.lingering(manifests.deployment(image, replicas=REPLICAS))
    return manifests.rolling(manifest, SURGE, UNAVAILABLE)


@contextmanager
def roll(chain: Chain) -> Generator[Rolled]:
    """Roll the Deployment of a chain to another Pod template under load; lost requests raise no error here."""
    waiter = chain.waiter
    old, before = chain.replica_set, chain.objects.sequence()
    with load(chain, list(chain.node_urls().values())) as stream:
        actions.template(chain, "2")
        waiter.eventually(chain.objects, deployments.rolled_out(WEB, REPLICAS, 2))
        # The old Pods still serve then, and their ends are what may lose requests.
        waiter.eventually(chain.objects, pods.count(LABELS, REPLICAS))
        waiter.eventually(stream.requests, enough_sent(LEAST))
        tally = stream.tally()
    yield Rolled(chain, old, tally, before)
