"""Endpoints and EndpointSlices: they list exactly the ready Pods that the selector matches."""

from fixtures.chain import Create
from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.requirements import DUAL_STACK, EXEC, SLEEP_ACTION, right
from kubechain.conditions import endpoints, pods, timeouts
from kubechain.conditions.dual_stack import slices_of_each_family
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, service_manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from kubechain.workload.two_families import cluster_ips_of_both

claim = ClaimDecorator("concepts/services-networking/endpoint-slices/")

# Longer than a controller takes that batches changes, or that takes over, and shorter than the grace period of 30 s.
ENDING_SECONDS = 25


@claim("CHAIN-ENDPOINTS-010", upstream="EndpointSlice, creation/deletion", opens=True)
def test_slices_list_exactly_the_ready_pods(chain: Chain, eventually: Eventually) -> None:
    """EndpointSlices of a Service MUST list exactly the ready Pods its selector matches, by address, port and UID."""
    condition = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, chain.replicas)
    eventually(chain.objects, condition)


@claim("CHAIN-ENDPOINTS-020", spec="concepts/services-networking/service/#endpoints", upstream="Endpoints, creation/deletion")
def test_endpoints_list_exactly_the_ready_pods(chain: Chain, eventually: Eventually) -> None:
    """Endpoints of a Service MUST list exactly the ready Pods its selector matches, by address, port and UID."""
    condition = endpoints.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, chain.replicas)
    eventually(chain.objects, condition)


@claim("CHAIN-ENDPOINTS-030", spec="#ownership", upstream="EndpointSlice, creation/deletion")
def test_slices_are_controlled_by_the_service(chain: Chain, eventually: Eventually) -> None:
    """Each EndpointSlice MUST be controlled by its Service and name endpointslice-controller.k8s.io as its manager."""
    eventually(chain.objects, endpoints.slices_belong(WEB))


@claim("CHAIN-ENDPOINTS-040", spec="#topology")
def test_endpoints_name_their_nodes(chain: Chain, eventually: Eventually) -> None:
    """Each endpoint of an EndpointSlice MUST name the Node on which its Pod runs."""
    eventually(chain.objects, endpoints.on_their_nodes(WEB))


@claim("CHAIN-ENDPOINTS-050", spec="concepts/services-networking/service/#endpoints")
def test_endpoints_and_slices_agree(chain: Chain, eventually: Eventually) -> None:
    """Endpoints and EndpointSlices of a Service MUST list the same ready addresses."""
    eventually(chain.objects, endpoints.agree(WEB))


@claim(
    "CHAIN-ENDPOINTS-060",
    spec="concepts/workloads/pods/pod-lifecycle/#container-probes",
    upstream="Service, endpoints",
    level="full",
    requires=[EXEC],
)
def test_address_leaves_and_returns_with_readiness(own_chain: Chain, eventually: Eventually) -> None:
    """The address of a Pod MUST leave Endpoints and EndpointSlices when it turns unready, and return when it is ready."""
    first, *others = own_chain.pods
    actions.unready(own_chain, first)
    eventually(own_chain.objects, endpoints.lists(WEB, *others))
    actions.ready(own_chain, first)
    eventually(own_chain.objects, endpoints.lists(WEB, first, *others))


@claim(
    "CHAIN-ENDPOINTS-070",
    spec="concepts/services-networking/service/#defining-a-service",
    level="full",
    requires=[right("patch", "services"), right("patch", "pods")],
)
def test_address_leaves_and_returns_with_its_label(own_chain: Chain, eventually: Eventually) -> None:
    """The address of a Pod MUST leave the Service when a label no longer matches, and return when it does again."""
    first, second, *_ = own_chain.pods
    actions.service(own_chain, {"selector": {"app": WEB, "served": "yes"}})
    eventually(own_chain.objects, endpoints.lists(WEB))
    for pod in (first, second):
        actions.label(own_chain, pod, {"served": "yes"})
    eventually(own_chain.objects, endpoints.lists(WEB, first, second))
    actions.label(own_chain, first, {"served": None})
    eventually(own_chain.objects, endpoints.lists(WEB, second))


@claim("CHAIN-ENDPOINTS-080", level="full", requires=[right("delete", "pods")])
def test_address_leaves_with_its_pod(own_chain: Chain, eventually: Eventually) -> None:
    """The address of a deleted Pod MUST leave, and that of the Pod made in its place MUST come."""
    deleted, other, *_ = own_chain.pods
    actions.delete(own_chain, deleted)
    eventually(own_chain.objects, endpoints.without(WEB, deleted.uid))
    replaced = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, own_chain.replicas)
    eventually(own_chain.objects, replaced, within=timeouts.PODS_READY)
    eventually(own_chain.objects, pods.deleted("Pod", frozenset([deleted.uid])))
    eventually(own_chain.objects, endpoints.without(WEB, deleted.uid, unready=True))
    assert other.uid in {pod.uid for pod in own_chain.pods}


@claim("CHAIN-ENDPOINTS-090", spec="#conditions", requires=[SLEEP_ACTION], level="full")
def test_terminating_endpoint_serves_but_is_not_ready(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod that is ready while it ends MUST be listed as serving and terminating, but not as ready."""
    create(chain, service_manifests.service(name="ending", app="ending"))
    pod = create(chain, manifests.ending_pod("ending", chain.image, ENDING_SECONDS))
    usual = endpoints.endpoint_is("ending", pod.uid, ready=True, serving=True, terminating=False)
    eventually(chain.objects, usual, within=timeouts.PODS_READY)
    actions.delete(chain, pod)
    ending = endpoints.endpoint_is("ending", pod.uid, ready=False, serving=True, terminating=True)
    eventually(chain.objects, ending)
    eventually(chain.objects, endpoints.lists("ending"), within=timeouts.DELETION)


@claim("CHAIN-ENDPOINTS-100", spec="reference/kubernetes-api/service-resources/service-v1/")
def test_unready_addresses_are_published_on_request(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With publishNotReadyAddresses a Service MUST list a Pod that is not ready, and without it not."""
    create(chain, service_manifests.headless("early", app="unready", early=True))
    create(chain, service_manifests.headless("late", app="unready"))
    pod = create(chain, manifests.unready_pod("unready", chain.client_image))
    eventually(chain.objects, endpoints.lists("early", pod), within=timeouts.PODS_READY)
    eventually(chain.objects, endpoints.listed_unready("late", pod.uid))


@claim("CHAIN-ENDPOINTS-120", spec="concepts/services-networking/dual-stack/#services", requires=[DUAL_STACK])
def test_slices_of_each_family(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service with two IP families MUST have EndpointSlices of each, with the address of every ready Pod of that family."""
    service = create(chain, service_manifests.dual_stack("both"))
    cluster_ips_of_both(service)
    eventually(chain.objects, slices_of_each_family(service.name, LABELS, CONTAINER_PORT, chain.replicas))
