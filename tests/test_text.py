import pytest

from kubechain.conditions import endpoints
from kubechain.conditions.condition import Condition, equal, expect, fields
from kubechain.conditions.endpoints import Address
from kubechain.conditions.text import counted, some, tally, text
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from tests.fakes import changed, endpoint_slice, entry, pod, state

A, B = pod(0), pod(1)


def test_address_is_written_as_in_a_url() -> None:
    assert str(Address("10.244.1.50", 8081, "uid")) == "10.244.1.50:8081"
    assert str(Address("fd00::5", 8081, "uid")) == "[fd00::5]:8081"


def test_addresses_that_differ_only_by_pod_are_shown_with_uids() -> None:
    older = state(A, changed(B, "metadata.uid", "new"), endpoint_slice(entry(A), entry(B)))
    got = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)(older).got
    assert got == f"2 addresses (missing 10.244.1.5:8080 for UID new; surplus 10.244.1.5:8080 for UID {B.uid})"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "true"),
        (80, "80"),
        ("", "empty"),
        ([], "none"),
        ({}, "none"),
        (["a", None], "a, none"),
        ({"app": "web", "ports": [80, 443]}, "app=web, ports=[80, 443]"),
        ({"b", "a"}, "a, b"),
        (list(range(9)), "0, 1, 2, 3, 4 and 4 more"),
    ],
)
def test_value_is_shown_as_kubernetes_writes_it(value: object, shown: str) -> None:
    assert text(value) == shown


def test_long_lists_are_cut_and_repeated_entries_are_counted() -> None:
    assert some("abc", most=2) == "a, b and 1 more"
    assert some([]) == "none"
    assert tally(["b", "a", "b"]) == "a, b (2 times)"
    assert (counted(1, "address"), counted(2, "address"), counted(0, "Pod")) == ("1 address", "2 addresses", "0 Pods")


def test_fields_show_both_values_of_each_difference() -> None:
    assert str(fields({"a": 1, "b": 2}, {"a": 1, "b": 3})) == "expected b 3, got 2"
    assert str(fields({"a": 1}, {"a": 2, "b": 3})) == "expected a 2, b 3, got a 1, no b"
    assert str(fields({"a": 1}, {})) == "expected no a, got 1"
    assert str(equal("port", "80", 80)) == "expected port 80, got '80' of another type"


def test_result_has_the_expected_value_of_the_unmet_part() -> None:
    part: Condition[int] = Condition("an even number", lambda n: expect(n % 2 == 0, str(n)))
    whole: Condition[int] = Condition("a good number", part)
    assert str(whole(3)) == "expected an even number, got 3"
