"""Deletion of the Deployment, with its dependents only, and of the Service."""

from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EXEC, NODE_REQUESTS
from kubechain.conditions import endpoints, pods
from kubechain.conditions.dns import no_such_name
from kubechain.observe.protocols import Eventually
from kubechain.scenarios.deletion import Deleted
from kubechain.workload import refusals, sources
from kubechain.workload.manifests import LABELS, WEB
from kubechain.workload.node_sample import noted

claim = ClaimDecorator("concepts/architecture/garbage-collection/")


@claim(
    "CHAIN-DELETION-010",
    spec="#cascading-deletion",
    upstream="Garbage Collector, delete deployment,  propagation policy background",
    opens=True,
)
def test_replica_set_goes_with_its_deployment(without_deployment: Deleted, eventually: Eventually) -> None:
    """Deleting a Deployment in the background MUST delete the ReplicaSet that it controls."""
    eventually(without_deployment.chain.objects, pods.deleted("ReplicaSet", without_deployment.replica_sets))


@claim(
    "CHAIN-DELETION-020",
    spec="#cascading-deletion",
    upstream="Garbage Collector, delete deployment,  propagation policy background",
)
def test_pods_go_with_their_deployment(without_deployment: Deleted, eventually: Eventually) -> None:
    """Deleting a Deployment in the background MUST delete the Pods of its ReplicaSet."""
    eventually(without_deployment.chain.objects, pods.deleted("Pod", without_deployment.pod_uids))
    # Nor may the ReplicaSet have made others in their place before it was deleted.
    eventually(without_deployment.chain.objects, pods.count(LABELS, 0))


@claim("CHAIN-DELETION-030", spec="concepts/services-networking/endpoint-slices/")
def test_endpoints_empty_with_the_pods(without_deployment: Deleted, eventually: Eventually) -> None:
    """A Service whose Pods were deleted MUST stay, with no address in its Endpoints and EndpointSlices."""
    eventually(without_deployment.chain.objects, pods.deleted("Pod", without_deployment.pod_uids))
    eventually(without_deployment.chain.objects, endpoints.no_address(WEB))


@claim("CHAIN-DELETION-040", spec="concepts/overview/working-with-objects/owners-dependents/")
def test_bystander_is_untouched(without_deployment: Deleted, eventually: Eventually) -> None:
    """A Pod that the Deployment does not own MUST be untouched when the Deployment's own Pods are gone."""
    objects = without_deployment.chain.objects
    eventually(objects, pods.deleted("Pod", without_deployment.pod_uids))
    eventually(objects, pods.same_and_ready(without_deployment.bystander))


@claim(
    "CHAIN-DELETION-050",
    spec="concepts/services-networking/service/#type-nodeport",
    requires=[NODE_REQUESTS],
    after=[Link.NODEPORT],
)
def test_node_port_closes_with_its_service(without_service: Deleted, eventually: Eventually) -> None:
    """The nodePort of a deleted Service MUST be closed on every Node, though the Pods still run."""
    without_service.require_served()
    chain, urls = without_service.chain, without_service.node_urls
    pages = sources.pages_at(chain, urls)
    without_service.refused(eventually(pages, noted(refusals.closed(chain), without_service.nodes_note)))


@claim(
    "CHAIN-DELETION-060",
    spec="concepts/services-networking/dns-pod-service/#services",
    requires=[EXEC],
    after=[Link.DNS],
    premises=premises.CLUSTER_DNS,
)
def test_name_goes_with_its_service(without_service: Deleted, eventually: Eventually) -> None:
    """The name of a deleted Service MUST be answered with NXDOMAIN."""
    without_service.require_named()
    chain, client = without_service.chain, without_service.chain.client
    eventually(sources.answers(chain, client, chain.full_name(WEB, client)), no_such_name())


@claim(
    "CHAIN-DELETION-070",
    spec="concepts/services-networking/endpoint-slices/#ownership",
    upstream="EndpointSlice, creation/deletion",
)
def test_endpoints_go_with_their_service(without_service: Deleted, eventually: Eventually) -> None:
    """Endpoints and EndpointSlices of a deleted Service MUST be deleted, and its Pods stay as they were."""
    objects = without_service.chain.objects
    eventually(objects, endpoints.no_slices(WEB))
    eventually(objects, pods.same_and_ready(*without_service.pods))
