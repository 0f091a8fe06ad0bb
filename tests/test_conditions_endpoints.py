import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubechain.conditions import endpoints as on
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from tests.fakes import changed, endpoint_slice, endpoints, entry, not_ready, owned_by, pod, service, state, without

A, B, C = pod(0), pod(1), pod(2)
SLICES = on.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)
LEGACY = on.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)


def test_slice_with_both_pods_is_exact_whatever_the_order() -> None:
    assert SLICES(state(A, B, endpoint_slice(entry(B), entry(A)))).met


def test_pods_over_two_slices_are_exact() -> None:
    assert SLICES(state(A, B, endpoint_slice(entry(A)), endpoint_slice(entry(B), name="web-x2"))).met


def test_unknown_readiness_in_a_slice_counts_as_ready() -> None:
    assert SLICES(state(A, B, endpoint_slice(entry(A, ready=None), entry(B)))).met


def test_entry_that_is_not_ready_is_not_an_address() -> None:
    assert SLICES(state(A, B, not_ready(C), endpoint_slice(entry(A), entry(B), entry(C, ready=False)))).met


FOREIGN = pod(9, uid="foreign")
NO_TARGET = {key: value for key, value in entry(B).items() if key != "targetRef"}
WRONG_SLICES: dict[str, NamespaceState] = {
    "no slice": state(A, B),
    "empty slice": state(A, B, endpoint_slice()),
    "null lists": state(A, B, endpoint_slice(endpoints=None, ports=None)),
    "one missing": state(A, B, endpoint_slice(entry(A))),
    "foreign address": state(A, B, endpoint_slice(entry(A), entry(B), entry(FOREIGN))),
    "doubled address": state(A, B, endpoint_slice(entry(A), entry(B), entry(B))),
    "doubled over slices": state(A, B, endpoint_slice(entry(A), entry(B)), endpoint_slice(entry(A), name="web-x2")),
    "not-ready pod listed": state(A, B, not_ready(C), endpoint_slice(entry(A), entry(B), entry(C))),
    "ready pod listed as unready": state(A, B, endpoint_slice(entry(A), entry(B, ready=False))),
    "no targetRef": state(A, B, endpoint_slice(entry(A), NO_TARGET)),
    "targetRef of an older pod": state(A, changed(B, "metadata.uid", "new"), endpoint_slice(entry(A), entry(B))),
    "address of an older pod": state(A, B, endpoint_slice(entry(A), entry(B, ip="10.244.1.99"))),
    "service port instead of targetPort": state(A, B, endpoint_slice(entry(A), entry(B), port=80)),
    "no port": state(A, B, endpoint_slice(entry(A), entry(B), ports=[])),
    "slice of another service": state(A, B, endpoint_slice(entry(A), entry(B), labels={on.SERVICE_NAME: "other"})),
    "one pod too few": state(A, endpoint_slice(entry(A))),
    "one pod too many": state(A, B, C, endpoint_slice(entry(A), entry(B), entry(C))),
    "no pods and no addresses": state(endpoint_slice()),
    "nothing": state(),
}


@pytest.mark.parametrize("name", WRONG_SLICES)
def test_slices_that_are_not_exact_are_unmet(name: str) -> None:
    result = SLICES(WRONG_SLICES[name])
    assert not result.met
    assert result.got


SUBSET = "subsets.0."
WRONG_ENDPOINTS: dict[str, NamespaceState] = {
    "none": state(A, B),
    "empty": state(A, B, endpoints()),
    "one missing": state(A, B, endpoints(A)),
    "foreign": state(A, B, endpoints(A, B, FOREIGN)),
    "doubled": state(A, B, endpoints(A, A, B)),
    "not ready listed": state(A, B, not_ready(C), endpoints(A, B, C)),
    "no targetRef": state(A, B, changed(endpoints(A, B), SUBSET + "addresses.0", {"ip": "10.244.0.5"})),
    "other port": state(A, B, endpoints(A, B, port=80)),
    "too many": state(A, B, C, endpoints(A, B, C)),
    "of another service": state(A, B, changed(endpoints(A, B), "metadata.name", "other")),
}


def test_endpoints_with_both_pods_are_exact() -> None:
    assert LEGACY(state(A, B, endpoints(B, A))).met


@pytest.mark.parametrize("name", WRONG_ENDPOINTS)
def test_endpoints_that_are_not_exact_are_unmet(name: str) -> None:
    result = LEGACY(WRONG_ENDPOINTS[name])
    assert not result.met
    assert result.got


NUMBERS = st.sets(st.integers(0, 6))


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 6))
def test_slices_are_exact_only_if_listed_ready_and_wanted_agree(
    ready: set[int], unready: set[int], listed: set[int], count: int
) -> None:
    pods = [pod(n) for n in ready] + [not_ready(pod(n)) for n in unready - ready]
    found = state(*pods, endpoint_slice(*(entry(pod(n)) for n in listed)))
    exact = on.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, count)(found).met
    assert exact == (listed == ready and len(ready) == count)


def test_ready_pod_without_an_address_is_no_reason_to_list_nothing() -> None:
    lacking = [changed(each, "status", {**each.at("status"), "podIP": ""}) for each in (A, B)]
    result = SLICES(state(*lacking, endpoint_slice()))
    assert (result.met, result.got) == (False, f"no IPv4 address of {A.name}, {B.name}")


def test_deleted_pod_is_without_an_address_only_if_no_unready_one_is_left() -> None:
    ended = state(endpoint_slice(entry(A, ready=False), entry(B)))
    assert on.without(WEB, A.uid)(ended).met
    assert not on.without(WEB, A.uid, unready=True)(ended).met
    assert on.without(WEB, A.uid, unready=True)(state(endpoint_slice(entry(B)))).met


BELONG = on.slices_belong(WEB)


def test_slice_of_the_service_belongs_to_it() -> None:
    assert BELONG(state(service(), endpoint_slice())).met


OTHER_OWNER = owned_by(service(uid="an-older-one"), "v1")
FOREIGN_SLICES: dict[str, KubeObject] = {
    "another owner": endpoint_slice(ownerReferences=OTHER_OWNER),
    "no owner": endpoint_slice(ownerReferences=[]),
    "another manager": endpoint_slice(labels={on.SERVICE_NAME: WEB, "endpointslice.kubernetes.io/managed-by": "me"}),
    "no manager": endpoint_slice(labels={on.SERVICE_NAME: WEB}),
    "another family": endpoint_slice(addressType="IPv6"),
    "no family": without(endpoint_slice(), "addressType"),
}


@pytest.mark.parametrize("name", FOREIGN_SLICES)
def test_slice_of_another_service_or_manager_is_unmet(name: str) -> None:
    assert not BELONG(state(service(), FOREIGN_SLICES[name])).met
    assert not BELONG(state(service(), endpoint_slice(), changed(FOREIGN_SLICES[name], "metadata.name", "x2"))).met


def test_slices_belong_requires_a_service_and_a_slice() -> None:
    assert not BELONG(state()).met
    assert not BELONG(state(service())).met
    assert not BELONG(state(endpoint_slice())).met


def test_no_address_requires_the_service_and_both_lists_empty() -> None:
    none = on.no_address(WEB)
    assert none(state(service(), endpoint_slice(), endpoints())).met
    assert not none(state(endpoint_slice())).met
    # The address of a Pod that is gone may belong to another Pod by now.
    assert not none(state(service(), endpoint_slice(entry(A, ready=False)))).met
    unready = [{"notReadyAddresses": [{"ip": "10.244.0.9"}], "ports": [{"port": 80}]}]
    assert not none(state(service(), changed(endpoints(), "subsets", unready))).met
    assert not none(state(service(), endpoint_slice(entry(A)))).met
    assert not none(state(service(), endpoints(A))).met


def test_no_slices_requires_that_neither_kind_exists() -> None:
    none = on.no_slices(WEB)
    assert none(state(service(), endpoint_slice(labels={on.SERVICE_NAME: "other"}))).met
    assert not none(state(endpoint_slice())).met
    assert not none(state(endpoints())).met
