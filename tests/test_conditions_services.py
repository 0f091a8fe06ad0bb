import pytest

from kubechain.conditions import services as on
from kubechain.conditions.condition import Condition
from kubechain.kube.objects import Json, NamespaceState
from kubechain.workload.manifests import CONTAINER_PORT, WEB
from tests.fakes import changed, service, state

SERVES = on.service_has(WEB, {"spec.type": "NodePort"}, port={"port": 80, "targetPort": CONTAINER_PORT})
IN_RANGE = on.node_port_between(WEB, 30000, 32767)
ADDRESSED: dict[str, Condition[NamespaceState]] = {"serves": SERVES, "in range": IN_RANGE}


def test_right_service_meets_each_condition() -> None:
    for condition in ADDRESSED.values():
        assert condition(state(service())).met


@pytest.mark.parametrize("name", ADDRESSED)
def test_missing_service_meets_no_condition(name: str) -> None:
    assert not ADDRESSED[name](state()).met
    assert not ADDRESSED[name](state(changed(service(), "metadata.name", "other"))).met
    assert not ADDRESSED[name](state(changed(service(), "spec.ports", []))).met


@pytest.mark.parametrize(
    ("path", "value"),
    [("spec.type", "ClusterIP"), ("spec.ports.0.port", 81), ("spec.ports.0.targetPort", 80)],
)
def test_service_with_another_value_is_unmet(path: str, value: object) -> None:
    assert not SERVES(state(changed(service(), path, value))).met


def test_service_with_a_second_port_is_unmet() -> None:
    ports = service().at("spec.ports")
    assert not SERVES(state(changed(service(), "spec.ports", [*ports, *ports]))).met


@pytest.mark.parametrize(("number", "inside"), [(29999, False), (30000, True), (32767, True), (32768, False)])
def test_node_port_range_includes_both_ends(number: int, *, inside: bool) -> None:
    assert IN_RANGE(state(changed(service(), "spec.ports.0.nodePort", number))).met == inside


def test_service_without_a_node_port_is_not_in_the_range() -> None:
    assert not IN_RANGE(state(changed(service(), "spec.ports", [{"port": 80}]))).met


def test_ports_of_a_service_are_read() -> None:
    assert on.node_port(service()) == 30080
    assert on.node_port(changed(service(), "spec.ports", [])) == 0
    assert on.ports_of(service()) == [(80, 8080, "TCP")]


def test_service_is_allocated_by_its_type() -> None:
    inside = changed(changed(service(), "spec.type", "ClusterIP"), "spec.ports", [{"port": 80}])
    assert on.allocated_by_type(WEB)(state(service())).met
    assert on.allocated_by_type(WEB)(state(inside)).met
    assert not on.allocated_by_type(WEB)(state(changed(inside, "spec.type", "NodePort"))).met
    assert not on.allocated_by_type(WEB)(state(changed(service(), "spec.clusterIP", ""))).met


def test_headless_service_was_given_no_cluster_ip() -> None:
    headless = state(changed(service(), "spec.clusterIP", "None"))
    assert not on.allocated(WEB, cluster_ip=True, node_port=True)(headless).met
    assert not on.allocated_by_type(WEB)(headless).met


def test_service_that_is_stored_otherwise_stays_so() -> None:
    assert on.service_has(WEB, {"spec.selector": {"app": "x"}})(state(service())).hopeless
    assert not on.service_has(WEB, {"spec.selector": {"app": "x"}})(state()).hopeless


def test_load_balancer_has_given_its_address() -> None:
    cases: list[tuple[list[Json], bool]] = [
        ([{"ip": "192.0.2.1"}], True),
        ([{"hostname": "lb"}], True),
        ([{}], False),
        ([], False),
    ]
    for ingress, met in cases:
        assert on.balanced(WEB)(state(service(status={"loadBalancer": {"ingress": ingress}}))).met is met


def test_health_check_port_is_there_or_not() -> None:
    there = changed(service(), "spec.healthCheckNodePort", 30555)
    assert on.health_check_port(WEB, allocated=True)(state(there)).met
    assert on.health_check_port(WEB, allocated=False)(state(service())).met
    found = on.health_check_port(WEB, allocated=False)(state(there))
    assert str(found) == "expected Service web with no healthCheckNodePort, got healthCheckNodePort 30555"
    assert not on.health_check_port(WEB, allocated=True)(state(service())).met


@pytest.mark.parametrize(("written", "right"), [(["192.0.2.10"], True), ([], False), (["192.0.2.11"], False)])
def test_ingress_of_a_load_balancer_is_exactly_what_was_written(written: list[str], *, right: bool) -> None:
    balanced = changed(service(), "status.loadBalancer", {"ingress": [{"ip": address} for address in written]})
    assert on.ingress_is(WEB, "192.0.2.10")(state(balanced)).met == right
