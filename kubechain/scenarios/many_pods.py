"""A Service with more Pods than fit into one EndpointSlice."""

from __future__ import annotations

from kubechain.workload import manifests, service_manifests
from kubechain.workload.chain import Chain

MANY = "many"
# More than the 100 endpoints that one EndpointSlice holds by default (--max-endpoints-per-slice).
COUNT = 101


def make(chain: Chain) -> None:
    """Make a Deployment of COUNT small Pods and their Service, both named MANY, in the namespace of a chain."""
    chain.api.create(service_manifests.service(name=MANY, app=MANY), chain.namespace)
    chain.api.create(manifests.many_pods(MANY, chain.client_image, COUNT), chain.namespace)
