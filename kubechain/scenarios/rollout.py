"""The pytest plugin with a Deployment that was rolled, and rolled back, under load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from kubechain.conditions import deployments
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Waiter
from kubechain.probes.load import Tally, asked
from kubechain.pytest.given import of_claim
from kubechain.scenarios.load import LEAST, load
from kubechain.workload import actions, manifests
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.manifests import WEB

REPLICAS = 4
SURGE, UNAVAILABLE = 1, 1
# A Pod goes on serving while kube-proxy on every Node learns that it ends.
LINGER_SECONDS = 8


@dataclass(frozen=True)
class Rolled:
    """A chain of REPLICAS Pods that was rolled to another Pod template.

    `old` is the ReplicaSet from before, as it was then; `requests` what was asked through the NodePort meanwhile;
    `from_sequence` is the number of the last change in the history before the roll.
    """

    chain: Chain
    old: KubeObject
    requests: Tally
    from_sequence: int


def rolling(image: str) -> Json:
    """Return the Deployment that is rolled: Pods that end gracefully, SURGE more and UNAVAILABLE fewer at a time."""
    manifest = manifests.lingering(manifests.deployment(image, replicas=REPLICAS), LINGER_SECONDS)
    return manifests.rolling(manifest, SURGE, UNAVAILABLE)


@pytest.fixture(scope="session")
def rolled_chain(chain_factory: ChainFactory) -> Iterator[Rolled]:
    """The story of one roll; whether requests were lost is for a claim to say."""
    waiter = chain_factory.waiter()
    with chain_factory.serving(waiter, rolling(chain_factory.environment.target.nginx)) as chain:
        old, before = chain.replica_set, chain.objects.sequence()
        with load(chain, list(chain.node_urls().values())) as stream:
            actions.template(chain, "2")
            waiter.eventually(chain.objects, deployments.rolled_out(WEB, REPLICAS, 2))
            waiter.eventually(stream.requests, asked(LEAST))
            seen = stream.tally()
        yield Rolled(chain, old, seen, before)


@pytest.fixture
def rolled(request: pytest.FixtureRequest, rolled_chain: Rolled, waiter: Waiter) -> Rolled:
    """A chain that was rolled to another Pod template under load."""
    return replace(rolled_chain, chain=of_claim(request, rolled_chain.chain, waiter))


@pytest.fixture
def serving_four(request: pytest.FixtureRequest, chain_factory: ChainFactory, waiter: Waiter) -> Iterator[Chain]:
    """A chain of its own with REPLICAS Pods that end gracefully; it serves."""
    with chain_factory.serving(waiter, rolling(chain_factory.environment.target.nginx)) as chain:
        yield of_claim(request, chain, waiter)


@pytest.fixture
def guarded_chain(exclusive: None, serving_four: Chain) -> Chain:  # noqa: ARG001  # to be used when all else is quiet
    """A chain with REPLICAS Pods that end gracefully, one of which may be away; nothing else is under way."""
    serving_four.api.create(manifests.disruption_budget(WEB, least=REPLICAS - UNAVAILABLE), serving_four.namespace)
    return serving_four
