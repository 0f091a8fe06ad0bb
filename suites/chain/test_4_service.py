"""The Service: its defaults, validation, type, ports and selector."""

import json

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import DUAL_STACK, EXEC, KUBECTL, NODE_PORTS, right
from kubechain.conditions import pods, services
from kubechain.conditions.dual_stack import has_families
from kubechain.conditions.http import all_welcome, only_from
from kubechain.kube.families import other_family
from kubechain.observe.protocols import Eventually
from kubechain.probes.kubectl import Kubectl
from kubechain.workload import actions, manifests, node_port_range, released, service_manifests, sources, unchanged
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, SERVICE_PORT, WEB, WELCOME
from kubechain.workload.urls import url

claim = ClaimDecorator("concepts/services-networking/service/")

DUAL = "concepts/services-networking/dual-stack/#dual-stack-options-on-new-services"


@claim(
    "CHAIN-SERVICE-010",
    spec="#type-nodeport",
    upstream="Service, change type, ExternalName to NodePort",
    requires=[NODE_PORTS],
    opens=True,
    premises=premises.NODE_PORT,
)
def test_cluster_ip_and_node_port_are_allocated(chain: Chain, eventually: Eventually) -> None:
    """A Service of type NodePort MUST be given a clusterIP and a nodePort."""
    eventually(chain.objects, services.allocated(WEB, cluster_ip=True, node_port=True))


@claim(
    "CHAIN-SERVICE-020",
    spec="#type-nodeport",
    requires=[NODE_PORTS, right("delete", "services")],
    premises=premises.NODE_PORT,
)
def test_node_port_lies_in_the_range(chain: Chain, eventually: Eventually) -> None:
    """A nodePort MUST be allocated from the configured range, which is 30000-32767 where nobody has configured another."""
    first, last = node_port_range.node_ports_of(chain)
    eventually(chain.objects, services.node_port_between(WEB, first, last))


@claim("CHAIN-SERVICE-030", spec="#defining-a-service", after=[Link.PODS])
def test_selector_and_ports_are_kept(chain: Chain, eventually: Eventually) -> None:
    """A Service MUST keep its selector, port and targetPort as they were written."""
    unchanged.require_written_service(chain)
    wanted = {"spec.selector": {"app": WEB}}
    ports = {"port": SERVICE_PORT, "targetPort": CONTAINER_PORT, "protocol": "TCP"}
    eventually(chain.objects, services.service_has(WEB, wanted, port=ports))


@claim("CHAIN-SERVICE-040", spec="reference/networking/virtual-ips/#traffic-policies", premises=premises.SERVICE_DEFAULTS)
def test_defaults(chain: Chain, eventually: Eventually) -> None:
    """A Service that says nothing of it MUST have no session affinity and send traffic to the whole cluster."""
    wanted = {
        "spec.sessionAffinity": "None",
        "spec.internalTrafficPolicy": "Cluster",
        # Only a Service that is reached from outside has one.
        "spec.externalTrafficPolicy": None if chain.service.at("spec.type") == service_manifests.CLUSTER_IP else "Cluster",
        "spec.ipFamilyPolicy": "SingleStack",
    }
    eventually(chain.objects, services.service_has(WEB, wanted))


@claim("CHAIN-SERVICE-050", spec="reference/kubectl/generated/kubectl_expose/", requires=[right("get", "deployments"), KUBECTL])
def test_expose_makes_this_service(chain: Chain, kubectl: Kubectl, create: Create) -> None:
    """Exposing a Deployment MUST give a Service with its labels, its Pods' selector, and the name, type and ports asked for."""
    words = ["expose", f"deployment/{WEB}", "--name", "exposed", "--type", chain.service_type, "--dry-run=client", "-o", "json"]
    ports = ["--port", str(SERVICE_PORT), "--target-port", str(CONTAINER_PORT)]
    manifest = json.loads(kubectl.run("--namespace", chain.namespace, *words, *ports))
    # What kubectl has made of the Deployment: admission may change either when it is stored.
    assert (manifest["metadata"]["name"], manifest["spec"]["type"]) == ("exposed", chain.service_type)
    assert manifest["metadata"]["labels"] == chain.deployment.labels
    assert manifest["spec"]["selector"] == chain.deployment.at("spec.selector.matchLabels")
    exposed = create(chain, manifest)
    assert services.ports_of(exposed) == [(SERVICE_PORT, CONTAINER_PORT, "TCP")]


@claim("CHAIN-SERVICE-060", spec="#nodeport-custom-port", requires=[NODE_PORTS], premises=premises.NODE_PORT)
def test_node_port_in_use_is_refused(chain: Chain) -> None:
    """A Service that asks for a nodePort which another Service has MUST be refused as invalid."""
    manifest = service_manifests.service_at(node_port=chain.node_port)
    refused = actions.refusal(lambda: chain.api.create(manifest, chain.namespace))
    assert (refused.status, refused.reason) == (422, "Invalid")
    assert "already allocated" in refused.detail


@claim("CHAIN-SERVICE-070", spec="#nodeport-custom-port", requires=[NODE_PORTS, right("delete", "services")])
def test_node_port_out_of_range_is_refused(chain: Chain) -> None:
    """A Service that asks for a nodePort outside the configured range MUST be refused as invalid."""
    ports = node_port_range.node_port_range(chain)
    assert not ports.first <= ports.outside <= ports.last


@claim("CHAIN-SERVICE-080", spec="#nodeport-custom-port", requires=[NODE_PORTS])
def test_released_node_port_can_be_allocated_again(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The nodePort of a deleted Service MUST be there for the next one that asks for it."""
    first = create(chain, service_manifests.service(name="first", kind=service_manifests.NODE_PORT))
    port = services.node_port(first)
    actions.delete(chain, first)
    wanted = service_manifests.service_at(node_port=port, name="second")
    second = actions.accepted(lambda: released.taken(chain, eventually, lambda: create(chain, wanted)))
    assert services.node_port(second) == port


@claim("CHAIN-SERVICE-090", spec="#type-clusterip", requires=[right("patch", "services")])
def test_cluster_ip_is_immutable(chain: Chain, create: Create) -> None:
    """A change of a Service's clusterIP MUST be refused as invalid."""
    # A Service of type ClusterIP may have none: nothing else is wrong with the change.
    name = create(chain, service_manifests.service(name="changing")).name
    refused = actions.refusal(lambda: actions.service(chain, {"clusterIP": "None", "clusterIPs": ["None"]}, name))
    assert (refused.status, refused.reason) == (422, "Invalid")
    assert "clusterIP" in refused.detail


@claim("CHAIN-SERVICE-100", spec="#choosing-your-own-ip-address")
def test_cluster_ip_is_unique(chain: Chain) -> None:
    """A Service that asks for a clusterIP which another Service has MUST be refused as invalid."""
    manifest = service_manifests.service_at(cluster_ip=chain.cluster_ip)
    refused = actions.refusal(lambda: chain.api.create(manifest, chain.namespace))
    assert (refused.status, refused.reason) == (422, "Invalid")
    assert "already allocated" in refused.detail


@claim(
    "CHAIN-SERVICE-110",
    spec="#publishing-services-service-types",
    upstream="Service, change type, ExternalName to ClusterIP",
    requires=[right("patch", "services"), NODE_PORTS],
)
def test_type_can_be_changed(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service MUST gain and lose its nodePort and its clusterIP as its type changes."""
    name = create(chain, service_manifests.service(name="changing")).name
    eventually(chain.objects, services.allocated(name, cluster_ip=True, node_port=False))
    actions.service(chain, {"type": "NodePort"}, name)
    eventually(chain.objects, services.allocated(name, cluster_ip=True, node_port=True))
    actions.service(chain, service_manifests.EXTERNAL, name)
    eventually(chain.objects, services.allocated(name, cluster_ip=False, node_port=False))
    actions.service(chain, {"type": "NodePort", "externalName": None}, name)
    eventually(chain.objects, services.allocated(name, cluster_ip=True, node_port=True))


@claim(
    "CHAIN-SERVICE-120",
    spec="#multi-port-services",
    upstream="Service, endpoints with multiple ports",
    after=[Link.ENDPOINTS, Link.CLUSTERIP],
    level="full",
    requires=[EXEC],
    premises=premises.REACHED,
)
def test_each_port_leads_to_its_target(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service with several ports MUST lead each to its targetPort, by the name of the container's port as by number."""
    name = create(chain, service_manifests.two_target_service("multi")).name
    create(chain, manifests.two_port_pod(name, chain.image))
    eventually(chain.objects, pods.exactly_ready({"app": name}, 1))
    targets = manifests.BOTH_PORTS.values()
    for port, target in zip(service_manifests.TWO_PORTS.values(), targets, strict=True):
        asked = f"{url(chain.address(name), port)}port"
        eventually(sources.pages_inside(chain, chain.client, asked), all_welcome(f"port {target}"))


@claim(
    "CHAIN-SERVICE-130",
    spec="#services-without-selectors",
    upstream="EndpointSlice, multiple IPs, multiple ports",
    after=[Link.ENDPOINTS, Link.CLUSTERIP],
    level="full",
    requires=[EXEC, right("create", "endpointslices"), right("delete", "endpointslices")],
    premises=premises.REACHED,
)
def test_service_without_selector_serves_given_endpoints(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service without a selector MUST send its traffic to exactly the endpoints of the EndpointSlice made for it."""
    pod = chain.pods[0]
    service = create(chain, service_manifests.without_selector(service_manifests.service(name="handmade")))
    create(chain, service_manifests.endpoint_slice(service.name, chain.pod_address(pod), port=CONTAINER_PORT))
    at = url(chain.address(service.name))
    eventually(sources.pages_inside(chain, chain.client, at), all_welcome(WELCOME))
    pages = sources.repeated(chain, chain.client, at, sources.ROUND)
    eventually(pages, only_from(pod.name))


@claim("CHAIN-SERVICE-140", spec=DUAL, requires=[DUAL_STACK])
def test_dual_stack_service_has_an_address_of_each_family(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service that requires two IP families MUST be given a clusterIP of each, first of that which Services have by default."""
    name = create(chain, service_manifests.dual_stack("both")).name
    eventually(chain.objects, has_families(name, "RequireDualStack", [chain.family, other_family(chain.family)]))


@claim("CHAIN-SERVICE-150", spec=DUAL, requires=[DUAL_STACK])
def test_single_stack_service_has_the_family_that_it_asks_for(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A SingleStack Service that asks for the second IP family MUST be given a clusterIP of that family alone."""
    second = other_family(chain.family)
    name = create(chain, service_manifests.of_family("second", second)).name
    eventually(chain.objects, has_families(name, "SingleStack", [second]))
