"""Claims about the shop: its own Deployment behind its own Service."""

from kubechain.conditions import deployments, endpoints, pods, services
from kubechain.conditions.http import all_welcome
from kubechain.kube.client import Api
from kubechain.probes import http
from kubechain.testing import ClaimDecorator, Clock, Consistently, Eventually, Polled, Timeout, Watch

claim = ClaimDecorator("concepts/workloads/controllers/deployment/")
NAME, LABELS, REPLICAS, PORT = "shop", {"app": "shop"}, 2, 8080
ROLLED_OUT = Timeout(120, "the image may have to be pulled")


@claim("SHOP-DEPLOYMENT-010", spec="#deployment-status")
def test_deployment_is_complete(watch: Watch, eventually: Eventually) -> None:
    """The shop's Deployment MUST count all its replicas as updated, ready and available."""
    eventually(watch("shop"), deployments.counts(NAME, REPLICAS), within=ROLLED_OUT)


@claim("SHOP-PODS-010", spec="concepts/workloads/pods/pod-lifecycle/#container-restarts")
def test_pods_stay_ready(watch: Watch, eventually: Eventually, consistently: Consistently) -> None:
    """The shop's Pods MUST become ready and stay so."""
    ready = pods.exactly_ready(LABELS, REPLICAS)
    eventually(watch("shop"), ready, within=ROLLED_OUT)
    consistently(watch("shop"), ready, during=Timeout(2, "longer than two readiness probes take"))


@claim("SHOP-ENDPOINTS-010", spec="concepts/services-networking/endpoint-slices/")
def test_slices_list_the_ready_pods(watch: Watch, eventually: Eventually) -> None:
    """The EndpointSlices of the shop's Service MUST list exactly its ready Pods."""
    listed = endpoints.slices_list_exactly(NAME, LABELS, PORT, REPLICAS)
    eventually(watch("shop"), listed, within=Timeout(15, "the EndpointSlice controller batches for up to a second"))


@claim("SHOP-NODEPORT-010", spec="concepts/services-networking/service/#type-nodeport")
def test_every_node_answers(api: Api, watch: Watch, clock: Clock, eventually: Eventually) -> None:
    """The nodePort of the shop's Service MUST answer on every Node."""
    service = watch("shop").read().one("Service", NAME)
    assert service is not None
    addresses = [
        address["address"]
        for node in api.list("Node").items
        for address in node.at("status.addresses", [])
        if address["type"] == "InternalIP"
    ]
    urls = [f"http://{address}:{services.node_port(service)}/" for address in addresses]
    pages = Polled("answers of every Node", lambda: [http.fetch(url) for url in urls], clock)
    eventually(pages, all_welcome("The shop is open"), within=Timeout(20, "kube-proxy syncs once a second"))
