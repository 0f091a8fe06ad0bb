"""Conditions on the ports and the hints of endpoints."""

import pytest

from kubechain.conditions import endpoint_ports as on
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.manifests import WEB
from tests.fakes import endpoint_slice, entry, not_ready, pod, service, state, thing

A, B = pod(0), pod(1)
AT_A, AT_B = (A, "one", 8080), (B, "two", 8081)


def at(target: KubeObject, port_name: str, port: int, *, ready: bool = True) -> KubeObject:
    """Return an EndpointSlice with one Pod at one port."""
    ports = [{"name": port_name, "port": port, "protocol": "TCP"}]
    return endpoint_slice(entry(target, ready=ready), name=f"web-{port_name}", ports=ports)


def endpoints(*listed: tuple[KubeObject, str, int]) -> KubeObject:
    """Return the Endpoints with a subset for each Pod and its port."""
    subsets: list[Json] = [
        {"addresses": [{"ip": "x", "targetRef": {"uid": target.uid}}], "ports": [{"name": name, "port": port}]}
        for target, name, port in listed
    ]
    return thing("Endpoints", WEB, subsets=subsets)


def test_each_pod_is_listed_at_its_own_port() -> None:
    here = state(service(), A, B, at(A, "one", 8080), at(B, "two", 8081), endpoints(AT_A, AT_B))
    assert on.at_ports(WEB, AT_A, AT_B)(here).met
    assert not on.at_ports(WEB, AT_A)(here).met
    assert not on.at_ports(WEB)(here).met


def test_pods_that_are_gone_or_not_ready_are_not_listed() -> None:
    assert on.at_ports(WEB)(state(service())).met
    assert on.at_ports(WEB)(state(service(), not_ready(A), at(A, "one", 8080, ready=False))).met


@pytest.mark.parametrize(
    ("found", "got"),
    [
        ((at(A, "one", 8080), endpoints()), f"{A.name} at one:8080 in EndpointSlices, none in Endpoints"),
        ((endpoints(AT_A),), f"none in EndpointSlices, {A.name} at one:8080 in Endpoints"),
        ((at(A, "one", 8081), endpoints(AT_A)), f"{A.name} at one:8081 in EndpointSlices, {A.name} at one:8080 in Endpoints"),
        ((at(B, "one", 8080), endpoints(AT_A)), f"{B.uid} at one:8080 in EndpointSlices, {A.name} at one:8080 in Endpoints"),
    ],
)
def test_another_list_is_told(found: tuple[KubeObject, ...], got: str) -> None:
    result = on.at_ports(WEB, AT_A)(state(service(), A, *found))
    assert str(result) == f"expected exactly {A.name} at one:8080 listed for web, got {got}"


def hinted(*nodes: str, ready: bool = True) -> Json:
    """Return an endpoint on node-0 with hints for these Nodes."""
    return {**entry(A, ready=ready), "nodeName": "node-0", "hints": {"forNodes": [{"name": name} for name in nodes]}}


def test_endpoint_is_hinted_for_its_own_node() -> None:
    assert on.hints_for_own_node(WEB)(state(service(), endpoint_slice(hinted("node-0"), hinted(ready=False)))).met
    assert not on.hints_for_own_node(WEB)(state(service(), endpoint_slice())).met


@pytest.mark.parametrize(("nodes", "got"), [((), "none"), (("node-1",), "node-1"), (("node-0", "node-1"), "node-0, node-1")])
def test_other_hints_are_told(nodes: tuple[str, ...], got: str) -> None:
    result = on.hints_for_own_node(WEB)(state(service(), endpoint_slice(hinted(*nodes))))
    assert str(result) == f"expected endpoint 10.244.0.5 of web with hints.forNodes node-0, got {got}"


def test_endpoint_without_any_hint_is_told() -> None:
    result = on.hints_for_own_node(WEB)(state(service(), endpoint_slice({**entry(A), "nodeName": "node-0"})))
    assert str(result) == "expected endpoint 10.244.0.5 of web with hints.forNodes node-0, got none"
