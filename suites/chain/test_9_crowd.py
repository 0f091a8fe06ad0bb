"""Endpoints of a Service with more Pods than one EndpointSlice holds."""

from kubechain.claims.claim import Link, claim
from kubechain.conditions import endpoints
from kubechain.pytest.given import Eventually
from kubechain.scenarios.many_pods import CROWD, CROWD_SIZE
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT

SLICES = "concepts/services-networking/endpoint-slices/"


@claim(
    "CHAIN-ENDPOINTS-110",
    link=Link.ENDPOINTS,
    spec=SLICES + "#distribution-of-endpointslices",
    after=[Link.PODS],
    needs=["kind", "room"],
    level="full",
)
def test_many_endpoints_are_split_without_loss(many_pods: Chain, eventually: Eventually) -> None:
    """More than 100 endpoints MUST be listed each once, over several EndpointSlices of at most 100 endpoints."""
    split = endpoints.split_without_loss(CROWD, {"app": CROWD}, CONTAINER_PORT, CROWD_SIZE, at_most=100)
    eventually(many_pods.objects, split)
