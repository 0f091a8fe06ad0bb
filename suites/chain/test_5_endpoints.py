"""Endpoints and EndpointSlices: exactly the ready Pods that the selector matches."""

from fixtures.claims import Link, claim
from fixtures.conditions import endpoints
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import CONTAINER_PORT, LABELS, REPLICAS, WEB

SLICES = "concepts/services-networking/endpoint-slices/"


@claim(
    "CHAIN-ENDPOINTS-010",
    link=Link.ENDPOINTS,
    spec=SLICES,
    upstream="EndpointSlice API",
    opens=True,
)
def test_slices_list_exactly_the_ready_pods(chain: Chain, eventually: Eventually) -> None:
    """EndpointSlices of a Service MUST list exactly the ready Pods its selector matches, by address, port and UID."""
    condition = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, REPLICAS)
    eventually(chain.objects, condition, within=deadlines.ENDPOINTS)


@claim(
    "CHAIN-ENDPOINTS-020",
    link=Link.ENDPOINTS,
    spec="concepts/services-networking/service/#endpoints",
    upstream="Endpoint lifecycle",
)
def test_endpoints_list_exactly_the_ready_pods(chain: Chain, eventually: Eventually) -> None:
    """Endpoints of a Service MUST list exactly the ready Pods its selector matches, by address, port and UID."""
    condition = endpoints.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, REPLICAS)
    eventually(chain.objects, condition, within=deadlines.ENDPOINTS)


@claim("CHAIN-ENDPOINTS-030", link=Link.ENDPOINTS, spec=SLICES + "#ownership", upstream="EndpointSlice API")
def test_slices_are_controlled_by_the_service(chain: Chain, eventually: Eventually) -> None:
    """Each EndpointSlice MUST be controlled by its Service and name endpointslice-controller.k8s.io as its manager."""
    eventually(chain.objects, endpoints.slices_belong(WEB), within=deadlines.ENDPOINTS)
