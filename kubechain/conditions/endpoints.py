"""Conditions on Services, Endpoints and EndpointSlices (https://kubernetes.io/docs/concepts/services-networking/)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, equal, expect, unmet
from kubechain.conditions.objects import one
from kubechain.conditions.pods import ready_pods
from kubechain.kube.objects import Json, KubeObject, NamespaceState

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, order=True)
class Address:
    """One ready address of a Service: where it is, and which Pod (by UID) it stands for."""

    ip: str
    port: int
    uid: str


def service(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Service of that name exists and is as `judge` wants it."""
    return one("Service", name, what, check)


def service_has(name: str, wanted: Mapping[str, object], port: Mapping[str, object] | None = None) -> Condition[NamespaceState]:
    """The Service has the `wanted` value at each dotted path, and each field of `port` in its one port."""

    def check(found: KubeObject) -> Result:
        ports: list[Json] = found.at("spec.ports", [])
        results = [equal(path, found.at(path), value) for path, value in wanted.items()]
        results += [equal(f"port's {k}", [each.get(k) for each in ports], [v]) for k, v in (port or {}).items()]
        return next((v for v in results if not v.met), Result(met=True))

    return service(name, f"with {', '.join(wanted)} as promised", check)


def node_port_between(name: str, first: int, last: int) -> Condition[NamespaceState]:
    """Every nodePort of the Service lies in the range, both ends included."""

    def check(found: KubeObject) -> Result:
        ports: list[Json] = found.at("spec.ports", [])
        outside = [port for port in ports if not first <= port.get("nodePort", 0) <= last]
        return expect(bool(ports) and not outside, f"ports are {ports}")

    return service(name, f"with its nodePort in {first}-{last}", check)


def ports_of(service: KubeObject) -> list[tuple[int, object, str]]:
    """Return (port, targetPort, protocol) of each port of a Service."""
    return [(port["port"], port["targetPort"], port["protocol"]) for port in service.at("spec.ports", [])]


def node_port(service: KubeObject) -> int:
    """Return the nodePort of a Service's first port, 0 if it has none."""
    ports: list[Json] = service.at("spec.ports") or [{}]
    return int(ports[0].get("nodePort", 0))


def allocated(name: str, *, cluster_ip: bool, node_port: bool) -> Condition[NamespaceState]:
    """The Service has a clusterIP, and its ports have nodePorts, or has them not."""

    def check(found: KubeObject) -> Result:
        ports: list[Json] = found.at("spec.ports") or []
        seen = (bool(found.at("spec.clusterIP")), any(port.get("nodePort") for port in ports))
        return equal("has a clusterIP, has a nodePort", seen, (cluster_ip, node_port))

    return service(name, f"with clusterIP: {cluster_ip}, nodePort: {node_port}", check)


def slices_of(state: NamespaceState, service_name: str) -> tuple[KubeObject, ...]:
    """Return the EndpointSlices of a Service."""
    return state.all("EndpointSlice", {SERVICE_NAME: service_name})


def slice_addresses(slices: Iterable[KubeObject]) -> list[Address]:
    """Return every ready address of the slices, once for each time that it is listed."""
    found: list[Address] = []
    for each in slices:
        ports: list[Json] = each.at("ports") or []
        endpoints: list[Json] = each.at("endpoints") or []
        for endpoint in endpoints:
            # An absent "ready" means unknown, which consumers take for ready (EndpointSlice API).
            if endpoint.get("conditions", {}).get("ready", True):
                found += [_address(ip, port, endpoint) for ip in endpoint["addresses"] for port in ports]
    return sorted(found)


def endpoints_addresses(endpoints: KubeObject | None) -> list[Address]:
    """Return every ready address of an Endpoints object."""
    subsets: list[Json] = (endpoints.at("subsets") or []) if endpoints else []
    return sorted(
        _address(entry["ip"], port, entry)
        for subset in subsets
        for entry in subset.get("addresses", [])
        for port in subset.get("ports", [])
    )


def pod_addresses(pods: Iterable[KubeObject], port: int) -> list[Address]:
    """Return the address at which each Pod serves."""
    return sorted(Address(str(pod.at("status.podIP")), port, pod.uid) for pod in pods)


def _address(ip: str, port: Json, entry: Json) -> Address:
    return Address(ip, int(port.get("port", 0)), str(entry.get("targetRef", {}).get("uid", "")))


def slices_list_exactly(name: str, labels: Mapping[str, str], port: int, count: int) -> Condition[NamespaceState]:
    """The Service's EndpointSlices list the `count` ready Pods with these labels, each once, and nothing else."""

    def check(state: NamespaceState) -> Result:
        return _exactly(state, slice_addresses(slices_of(state, name)), labels, port, count)

    return Condition(f"EndpointSlices of {name} list exactly the {count} ready Pods", check)


def endpoints_list_exactly(name: str, labels: Mapping[str, str], port: int, count: int) -> Condition[NamespaceState]:
    """The Service's Endpoints list the `count` ready Pods with these labels, each once, and nothing else."""

    def check(state: NamespaceState) -> Result:
        return _exactly(state, endpoints_addresses(state.one("Endpoints", name)), labels, port, count)

    return Condition(f"Endpoints of {name} list exactly the {count} ready Pods", check)


def _exactly(state: NamespaceState, listed: list[Address], labels: Mapping[str, str], port: int, count: int) -> Result:
    pods = ready_pods(state, labels)
    wanted = pod_addresses(pods, port)
    if not listed and wanted:
        return unmet(f"no ready address ({len(pods)} Pods ready)")
    result = equal("list of ready addresses", listed, wanted)
    return result if not result.met else equal("number of ready Pods", len(pods), count)


def no_address(name: str) -> Condition[NamespaceState]:
    """Neither Endpoints nor EndpointSlices of the Service, which still exists, list a ready address."""

    def check(state: NamespaceState) -> Result:
        if state.one("Service", name) is None:
            return unmet(f"no Service {name}")
        slices = slice_addresses(slices_of(state, name))
        endpoints = endpoints_addresses(state.one("Endpoints", name))
        return expect(not slices and not endpoints, f"slices list {slices}, Endpoints {endpoints}")

    return Condition(f"no ready address for {name}", check)


def no_slices(name: str) -> Condition[NamespaceState]:
    """Neither EndpointSlices nor Endpoints are left of the Service."""

    def check(state: NamespaceState) -> Result:
        left = [*slices_of(state, name), *filter(None, [state.one("Endpoints", name)])]
        return expect(not left, f"still there: {[f'{o.kind}/{o.name}' for o in left]}")

    return Condition(f"no Endpoints or EndpointSlice of {name}", check)


def slices_belong(name: str) -> Condition[NamespaceState]:
    """Each EndpointSlice is controlled by the Service, managed by the controller, and says the address type."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Service", name)
        slices = slices_of(state, name)
        if owner is None or not slices:
            return unmet(f"no Service {name}" if owner is None else "no EndpointSlice")
        for each in slices:
            seen = (
                (each.controller or {}).get("uid"),
                each.labels.get("endpointslice.kubernetes.io/managed-by"),
                each.at("addressType"),
            )
            families: list[str] = owner.at("spec.ipFamilies", [])
            if seen[:2] != (owner.uid, "endpointslice-controller.k8s.io") or seen[2] not in families:
                return unmet(f"{each.name}: controller, manager and address type are {seen}")
        return Result(met=True)

    return Condition(f"EndpointSlices controlled by Service {name}", check)


def entries(state: NamespaceState, name: str) -> list[Json]:
    """Return every endpoint of the Service's EndpointSlices, ready or not."""
    found: list[list[Json]] = [each.at("endpoints") or [] for each in slices_of(state, name)]
    return [entry for entries in found for entry in entries]


def on_their_nodes(name: str) -> Condition[NamespaceState]:
    """Each endpoint of the Service names the Node of the Pod that it stands for."""

    def check(state: NamespaceState) -> Result:
        nodes = {pod.uid: pod.at("spec.nodeName") for pod in state.all("Pod")}
        listed = {entry.get("targetRef", {}).get("uid"): entry.get("nodeName") for entry in entries(state, name)}
        wanted = {uid: nodes.get(uid, "no such Pod") for uid in listed}
        return equal("UID -> nodeName", listed, wanted) if listed else unmet("no endpoint")

    return Condition(f"endpoints of {name} on the Nodes of their Pods", check)


def agree(name: str) -> Condition[NamespaceState]:
    """Endpoints and EndpointSlices of the Service list the same ready addresses, and at least one."""

    def check(state: NamespaceState) -> Result:
        slices = slice_addresses(slices_of(state, name))
        result = equal("ready addresses of Endpoints", endpoints_addresses(state.one("Endpoints", name)), slices)
        return expect(bool(slices), "no ready address") if result.met else result

    return Condition(f"Endpoints and EndpointSlices of {name} agree", check)


def lists(name: str, *pods: KubeObject) -> Condition[NamespaceState]:
    """The ready addresses of the Service are exactly those of these Pods, by UID; none if none are given."""

    def check(state: NamespaceState) -> Result:
        listed = sorted(address.uid for address in slice_addresses(slices_of(state, name)))
        in_endpoints = sorted(address.uid for address in endpoints_addresses(state.one("Endpoints", name)))
        wanted = sorted(pod.uid for pod in pods)
        return equal("UIDs in slices and Endpoints", (listed, in_endpoints), (wanted, wanted))

    return Condition(f"{len(pods)} Pods listed for {name}", check)


def without(name: str, uid: str) -> Condition[NamespaceState]:
    """Neither Endpoints nor EndpointSlices of the Service list a ready address for the Pod with that UID."""

    def check(state: NamespaceState) -> Result:
        listed = slice_addresses(slices_of(state, name)) + endpoints_addresses(state.one("Endpoints", name))
        return expect(uid not in {address.uid for address in listed}, f"still listed: {listed}")

    return Condition(f"{uid} no longer listed for {name}", check)


def listed_unready(name: str, uid: str) -> Condition[NamespaceState]:
    """The EndpointSlices of the Service know the Pod with that UID, and no ready address is listed for it."""
    gone = without(name, uid)

    def check(state: NamespaceState) -> Result:
        known = [entry for entry in entries(state, name) if entry.get("targetRef", {}).get("uid") == uid]
        return gone(state) if known else unmet(f"{uid} is not known to {name} yet")

    return Condition(f"{uid} listed as not ready for {name}", check)


def endpoint_is(name: str, uid: str, *, ready: bool, serving: bool, terminating: bool) -> Condition[NamespaceState]:
    """The Service's endpoint for the Pod with that UID has exactly these conditions."""
    wanted = {"ready": ready, "serving": serving, "terminating": terminating}

    def check(state: NamespaceState) -> Result:
        found = [e.get("conditions") for e in entries(state, name) if e.get("targetRef", {}).get("uid") == uid]
        return equal("conditions of the endpoint", found, [wanted])

    return Condition(f"endpoint with {wanted}", check)


def split_without_loss(name: str, labels: Mapping[str, str], port: int, count: int, at_most: int) -> Condition[NamespaceState]:
    """The ready Pods are listed each once, over several slices of at most `at_most` endpoints."""
    exactly = slices_list_exactly(name, labels, port, count)

    def check(state: NamespaceState) -> Result:
        sizes = sorted(len(each.at("endpoints") or []) for each in slices_of(state, name))
        split = expect(len(sizes) > 1 and sizes[-1] <= at_most, f"slices hold {sizes} endpoints")
        result = exactly(state)
        return split if result.met else result

    return Condition(f"{count} endpoints of {name} over slices of at most {at_most}", check)
