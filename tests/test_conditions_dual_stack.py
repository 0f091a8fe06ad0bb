"""Conditions on Services and EndpointSlices by IP family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kubechain.conditions import dual_stack, endpoints
from kubechain.kube import families
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from tests.fakes import changed, endpoint_slice, entry, pod, service, state, thing

FOUR, SIX = "10.96.0.9", "fd00:10:96::9"
BOTH = {"clusterIP": FOUR, "clusterIPs": [FOUR, SIX], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}


def dual(number: int) -> KubeObject:
    """Return a ready Pod with an address of each family."""
    one = pod(number)
    return changed(one, "status.podIPs", [{"ip": one.at("status.podIP")}, {"ip": f"fd00:10:244:{number}::5"}])


A, B = dual(0), dual(1)


def listed(*pods: KubeObject, family: str, **over: Any) -> KubeObject:
    """Return the EndpointSlice of a family with these Pods."""
    entries = [entry(each, ip=families.pod_address(each, family)) for each in pods]
    return endpoint_slice(*entries, name=f"web-{family}", addressType=family, **over)


def web(**spec: Any) -> KubeObject:
    """Return the Service with these fields."""
    return service(spec={**service().at("spec"), **spec})


def test_slices_of_a_service_list_its_families_and_no_other() -> None:
    exactly = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)
    four, six = (listed(A, B, family=family) for family in ("IPv4", "IPv6"))
    assert exactly(state(A, B, service(), four)).met
    assert exactly(state(A, B, web(clusterIP=SIX, ipFamilies=["IPv6"]), six)).met
    assert exactly(state(A, B, web(**BOTH), four, six)).met
    assert not exactly(state(A, B, service(), four, six)).met
    assert not exactly(state(A, B, web(**BOTH), four)).met


def test_endpoints_are_those_of_the_first_family() -> None:
    first_six = web(clusterIP=SIX, ipFamilies=["IPv6", "IPv4"])
    slices = [listed(A, family=family) for family in ("IPv4", "IPv6")]
    subsets = [{"addresses": [{"ip": "fd00:10:244:0::5", "targetRef": {"uid": A.uid}}], "ports": [{"port": CONTAINER_PORT}]}]
    legacy = thing("Endpoints", WEB, subsets=subsets)
    conditions = [
        endpoints.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, 1),
        endpoints.agree(WEB),
        endpoints.lists(WEB, A),
        endpoints.endpoint_is(WEB, A.uid, ready=True, serving=True, terminating=False),
    ]
    ending = [changed(each, "endpoints.0.conditions", {"ready": True, "serving": True, "terminating": False}) for each in slices]
    assert [condition(state(A, first_six, *ending, legacy)).met for condition in conditions] == [True] * 4
    assert [condition(state(A, service(), *ending, legacy)).met for condition in conditions] == [False, False, True, True]


@pytest.mark.parametrize(
    ("slices", "got"),
    [
        ([listed(A, B, family="IPv4"), listed(A, B, family="IPv6")], ""),
        ([listed(A, B, family="IPv4")], "no ready address (2 Pods ready)"),
        ([listed(A, B, family="IPv4"), listed(A, family="IPv6")], "1 address (missing [fd00:10:244:1::5]:8080)"),
        ([listed(A, B, family="IPv4"), listed(A, B, A, family="IPv6")], "3 addresses (surplus [fd00:10:244:0::5]:8080)"),
    ],
)
def test_slices_of_each_family(slices: Sequence[KubeObject], got: str) -> None:
    result = dual_stack.slices_of_each_family(WEB, LABELS, CONTAINER_PORT, 2)(state(A, B, web(**BOTH), *slices))
    assert (result.met, result.got) == (not got, got)
    if got:
        assert result.expected == "EndpointSlices of web with the IPv6 address of each of 2 ready Pods"


def test_pod_without_an_address_of_a_family_is_reported() -> None:
    here = state(A, pod(1), web(**BOTH), listed(A, pod(1), family="IPv4"), listed(A, family="IPv6"))
    result = dual_stack.slices_of_each_family(WEB, LABELS, CONTAINER_PORT, 2)(here)
    assert str(result).endswith(f"got no IPv6 address of {pod(1).name}")
    assert not dual_stack.slices_of_each_family("other", LABELS, CONTAINER_PORT, 2)(here).met


@pytest.mark.parametrize(
    ("spec", "got"),
    [
        ({}, ""),
        ({"ipFamilies": ["IPv6", "IPv4"]}, "IPv6, IPv4"),
        ({"clusterIPs": [FOUR]}, "IPv4"),
        ({"clusterIPs": [FOUR, "10.96.0.10"]}, "IPv4, IPv4"),
        ({"ipFamilyPolicy": "SingleStack"}, "SingleStack"),
        ({"clusterIP": SIX}, f"clusterIP {SIX}"),
    ],
)
def test_families_of_a_service(spec: Json, got: str) -> None:
    result = dual_stack.has_families(WEB, "RequireDualStack", ["IPv4", "IPv6"])(state(web(**{**BOTH, **spec})))
    assert (result.met, result.got) == (not got, got)
