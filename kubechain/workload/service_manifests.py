"""Manifests of Services and of EndpointSlices without a controller (https://kubernetes.io/docs/concepts/services-networking/service/)."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.kube.families import family_of
from kubechain.kube.objects import Json
from kubechain.workload.manifests import CONTAINER_PORT, SERVICE_PORT, WEB

# Name -> port of a Service with two ports.
TWO_PORTS = {"by-number": 81, "by-name": 82}
# The types of Services with a clusterIP. Where nothing asks a nodePort, there is none: some clusters forbid them.
CLUSTER_IP, NODE_PORT, LOAD_BALANCER = "ClusterIP", "NodePort", "LoadBalancer"
# https://kubernetes.io/docs/concepts/services-networking/service/#load-balancer-class
NO_CLASS = "kubechain.example/none"
# A name reserved for documentation (RFC 2606); no request is sent to it.
EXTERNAL = {"type": "ExternalName", "externalName": "nginx.example.org"}


def service(*, name: str = WEB, app: str = WEB, kind: str = CLUSTER_IP) -> Json:
    """Return a Service of type `kind` from SERVICE_PORT to CONTAINER_PORT of the Pods with the label app=<app>."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "type": kind,
            "selector": {"app": app},
            "ports": [{"port": SERVICE_PORT, "targetPort": CONTAINER_PORT}],
        },
    }


def service_at(*, name: str = "another", node_port: int = 0, cluster_ip: str = "") -> Json:
    """Return a Service with a fixed nodePort or clusterIP and the ports of `service`."""
    manifest = service(name=name, kind=NODE_PORT if node_port else CLUSTER_IP)
    manifest["spec"] |= {"clusterIP": cluster_ip} if cluster_ip else {}
    manifest["spec"]["ports"][0] |= {"nodePort": node_port} if node_port else {}
    return manifest


def with_policy(name: str, *, app: str = WEB, kind: str = CLUSTER_IP, **fields: object) -> Json:
    """Return a Service for the Pods with the label app=<app> with more fields in its spec, such as sessionAffinity."""
    manifest = service(name=name, app=app, kind=kind)
    manifest["spec"] |= fields
    return manifest


def dual_stack(name: str, *, kind: str = CLUSTER_IP) -> Json:
    """Return a Service for the nginx Pods with a clusterIP of each IP family."""
    return with_policy(name, kind=kind, ipFamilyPolicy="RequireDualStack")


def of_family(name: str, family: str) -> Json:
    """Return a Service for the nginx Pods with a clusterIP of one IP family."""
    return with_policy(name, ipFamilyPolicy="SingleStack", ipFamilies=[family])


def udp_service(name: str) -> Json:
    """Return a NodePort Service with a UDP port for the Pods with the label app=<name>."""
    manifest = service(name=name, app=name, kind=NODE_PORT)
    manifest["spec"]["ports"] = [{"port": 7, "targetPort": CONTAINER_PORT, "protocol": "UDP"}]
    return manifest


def two_port_service(name: str) -> Json:
    """Return a Service with TWO_PORTS; one has the number of the container port as targetPort, one its name."""
    manifest = service(name=name)
    targets = zip(TWO_PORTS.items(), (CONTAINER_PORT, "http"), strict=True)
    manifest["spec"]["ports"] = [{"name": key, "port": port, "targetPort": target} for (key, port), target in targets]
    return manifest


def two_target_service(name: str) -> Json:
    """Return a Service with TWO_PORTS for Pods of `manifests.two_port_pod`: each leads to another port, by number and by name."""
    manifest = service(name=name, app=name)
    targets = zip(TWO_PORTS.items(), (CONTAINER_PORT, "other"), strict=True)
    manifest["spec"]["ports"] = [{"name": key, "port": port, "targetPort": target} for (key, port), target in targets]
    return manifest


def headless(name: str, *, app: str = WEB, early: bool = False) -> Json:
    """Return a headless Service with a port named "http"; `early` sets publishNotReadyAddresses."""
    manifest = service(name=name, app=app)
    manifest["spec"] |= {"clusterIP": "None", "publishNotReadyAddresses": early}
    manifest["spec"]["ports"][0] |= {"name": "http", "port": CONTAINER_PORT}
    return manifest


def external(name: str) -> Json:
    """Return a Service of type ExternalName."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": dict(EXTERNAL)}


def named_ports(name: str, ports: Mapping[str, int]) -> Json:
    """Return a Service for the Pods with the label app=<name>; each of `ports`, name -> port, leads to the port of that name."""
    manifest = service(name=name, app=name)
    manifest["spec"]["ports"] = [{"name": key, "port": port, "targetPort": key} for key, port in ports.items()]
    return manifest


def load_balancer(name: str, **fields: object) -> Json:
    """Return a Service of type LoadBalancer for the nginx Pods, of a class that no controller serves: nothing is made for it."""
    with_class = {"loadBalancerClass": NO_CLASS, "allocateLoadBalancerNodePorts": False}
    return with_policy(name, app=WEB, kind=LOAD_BALANCER, **with_class, **fields)


def serving(kind: str) -> Json:
    """Return the changes of the spec by which a Service of type ExternalName becomes one for the nginx Pods."""
    return {**service(kind=kind)["spec"], "externalName": None}


def without_selector(manifest: Json) -> Json:
    """Return the Service without a selector, for EndpointSlices without a controller."""
    return {**manifest, "spec": {key: value for key, value in manifest["spec"].items() if key != "selector"}}


def endpoint_slice(service_name: str, *addresses: str, port: int, port_name: str = "") -> Json:
    """Return an EndpointSlice with a ready endpoint at each address, for the port of this name of a Service."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "-".join(filter(None, [service_name, port_name, "1"])),
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": family_of(addresses[0]),
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }
