"""Endpoints of a Service with more Pods than one EndpointSlice can list."""

from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import OWN_CLUSTER, ROOM
from kubechain.conditions import endpoints
from kubechain.observe.protocols import Eventually
from kubechain.scenarios.many_pods import COUNT, MANY
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT

claim = ClaimDecorator("concepts/services-networking/endpoint-slices/", level="full")


@claim("CHAIN-ENDPOINTS-110", spec="#distribution-of-endpointslices", after=[Link.PODS], requires=[OWN_CLUSTER, ROOM])
def test_many_endpoints_are_split_without_loss(many_pods: Chain, eventually: Eventually) -> None:
    """More than 100 endpoints MUST be listed each once, over several EndpointSlices of at most 100 endpoints."""
    split = endpoints.split_without_loss(MANY, {"app": MANY}, CONTAINER_PORT, COUNT, at_most=100)
    eventually(many_pods.objects, split)
