import pytest

from kubechain.claims.claim import Link
from kubechain.conditions import timeouts
from kubechain.core.errors import Blocked, HarnessError
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.workload.gates import BEFORE, GATED, Gatekeeper, awaited, gated, gates
from tests.fakes import FakeClock, changed, claim_of, healthy, not_ready


def up_to(*objects: KubeObject) -> tuple[History, Waiter, FakeClock]:
    clock = FakeClock()
    history = History("ns", clock)
    for each in objects:
        history.record("ADDED", each)
    return history, Waiter(clock), clock


def sick() -> list[KubeObject]:
    return [not_ready(each) if each.kind == "Pod" else each for each in healthy()]


def test_every_link_has_the_links_that_it_needs() -> None:
    assert set(BEFORE) == set(Link)


def test_gates_take_as_long_as_the_claims_that_open_them() -> None:
    assert {link: gate.timeout for link, gate in gates(2).items()} == {
        Link.DEPLOYMENT: timeouts.CONTROLLER,
        Link.REPLICASET: timeouts.CONTROLLER,
        Link.PODS: timeouts.PODS_READY,
        Link.SERVICE: timeouts.CONTROLLER,
        Link.ENDPOINTS: timeouts.ENDPOINTS,
    }


def test_awaited_links_are_in_the_order_of_the_chain() -> None:
    assert awaited(claim_of(Link.CLUSTERIP)) == [
        Link.DEPLOYMENT,
        Link.REPLICASET,
        Link.PODS,
        Link.SERVICE,
        Link.ENDPOINTS,
    ]


def test_claim_that_opens_its_link_does_not_wait_for_it() -> None:
    assert awaited(claim_of(Link.PODS, opens=True)) == [Link.DEPLOYMENT, Link.REPLICASET]
    assert awaited(claim_of(Link.PODS)) == [Link.DEPLOYMENT, Link.REPLICASET, Link.PODS]


def test_claim_also_waits_for_the_links_in_after() -> None:
    assert awaited(claim_of(Link.DEPLOYMENT, after=(Link.PODS,))) == [Link.DEPLOYMENT, Link.REPLICASET, Link.PODS]
    assert Link.ENDPOINTS in awaited(claim_of(Link.DNS, after=(Link.CLUSTERIP,)))


def test_links_without_a_gate_are_not_waited_for() -> None:
    assert gated([Link.DNS]) == [Link.SERVICE]


def test_working_chain_opens_every_gate_without_waiting() -> None:
    history, waiter, clock = up_to(*healthy())
    Gatekeeper().admit(list(GATED), history, waiter)
    assert clock.time == 1000.0


def test_empty_namespace_opens_no_gate() -> None:
    for link in GATED:
        history, waiter, _ = up_to()
        with pytest.raises(Blocked):
            Gatekeeper().admit([link], history, waiter)


def test_claim_is_blocked_by_the_first_link_that_is_not_up() -> None:
    history, waiter, _ = up_to(*sick())
    with pytest.raises(Blocked, match="0 of 2 ready") as caught:
        Gatekeeper().admit(awaited(claim_of(Link.CLUSTERIP)), history, waiter)
    assert caught.value.waits_for == Link.PODS


def test_shut_gate_blocks_later_chains_without_waiting() -> None:
    history, waiter, clock = up_to(*sick())
    gatekeeper = Gatekeeper()
    with pytest.raises(Blocked) as first:
        gatekeeper.admit([Link.PODS], history, waiter)
    waited = clock.time
    healed, other, _ = up_to(*healthy())
    with pytest.raises(Blocked) as second:
        gatekeeper.admit([Link.PODS, Link.ENDPOINTS], healed, other)
    assert clock.time == waited
    assert str(first.value) == str(second.value)


def test_shut_gate_does_not_block_links_that_do_not_need_it() -> None:
    history, waiter, _ = up_to(*sick())
    gatekeeper = Gatekeeper()
    with pytest.raises(Blocked):
        gatekeeper.admit([Link.PODS], history, waiter)
    gatekeeper.admit(awaited(claim_of(Link.DNS)), history, waiter)


def test_harness_error_does_not_shut_a_gate() -> None:
    history, waiter, _ = up_to()
    history.fail(HarnessError("unreachable"))
    gatekeeper = Gatekeeper()
    with pytest.raises(HarnessError):
        gatekeeper.admit([Link.PODS], history, waiter)
    assert gatekeeper.shut == {}


def test_service_without_a_node_port_is_not_up() -> None:
    objects = healthy()
    port = {"port": 80, "protocol": "TCP"}
    history, waiter, _ = up_to(*[changed(o, "spec.ports", [port]) if o.kind == "Service" else o for o in objects])
    with pytest.raises(Blocked, match="nodePort none"):
        Gatekeeper().admit([Link.SERVICE], history, waiter)


def test_gate_opens_with_a_late_change() -> None:
    history, waiter, clock = up_to()
    clock.at(5, lambda: [history.record("ADDED", each) for each in healthy()])
    Gatekeeper().admit([Link.DEPLOYMENT], history, waiter)
    assert clock.time == 1005.0
