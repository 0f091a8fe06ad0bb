"""Endpoints of a Service with more Pods than one EndpointSlice holds."""

from fixtures.claims import Link, claim
from fixtures.conditions import endpoints
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.scenarios.crowd import CROWD, CROWD_SIZE
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import CONTAINER_PORT

SLICES = "concepts/services-networking/endpoint-slices/"


@claim(
    "CHAIN-ENDPOINTS-110",
    link=Link.ENDPOINTS,
    spec=SLICES + "#distribution-of-endpointslices",
    after=[Link.PODS],
    needs=["kind", "room"],
    level="full",
)
def test_many_endpoints_are_split_without_loss(crowd: Chain, eventually: Eventually) -> None:
    """More than 100 endpoints MUST be listed each once, over several EndpointSlices of at most 100 endpoints."""
    split = endpoints.split_without_loss(CROWD, {"app": CROWD}, CONTAINER_PORT, CROWD_SIZE, at_most=100)
    eventually(crowd.objects, split, within=deadlines.CROWD)
