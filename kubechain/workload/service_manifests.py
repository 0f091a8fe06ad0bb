"""Manifests of Services and of EndpointSlices made by hand (https://kubernetes.io/docs/concepts/services-networking/service/)."""

from __future__ import annotations

from kubechain.kube.objects import Json
from kubechain.workload.manifests import CONTAINER_PORT, SERVICE_PORT, WEB

# Name -> port of a Service with two.
TWO_PORTS = {"by-number": 81, "by-name": 82}
# A name that is reserved for documentation (RFC 2606): it is looked at, never asked for.
EXTERNAL = {"type": "ExternalName", "externalName": "nginx.example.org"}


def service(*, name: str = WEB, app: str = WEB, kind: str = "NodePort") -> Json:
    """Return a Service of that type, port SERVICE_PORT to the port named "http" of the Pods labelled app=<app>."""
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
    """Return a Service that asks for a certain nodePort or clusterIP; the ports are those of `service`."""
    made = service(name=name)
    made["spec"] |= {"clusterIP": cluster_ip} if cluster_ip else {}
    made["spec"]["ports"][0] |= {"nodePort": node_port} if node_port else {}
    return made


def with_policy(name: str, **fields: object) -> Json:
    """Return a NodePort Service of the nginx Pods with these fields in its spec, such as sessionAffinity."""
    made = service(name=name)
    made["spec"] |= fields
    return made


def udp_service(name: str) -> Json:
    """Return a NodePort Service for UDP of the Pods labelled app=<name>."""
    made = service(name=name, app=name)
    made["spec"]["ports"] = [{"port": 7, "targetPort": CONTAINER_PORT, "protocol": "UDP"}]
    return made


def two_port_service(name: str) -> Json:
    """Return a Service with TWO_PORTS, one to the containers' port by number, one by its name."""
    made = service(name=name, kind="ClusterIP")
    targets = zip(TWO_PORTS.items(), (CONTAINER_PORT, "http"), strict=True)
    made["spec"]["ports"] = [{"name": key, "port": port, "targetPort": target} for (key, port), target in targets]
    return made


def headless(name: str, *, app: str = WEB, early: bool = False) -> Json:
    """Return a headless Service with a port named "http"; `early` publishes addresses that are not ready."""
    made = service(name=name, app=app, kind="ClusterIP")
    made["spec"] |= {"clusterIP": "None", "publishNotReadyAddresses": early}
    made["spec"]["ports"][0] |= {"name": "http", "port": CONTAINER_PORT}
    return made


def external(name: str) -> Json:
    """Return a Service of type ExternalName."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": dict(EXTERNAL)}


def without_selector(name: str) -> Json:
    """Return a Service that selects nothing, for endpoints made by hand."""
    made = service(name=name, kind="ClusterIP")
    del made["spec"]["selector"]
    return made


def endpoint_slice(service_name: str, address: str, port: int) -> Json:
    """Return an EndpointSlice with one ready endpoint for a Service (its first, unnamed port)."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service_name}-1", "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv6" if ":" in address else "IPv4",
        "ports": [{"port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
