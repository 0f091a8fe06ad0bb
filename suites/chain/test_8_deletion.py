"""Deletion: of the Deployment, which takes what it owns and nothing else, and of the Service."""

from fixtures.claims import Link, claim
from fixtures.conditions import endpoints, pods
from fixtures.conditions.answers import all_refused
from fixtures.conditions.names import no_such_name
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.scenarios.deletion import Deleted
from fixtures.workload.manifests import WEB

CASCADE = "concepts/architecture/garbage-collection/#cascading-deletion"
SERVICE = "concepts/services-networking/service/"


@claim(
    "CHAIN-DELETION-010",
    link=Link.DELETION,
    spec=CASCADE,
    upstream="Garbage Collector, delete deployment,  propagation policy background",
)
def test_replica_set_goes_with_its_deployment(undeployed: Deleted, eventually: Eventually) -> None:
    """Deleting a Deployment in the background MUST delete the ReplicaSet that it controls."""
    eventually(undeployed.chain.objects, pods.gone("ReplicaSet", undeployed.replica_sets), within=deadlines.DELETION)


@claim(
    "CHAIN-DELETION-020",
    link=Link.DELETION,
    spec=CASCADE,
    upstream="Garbage Collector, delete deployment,  propagation policy background",
)
def test_pods_go_with_their_deployment(undeployed: Deleted, eventually: Eventually) -> None:
    """Deleting a Deployment in the background MUST delete the Pods of its ReplicaSet."""
    eventually(undeployed.chain.objects, pods.gone("Pod", undeployed.pod_uids), within=deadlines.DELETION)


@claim("CHAIN-DELETION-030", link=Link.DELETION, spec="concepts/services-networking/endpoint-slices/")
def test_endpoints_empty_with_the_pods(undeployed: Deleted, eventually: Eventually) -> None:
    """A Service whose Pods were deleted MUST stay, with no ready address in its Endpoints and EndpointSlices."""
    eventually(undeployed.chain.objects, endpoints.no_address(WEB), within=deadlines.DELETION)


@claim("CHAIN-DELETION-040", link=Link.DELETION, spec="concepts/overview/working-with-objects/owners-dependents/")
def test_bystander_is_untouched(undeployed: Deleted, eventually: Eventually) -> None:
    """A Pod that the Deployment does not own MUST be untouched when the Deployment's own Pods are gone."""
    objects = undeployed.chain.objects
    eventually(objects, pods.gone("Pod", undeployed.pod_uids), within=deadlines.DELETION)
    eventually(objects, pods.same_and_ready(undeployed.bystander), within=deadlines.CONTROLLER)


@claim("CHAIN-DELETION-050", link=Link.DELETION, spec=SERVICE + "#type-nodeport")
def test_node_port_closes_with_its_service(unserved: Deleted, eventually: Eventually) -> None:
    """The nodePort of a deleted Service MUST refuse connections on every Node, though the Pods still run."""
    pages = unserved.chain.pages(*unserved.node_urls)
    eventually(pages, all_refused(), within=deadlines.DATA_PLANE)


@claim("CHAIN-DELETION-060", link=Link.DELETION, spec="concepts/services-networking/dns-pod-service/#services")
def test_name_goes_with_its_service(unserved: Deleted, eventually: Eventually) -> None:
    """The name of a deleted Service MUST be answered with NXDOMAIN."""
    chain, client = unserved.chain, unserved.chain.client
    eventually(chain.answers(client, chain.full_name(WEB, client)), no_such_name(), within=deadlines.DNS)


@claim(
    "CHAIN-DELETION-070",
    link=Link.DELETION,
    spec="concepts/services-networking/endpoint-slices/#ownership",
    upstream="EndpointSlice, creation/deletion",
)
def test_endpoints_go_with_their_service(unserved: Deleted, eventually: Eventually) -> None:
    """Endpoints and EndpointSlices of a deleted Service MUST be deleted, and its Pods stay as they were."""
    objects = unserved.chain.objects
    eventually(objects, endpoints.no_slices(WEB), within=deadlines.DELETION)
    eventually(objects, pods.same_and_ready(*unserved.pods), within=deadlines.CONTROLLER)
