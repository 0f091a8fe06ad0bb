"""Conditions on the ports of endpoints, and on the hints that say for which Nodes they are.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from __future__ import annotations

from collections.abc import Iterable

from kubechain.conditions.condition import Condition, Result, expect, fields
from kubechain.conditions.endpoints import first_slices, ready_endpoints
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import ENDPOINTS
from kubechain.kube.objects import Json, KubeObject, NamespaceState

# The UID of a Pod, and the name and the number of a port.
Listed = tuple[str, str, int]


def at_ports(name: str, *wanted: tuple[KubeObject, str, int]) -> Condition[NamespaceState]:
    """Endpoints and EndpointSlices of the Service list exactly these Pods as ready, each at the port of a name and a number."""
    expected = sorted((pod.uid, port, number) for pod, port, number in wanted)
    of_wanted = {pod.uid: pod.name for pod, _, _ in wanted}

    def check(state: NamespaceState) -> Result:
        names = {**of_wanted, **{pod.uid: pod.name for pod in state.all("Pod")}}
        slices = sorted(_of_slices(first_slices(state, name)))
        endpoints = sorted(_of_endpoints(state.one("Endpoints", name)))
        got = f"{_shown(slices, names)} in EndpointSlices, {_shown(endpoints, names)} in Endpoints"
        return expect((slices, endpoints) == (expected, expected), got)

    what = f"exactly {_shown(expected, of_wanted)} listed for {name}" if wanted else f"no Pod listed for {name}"
    return Condition(what, check, ENDPOINTS)


def _of_slices(slices: Iterable[KubeObject]) -> Iterable[Listed]:
    for endpoint_slice in slices:
        ports: list[Json] = endpoint_slice.at("ports") or []
        yield from (_listed(entry, port) for entry in ready_endpoints(endpoint_slice) for port in ports)


def _of_endpoints(endpoints: KubeObject | None) -> Iterable[Listed]:
    subsets: list[Json] = (endpoints.at("subsets") or []) if endpoints else []
    for subset in subsets:
        yield from (_listed(entry, port) for entry in subset.get("addresses", []) for port in subset.get("ports", []))


def _listed(entry: Json, port: Json) -> Listed:
    return str(entry.get("targetRef", {}).get("uid", "")), str(port.get("name", "")), int(port.get("port", 0))


def _shown(listed: Iterable[Listed], names: dict[str, str]) -> str:
    return some(sorted(f"{names.get(uid, uid or 'no Pod')} at {port}:{number}" for uid, port, number in listed))


def hints_for_own_node(name: str) -> Condition[NamespaceState]:
    """Each ready endpoint of the Service has a hint for the Node of its Pod, and for no other (hints.forNodes)."""

    def check(state: NamespaceState) -> Result:
        ready = [entry for endpoint_slice in first_slices(state, name) for entry in ready_endpoints(endpoint_slice)]
        for entry in ready:
            hints: Json = entry.get("hints") or {}
            nodes: list[Json] = hints.get("forNodes") or []
            result = fields({"hints.forNodes": [node["name"] for node in nodes]}, {"hints.forNodes": [entry.get("nodeName")]})
            if not result.met:
                return result.of(f"endpoint {entry['addresses'][0]} of {name} with")
        return expect(bool(ready), "no ready endpoint")

    return Condition(f"each endpoint of {name} to have a hint for its own Node", check, ENDPOINTS)
