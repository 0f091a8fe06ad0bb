"""What every cluster has: Nodes, system namespaces, and the Services of the API server and of the DNS."""

from __future__ import annotations

from kubechain.kube.objects import Json
from tests.hostile.addresses import NODES
from tests.hostile.core import VERSION, Core

SYSTEM = ("kube-system", "default")


def namespace(name: str, **labels: str) -> Json:
    """Return a namespace as it is stored."""
    metadata = {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}
    body: Json = {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}
    return {**body, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def furnish(core: Core) -> None:
    """Store what every cluster has: Nodes, system namespaces, the API server's Service and the DNS's."""
    store, addresses = core.store, core.addresses
    for name in SYSTEM:
        store.create(namespace(name))
    for number in range(1, NODES + 1):
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
        status = {
            "addresses": [{"type": "InternalIP", "address": each} for each in addresses.each(addresses.node(number))],
            "conditions": [ready],
            "allocatable": {"pods": "30"},
            "nodeInfo": {"kubeletVersion": VERSION},
        }
        labels = {"kubernetes.io/hostname": core.node_name(number), "kubernetes.io/os": "linux"}
        ranges = addresses.pod_ranges(number)
        spec = {"podCIDR": ranges[0], "podCIDRs": ranges}
        body: Json = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": core.node_name(number), "labels": labels}}
        store.create({**body, "spec": spec, "status": status})
    for space, name, address, port in (
        ("default", "kubernetes", addresses.kubernetes, 443),
        ("kube-system", "kube-dns", addresses.dns, 53),
    ):
        ports = [{"name": name, "port": port, "protocol": "TCP", "targetPort": port}]
        spec = {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports}
        store.create({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name, "namespace": space}, "spec": spec})
    endpoint = {"addresses": [addresses.dns], "conditions": {"ready": True, "serving": True, "terminating": False}}
    labels = {"kubernetes.io/service-name": "kube-dns"}
    metadata = {"name": "kube-dns-1", "namespace": "kube-system", "labels": labels}
    body = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata}
    store.create(
        {
            **body,
            "addressType": addresses.families[0],
            "endpoints": [endpoint],
            "ports": [{"name": "dns-tcp", "port": 53, "protocol": "TCP"}],
        }
    )
