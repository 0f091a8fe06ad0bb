"""Conditions on Endpoints and EndpointSlices (https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, equal, expect, fields, unmet
from kubechain.conditions.pods import ready_pods
from kubechain.conditions.text import counted, some, text
from kubechain.conditions.timeouts import DELETION, ENDPOINTS, MANY_PODS
from kubechain.kube.families import IPV4, families_of, host_of, pod_address
from kubechain.kube.objects import Json, KubeObject, NamespaceState

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


@dataclass(frozen=True, order=True)
class Address:
    """A ready address of a Service, with the UID of its Pod ("" without a targetRef)."""

    ip: str
    port: int
    uid: str

    def __str__(self) -> str:
        return f"{host_of(self.ip)}:{self.port}"


def slices_of(state: NamespaceState, service_name: str) -> tuple[KubeObject, ...]:
    """Return the EndpointSlices of a Service."""
    return state.all("EndpointSlice", {SERVICE_NAME: service_name})


def ready_endpoints(endpoint_slice: KubeObject) -> list[Json]:
    """Return the ready endpoints of an EndpointSlice."""
    endpoints: list[Json] = endpoint_slice.at("endpoints") or []
    # An absent "ready" means unknown, which consumers must interpret as ready (EndpointSlice API).
    return [endpoint for endpoint in endpoints if endpoint.get("conditions", {}).get("ready", True)]


def slice_addresses(slices: Iterable[KubeObject], *, unready: bool = False) -> list[Address]:
    """Return every ready address of the slices, and with `unready` every other one too, sorted, with duplicates."""
    addresses: list[Address] = []
    for endpoint_slice in slices:
        ports: list[Json] = endpoint_slice.at("ports") or []
        listed: list[Json] = endpoint_slice.at("endpoints") or [] if unready else ready_endpoints(endpoint_slice)
        for endpoint in listed:
            addresses += [_address(ip, port, endpoint) for ip in endpoint["addresses"] for port in ports]
    return sorted(addresses)


def endpoints_addresses(endpoints: KubeObject | None, *, unready: bool = False) -> list[Address]:
    """Return every ready address of an Endpoints object, and with `unready` every other one too, sorted, with duplicates."""
    subsets: list[Json] = (endpoints.at("subsets") or []) if endpoints else []
    fields = ("addresses", "notReadyAddresses") if unready else ("addresses",)
    return sorted(
        _address(entry["ip"], port, entry)
        for subset in subsets
        for field in fields
        for entry in subset.get(field, [])
        for port in subset.get("ports", [])
    )


def families(state: NamespaceState, name: str) -> list[str]:
    """Return the families of a Service, IPv4 if it does not exist."""
    service = state.one("Service", name)
    return families_of(service) if service else [IPV4]


def of_family(slices: Iterable[KubeObject], family: str) -> list[KubeObject]:
    """Return the EndpointSlices with addresses of a family."""
    return [endpoint_slice for endpoint_slice in slices if endpoint_slice.at("addressType") == family]


def first_slices(state: NamespaceState, name: str) -> list[KubeObject]:
    """Return the EndpointSlices of a Service with addresses of its first family, which are also those of its Endpoints."""
    return of_family(slices_of(state, name), families(state, name)[0])


def pod_addresses(pods: Iterable[KubeObject], port: int, wanted: Iterable[str]) -> list[Address]:
    """Return the Pods' addresses of the `wanted` families at `port`, sorted."""
    found = [(pod_address(pod, family), pod.uid) for family in wanted for pod in pods]
    return sorted(Address(ip, port, uid) for ip, uid in found if ip)


def _address(ip: str, port: Json, entry: Json) -> Address:
    return Address(ip, int(port.get("port", 0)), str(entry.get("targetRef", {}).get("uid", "")))


def slices_list_exactly(name: str, labels: Mapping[str, str], port: int, count: int) -> Condition[NamespaceState]:
    """The Service's EndpointSlices list the `count` ready Pods with these labels, each once, and nothing else."""

    def check(state: NamespaceState) -> Result:
        listed = slice_addresses(slices_of(state, name))
        return exactly(state, listed, labels, port, count, families(state, name))

    return Condition(f"EndpointSlices of {name} to list exactly the {count} ready Pods", check, ENDPOINTS)


def endpoints_list_exactly(name: str, labels: Mapping[str, str], port: int, count: int) -> Condition[NamespaceState]:
    """The Service's Endpoints list the `count` ready Pods with these labels, each once, and nothing else."""

    def check(state: NamespaceState) -> Result:
        listed = endpoints_addresses(state.one("Endpoints", name))
        return exactly(state, listed, labels, port, count, families(state, name)[:1])

    return Condition(f"Endpoints of {name} to list exactly the {count} ready Pods", check, ENDPOINTS)


def exactly(
    state: NamespaceState, listed: list[Address], labels: Mapping[str, str], port: int, count: int, of: list[str]
) -> Result:
    """Return whether `listed` are the addresses, of these families, of the `count` ready Pods with these labels."""
    pods = ready_pods(state, labels)
    wanted = pod_addresses(pods, port, of)
    if not listed and wanted:
        return unmet(f"no ready address ({counted(len(pods), 'Pod')} ready)")
    if listed != wanted:
        return unmet(f"{counted(len(listed), 'address')} ({_difference(listed, wanted)})")
    unlisted = [pod.name for pod in pods if pod.uid not in {address.uid for address in listed}]
    if unlisted:
        return unmet(f"no {' or '.join(of)} address of {some(unlisted)}")
    return expect(len(pods) == count, f"{counted(len(pods), 'ready Pod')}, all listed")


def _difference(listed: list[Address], wanted: list[Address]) -> str:
    """Return the missing and the surplus addresses for a message; an address in both gets its UIDs."""
    missing, surplus = Counter(wanted) - Counter(listed), Counter(listed) - Counter(wanted)
    in_both = {str(address) for address in missing} & {str(address) for address in surplus}

    def shown(addresses: Counter[Address]) -> str:
        return some(
            f"{address} for UID {address.uid or 'none'}" if str(address) in in_both else str(address)
            for address in sorted(addresses.elements())
        )

    parts = [f"missing {shown(missing)}" if missing else "", f"surplus {shown(surplus)}" if surplus else ""]
    return "; ".join(filter(None, parts))


def no_address(name: str) -> Condition[NamespaceState]:
    """The Service exists, and neither its Endpoints nor its EndpointSlices list an address, ready or not."""

    def check(state: NamespaceState) -> Result:
        if state.one("Service", name) is None:
            return unmet(f"no Service {name}", f"Service {name} without an address")
        slices = slice_addresses(slices_of(state, name), unready=True)
        endpoints = endpoints_addresses(state.one("Endpoints", name), unready=True)
        return expect(not slices and not endpoints, _both(slices, endpoints))

    return Condition(f"no address for {name}", check, ENDPOINTS)


def _both(slices: Iterable[object], endpoints: Iterable[object]) -> str:
    return f"{some(slices)} in EndpointSlices, {some(endpoints)} in Endpoints"


def no_slices(name: str) -> Condition[NamespaceState]:
    """The Service has neither Endpoints nor an EndpointSlice; it may be deleted itself."""

    def check(state: NamespaceState) -> Result:
        left = [*slices_of(state, name), *filter(None, [state.one("Endpoints", name)])]
        return expect(not left, f"{some(f'{o.kind} {o.name}' for o in left)} still there")

    return Condition(f"no Endpoints or EndpointSlice of {name}", check, DELETION)


def slices_belong(name: str) -> Condition[NamespaceState]:
    """Each EndpointSlice has the Service as its controller, managed-by endpointslice-controller.k8s.io and an addressType."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Service", name)
        slices = slices_of(state, name)
        if owner is None or not slices:
            return unmet(f"no Service {name}" if owner is None else "no EndpointSlice")
        of_service: list[str] = owner.at("spec.ipFamilies", [])
        wanted = {"controller UID": owner.uid, MANAGED_BY: "endpointslice-controller.k8s.io"}
        for endpoint_slice in slices:
            actual = {
                "controller UID": (endpoint_slice.controller or {}).get("uid"),
                MANAGED_BY: endpoint_slice.labels.get(MANAGED_BY),
            }
            family = endpoint_slice.at("addressType")
            known = expect(family in of_service, text(family), f"addressType among {text(of_service)}")
            wrong = next((result for result in (fields(actual, wanted), known) if not result.met), None)
            if wrong:
                return wrong.of(f"EndpointSlice {endpoint_slice.name} with")
        return Result(met=True)

    return Condition(f"EndpointSlices controlled by Service {name}", check, ENDPOINTS)


def entries(slices: Iterable[KubeObject]) -> list[Json]:
    """Return every endpoint of EndpointSlices, ready or not."""
    per_slice: list[list[Json]] = [endpoint_slice.at("endpoints") or [] for endpoint_slice in slices]
    return [entry for slice_entries in per_slice for entry in slice_entries]


def on_their_nodes(name: str) -> Condition[NamespaceState]:
    """Each endpoint of the Service has the nodeName of its Pod."""

    def check(state: NamespaceState) -> Result:
        pods = {pod.uid: pod for pod in state.all("Pod")}
        # A Pod may have several: one of each family, and while slices are rewritten.
        listed = [(str(each.get("targetRef", {}).get("uid")), each.get("nodeName")) for each in entries(slices_of(state, name))]
        for uid, node in listed:
            if uid not in pods:
                return unmet(f"one for UID {uid}", f"endpoints of {name} for Pods alone")
            result = equal("nodeName", node, pods[uid].at("spec.nodeName"))
            if not result.met:
                return result.of(f"endpoint of Pod {pods[uid].name} with")
        return expect(bool(listed), "no endpoint")

    return Condition(f"each endpoint of {name} to name the Node of its Pod", check, ENDPOINTS)


def agree(name: str) -> Condition[NamespaceState]:
    """The Service's Endpoints and its EndpointSlices of its first family list the same ready addresses, at least one."""

    def check(state: NamespaceState) -> Result:
        slices = slice_addresses(first_slices(state, name))
        endpoints = endpoints_addresses(state.one("Endpoints", name))
        if endpoints != slices:
            return unmet(f"Endpoints with {counted(len(endpoints), 'address')} ({_difference(endpoints, slices)})")
        return expect(bool(slices), "no ready address")

    return Condition(f"Endpoints of {name} to list the ready addresses of its EndpointSlices", check, ENDPOINTS)


def lists(name: str, *pods: KubeObject) -> Condition[NamespaceState]:
    """Endpoints and EndpointSlices of the Service list a ready address for exactly these Pods, by UID, or for none."""
    wanted = sorted(pod.uid for pod in pods)

    def check(state: NamespaceState) -> Result:
        names = {pod.uid: pod.name for pod in (*state.all("Pod"), *pods)}
        slices = sorted(address.uid for address in slice_addresses(first_slices(state, name)))
        endpoints = sorted(address.uid for address in endpoints_addresses(state.one("Endpoints", name)))
        got = _both(*([names.get(uid, f"UID {uid or 'none'}") for uid in listed] for listed in (slices, endpoints)))
        return expect((slices, endpoints) == (wanted, wanted), got)

    what = f"exactly Pods {some(pod.name for pod in pods)} listed for {name}" if pods else f"no Pod listed for {name}"
    return Condition(what, check, ENDPOINTS)


def without(name: str, uid: str, *, unready: bool = False) -> Condition[NamespaceState]:
    """Neither Endpoints nor EndpointSlices of the Service list a ready address (`unready`: any) for the Pod with this UID."""

    def check(state: NamespaceState) -> Result:
        slices = [each for each in slice_addresses(slices_of(state, name), unready=unready) if each.uid == uid]
        endpoints = [each for each in endpoints_addresses(state.one("Endpoints", name), unready=unready) if each.uid == uid]
        return expect(not slices and not endpoints, _both(slices, endpoints))

    return Condition(f"no {'' if unready else 'ready '}address of {name} for the Pod with UID {uid}", check, ENDPOINTS)


def listed_unready(name: str, uid: str) -> Condition[NamespaceState]:
    """The Service's EndpointSlices have an endpoint for the Pod with this UID, and no ready address for it."""
    not_ready = without(name, uid)

    def check(state: NamespaceState) -> Result:
        known = [entry for entry in entries(slices_of(state, name)) if entry.get("targetRef", {}).get("uid") == uid]
        return not_ready(state) if known else unmet("no endpoint")

    return Condition(f"an endpoint of {name}, not ready, for the Pod with UID {uid}", check, ENDPOINTS)


def endpoint_is(name: str, uid: str, *, ready: bool, serving: bool, terminating: bool) -> Condition[NamespaceState]:
    """The Service has one endpoint for the Pod with this UID, with exactly these conditions."""
    wanted = {"ready": ready, "serving": serving, "terminating": terminating}

    def check(state: NamespaceState) -> Result:
        conditions = [
            e.get("conditions", {}) for e in entries(first_slices(state, name)) if e.get("targetRef", {}).get("uid") == uid
        ]
        if len(conditions) != 1:
            return unmet(counted(len(conditions), "endpoint"))
        return fields(conditions[0], wanted).of(f"endpoint of {name} with")

    return Condition(f"one endpoint of {name} with {text(wanted)}", check, ENDPOINTS)


def split_without_loss(name: str, labels: Mapping[str, str], port: int, count: int, at_most: int) -> Condition[NamespaceState]:
    """The Service's EndpointSlices, several of at most `at_most` endpoints, list each of the `count` ready Pods once."""
    exactly = slices_list_exactly(name, labels, port, count)

    def check(state: NamespaceState) -> Result:
        sizes = sorted(len(endpoint_slice.at("endpoints") or []) for endpoint_slice in slices_of(state, name))
        split = expect(len(sizes) > 1 and sizes[-1] <= at_most, f"{len(sizes)} with {text(sizes)} endpoints")
        result = exactly(state)
        return split if result.met else result

    return Condition(f"several EndpointSlices of {name}, of at most {at_most} endpoints", check, MANY_PODS)
