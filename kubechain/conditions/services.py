"""Conditions on Services (https://kubernetes.io/docs/concepts/services-networking/service/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from kubechain.conditions.condition import Condition, Result, expect, fields
from kubechain.conditions.objects import one
from kubechain.conditions.text import field, some, text
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def service(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Service exists and passes `check`."""
    return one("Service", name, what, check)


def service_has(name: str, wanted: Mapping[str, object], port: Mapping[str, object] | None = None) -> Condition[NamespaceState]:
    """The Service has the `wanted` values, dotted path -> value, and exactly one port, with these fields if `port` is given."""
    of_ports = {f"spec.ports.{key}": [value] for key, value in (port or {}).items()}
    everything = {**wanted, **of_ports}

    def check(resource: KubeObject) -> Result:
        ports: list[Json] = resource.at("spec.ports", [])
        port_values = {key: [entry.get(key.rpartition(".")[2]) for entry in ports] for key in of_ports}
        result = fields({path: resource.at(path) for path in wanted} | port_values, everything)
        # Nobody changes a Service that is stored.
        return replace(result, hopeless=not result.met)

    return service(name, f"with {some([field(*entry) for entry in everything.items()])}", check)


def node_port_between(name: str, first: int, last: int) -> Condition[NamespaceState]:
    """Every port of the Service has a nodePort from `first` to `last`, both included."""

    def check(resource: KubeObject) -> Result:
        ports: list[Json] = resource.at("spec.ports", [])
        outside = [port for port in ports if not first <= port.get("nodePort", 0) <= last]
        return expect(bool(ports) and not outside, text([port.get("nodePort") for port in ports]))

    return service(name, f"with nodePorts in {first}-{last}", check)


def allocated_by_type(name: str) -> Condition[NamespaceState]:
    """The Service has a clusterIP, and a nodePort if its type is NodePort."""

    def check(resource: KubeObject) -> Result:
        return allocated(name, cluster_ip=True, node_port=resource.at("spec.type") == "NodePort")(NamespaceState((resource,)))

    return service(name, "with a clusterIP and, if its type is NodePort, a nodePort", check)


def ports_of(service: KubeObject) -> list[tuple[int, object, str]]:
    """Return (port, targetPort, protocol) of each port of a Service."""
    return [(port["port"], port["targetPort"], port["protocol"]) for port in service.at("spec.ports", [])]


def node_port(service: KubeObject) -> int:
    """Return the nodePort of a Service's first port, 0 if it has none."""
    ports: list[Json] = service.at("spec.ports") or [{}]
    return int(ports[0].get("nodePort", 0))


def allocated(name: str, *, cluster_ip: bool, node_port: bool) -> Condition[NamespaceState]:
    """The Service has a clusterIP only if `cluster_ip` is true, and nodePorts only if `node_port` is true."""

    def check(resource: KubeObject) -> Result:
        ports: list[Json] = resource.at("spec.ports") or []
        address, node_ports = resource.at("spec.clusterIP"), [port["nodePort"] for port in ports if port.get("nodePort")]
        # That of a headless Service is no address.
        has_address = address not in (None, "", "None")
        as_wanted = (has_address, bool(node_ports)) == (cluster_ip, node_port)
        return expect(as_wanted, f"clusterIP {address or 'none'}, nodePort {text(node_ports)}")

    return service(name, f"with {'a' if cluster_ip else 'no'} clusterIP and {'a' if node_port else 'no'} nodePort", check)


def health_check_port(name: str, *, allocated: bool) -> Condition[NamespaceState]:
    """The Service has a healthCheckNodePort only if `allocated` is true."""

    def check(resource: KubeObject) -> Result:
        port = resource.at("spec.healthCheckNodePort") or None
        return expect(bool(port) == allocated, field("healthCheckNodePort", port))

    return service(name, f"with {'a' if allocated else 'no'} healthCheckNodePort", check)


def ingress_is(name: str, *addresses: str) -> Condition[NamespaceState]:
    """The Service has exactly these addresses of a load balancer in its status."""

    def check(resource: KubeObject) -> Result:
        ingress: list[Json] = resource.at("status.loadBalancer.ingress") or []
        return expect([each.get("ip") for each in ingress] == [*addresses], some(each.get("ip") for each in ingress))

    return service(name, f"with {some(addresses)} in status.loadBalancer.ingress", check)


def balanced(name: str) -> Condition[NamespaceState]:
    """The Service has the address of a load balancer in its status."""

    def check(resource: KubeObject) -> Result:
        ingress: list[Json] = resource.at("status.loadBalancer.ingress", [])
        return expect(any(each.get("ip") or each.get("hostname") for each in ingress), "no address of a load balancer")

    return service(name, "with the address of a load balancer", check)
