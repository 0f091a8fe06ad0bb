"""The Services of a chain beside the endpoints that are listed for them, as text."""

from __future__ import annotations

from kubechain.conditions.endpoints import slices_of
from kubechain.conditions.pods import is_ready
from kubechain.kube.families import pod_addresses
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def lines(state: NamespaceState) -> list[str]:
    """Return a line for each Service, EndpointSlice and endpoint, and for each Pod that a Service selects and no slice lists."""
    return [line for service in state.all("Service") for line in _of(state, service)]


def _of(state: NamespaceState, service: KubeObject) -> list[str]:
    ports = ", ".join(_port(port) for port in service.at("spec.ports", []))
    found = [f"Service {service.name}: {service.at('spec.type')} {service.at('spec.clusterIP')}, {ports or 'no port'}"]
    listed: set[str] = set()
    slices = slices_of(state, service.name)
    for each in slices:
        of_slice: list[Json] = each.at("ports") or []
        endpoints: list[Json] = each.at("endpoints") or []
        numbers = ", ".join(f"{port.get('protocol', 'TCP')} {port.get('port')}" for port in of_slice)
        found.append(f"  EndpointSlice {each.name}: {numbers or 'no port'}")
        for endpoint in endpoints:
            listed.update(endpoint.get("addresses", []))
            found.append(f"    {_endpoint(endpoint)}")
    found += [] if slices else ["  no EndpointSlice"]
    selector: dict[str, str] = service.at("spec.selector") or {}
    pods = state.all("Pod", selector) if selector else ()
    unlisted = [pod for pod in pods if not listed.intersection(pod_addresses(pod))]
    words = {True: "ready", False: "not ready"}
    return [*found, *(f"  in no EndpointSlice: Pod {pod.name}, {words[is_ready(pod)]}" for pod in unlisted)]


def _port(port: Json) -> str:
    node_port = f", nodePort {port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('protocol', 'TCP')} {port.get('port')} -> {port.get('targetPort')}{node_port}"


def _endpoint(endpoint: Json) -> str:
    conditions: dict[str, bool] = endpoint.get("conditions") or {}
    # An absent "ready" means ready.
    states = ["ready" if conditions.get("ready", True) else "not ready"]
    states += [name for name in ("serving", "terminating") if conditions.get(name)]
    target: Json = endpoint.get("targetRef") or {}
    about = f"{target.get('kind', 'no targetRef')} {target.get('name', '')}".strip()
    return f"{', '.join(endpoint.get('addresses', []))}: {', '.join(states)}; {about}, on {endpoint.get('nodeName', 'no Node')}"
