"""The pytest plugin with a chain beside which more than a hundred Pods serve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubechain.observe.wait import Waiter
from kubechain.pytest.given import of_claim
from kubechain.workload import manifests, service_manifests
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory

CROWD = "crowd"
# More than the 100 endpoints that one EndpointSlice holds by default (--max-endpoints-per-slice).
CROWD_SIZE = 101


@pytest.fixture
def many_pods(last: None, request: pytest.FixtureRequest, chain_factory: ChainFactory, waiter: Waiter) -> Iterator[Chain]:  # noqa: ARG001
    """A chain of its own, with a Deployment of CROWD_SIZE small Pods and their Service, both named CROWD."""
    with chain_factory.chain(waiter) as chain:
        chain.api.create(service_manifests.service(name=CROWD, app=CROWD, kind="ClusterIP"), chain.namespace)
        chain.api.create(manifests.many_pods(CROWD, chain.client_image, CROWD_SIZE), chain.namespace)
        yield of_claim(request, chain, waiter)
