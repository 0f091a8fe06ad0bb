import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Link
from kubechain.claims.requirements import DISRUPTION, EXEC
from kubechain.conditions import timeouts
from kubechain.conditions.http import Page, all_welcome
from kubechain.core.errors import Blocked, ExitCode, HarnessError, Unmet
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest import gating
from kubechain.pytest.state import ClaimState
from kubechain.workload.chain import Chain
from kubechain.workload.gates import BEFORE, GATES, USES, WATCHED, Gate, Gatekeeper, awaited, gated, used
from kubechain.workload.manifests import WEB, WELCOME
from tests.engine_objects import run_state
from tests.fakes import FakeApi, FakeClock, changed, claim_of, healthy, not_ready, pod, thing


def up_to(*objects: KubeObject) -> tuple[Chain, Waiter, FakeClock]:
    clock = FakeClock()
    history, waiter = History("ns", clock), Waiter(clock)
    for each in objects:
        history.record("ADDED", each)
    observer = cast("Any", SimpleNamespace(history=history))
    api = FakeApi(lambda _method, _path, _body: json.dumps(thing("Namespace", "ns").body))
    return Chain(api, "ns", observer, waiter, (), "host", "nginx", frozenset(), "client", 2), waiter, clock


def test_address_of_a_pod_is_looked_up_where_its_watch_is_late() -> None:
    late = changed(pod(), "status.podIP", "")
    chain, _, _ = up_to(late, *(each for each in healthy() if each.kind == "Service"))
    with pytest.raises(HarnessError, match=r"^Pod \S+ has no IPv4 address in its status$"):
        chain.pod_address(late)
    chain.objects.proved_by(lambda: chain.objects.record("MODIFIED", changed(pod(), "metadata.resourceVersion", "9999")))
    assert chain.pod_address(late) == pod().at("status.podIP")


def sick() -> list[KubeObject]:
    return [not_ready(each) if each.kind == "Pod" else each for each in healthy()]


def test_every_link_has_the_links_that_it_needs() -> None:
    assert set(BEFORE) == set(Link)
    assert set(USES) < set(Link)


def test_gates_take_as_long_as_the_claims_that_open_them() -> None:
    chain, _, _ = up_to(*healthy())
    assert {link: GATES[link](chain).condition.timeout for link in WATCHED} == {
        Link.DEPLOYMENT: timeouts.CONTROLLER,
        Link.REPLICASET: timeouts.CONTROLLER,
        Link.PODS: timeouts.PODS_EXACT,
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
        Link.CLUSTERIP,
    ]


def test_claim_that_opens_its_link_does_not_wait_for_it() -> None:
    assert awaited(claim_of(Link.PODS, opens=True)) == [Link.DEPLOYMENT, Link.REPLICASET]
    assert awaited(claim_of(Link.PODS)) == [Link.DEPLOYMENT, Link.REPLICASET, Link.PODS]


def test_claim_also_waits_for_the_links_in_after() -> None:
    assert awaited(claim_of(Link.DEPLOYMENT, after=(Link.PODS,))) == [Link.DEPLOYMENT, Link.REPLICASET, Link.PODS]
    assert Link.ENDPOINTS in awaited(claim_of(Link.DNS, after=(Link.CLUSTERIP,)))


def test_links_without_a_gate_are_not_waited_for() -> None:
    assert gated([Link.NODES, Link.UPGRADE]) == gated([Link.ENDPOINTS])


def test_claim_uses_what_it_needs_and_what_its_link_uses_in_passing() -> None:
    assert used(Link.DNS, ())[-1] == Link.CLUSTERIP
    assert Link.CLUSTERIP not in gated([Link.DNS])
    assert Link.DNS not in used(Link.DNS, (Link.DNS,))
    assert used(Link.DELETION, (Link.NODEPORT,))[-1] == Link.NODEPORT
    assert used(Link.SERVICE, ()) == []


def test_working_chain_opens_every_gate_without_waiting() -> None:
    chain, waiter, clock = up_to(*healthy())
    Gatekeeper().admit(WATCHED, chain, waiter)
    assert clock.time == 1000.0


def test_empty_namespace_opens_no_gate() -> None:
    for link in WATCHED:
        chain, waiter, _ = up_to()
        with pytest.raises(Blocked):
            Gatekeeper().admit([link], chain, waiter)


def test_claim_is_blocked_by_the_first_link_that_is_not_up() -> None:
    chain, waiter, _ = up_to(*sick())
    with pytest.raises(Blocked, match="0 of 2 ready") as caught:
        Gatekeeper().admit(awaited(claim_of(Link.CLUSTERIP)), chain, waiter)
    assert caught.value.waits_for == Link.PODS


def test_shut_gate_blocks_later_chains_without_waiting() -> None:
    chain, waiter, clock = up_to(*sick())
    gatekeeper = Gatekeeper()
    with pytest.raises(Blocked) as first:
        gatekeeper.admit([Link.PODS], chain, waiter)
    waited = clock.time
    healed, other, _ = up_to(*healthy())
    with pytest.raises(Blocked) as second:
        gatekeeper.admit([Link.PODS, Link.ENDPOINTS], healed, other)
    assert clock.time == waited
    assert str(first.value) == str(second.value)


def test_gate_that_stayed_shut_is_not_waited_for_as_long_by_the_claim_that_opens_it() -> None:
    chain, waiter, clock = up_to(*sick())
    with pytest.raises(Blocked):
        Gatekeeper().admit([Link.PODS], chain, waiter)
    began = clock.now()
    with pytest.raises(Unmet, match="a link is broken, and such a wait ended in vain after 60 s"):
        GATES[Link.PODS](chain).wait(waiter)
    assert clock.now() - began == pytest.approx(10, abs=1)


def test_shut_gate_does_not_block_links_that_do_not_need_it() -> None:
    chain, waiter, _ = up_to(*sick())
    gatekeeper = Gatekeeper()
    with pytest.raises(Blocked):
        gatekeeper.admit([Link.PODS], chain, waiter)
    gatekeeper.admit(gated([Link.SERVICE]), chain, waiter)


def test_harness_error_does_not_shut_a_gate() -> None:
    chain, waiter, _ = up_to()
    chain.objects.fail(HarnessError("unreachable"))
    gatekeeper = Gatekeeper()
    with pytest.raises(HarnessError):
        gatekeeper.admit([Link.PODS], chain, waiter)
    assert gatekeeper.why_shut(Link.PODS) is None


def test_service_without_a_node_port_is_not_up() -> None:
    objects = healthy()
    port = {"port": 80, "protocol": "TCP"}
    chain, waiter, _ = up_to(*[changed(o, "spec.ports", [port]) if o.kind == "Service" else o for o in objects])
    with pytest.raises(Blocked, match="nodePort none"):
        Gatekeeper().admit([Link.SERVICE], chain, waiter)


def test_gate_opens_with_a_late_change() -> None:
    chain, waiter, clock = up_to()
    clock.at(5, lambda: [chain.objects.record("ADDED", each) for each in healthy()])
    Gatekeeper().admit([Link.DEPLOYMENT], chain, waiter)
    assert clock.time == 1005.0


def test_link_that_broke_later_is_to_blame() -> None:
    chain, waiter, clock = up_to(*healthy())
    gatekeeper = Gatekeeper()
    gatekeeper.admit(WATCHED, chain, waiter)
    gatekeeper.ask_again(WATCHED, chain, waiter)
    for each in sick():
        chain.objects.record("MODIFIED", each)
    before = clock.time
    with pytest.raises(Blocked) as caught:
        gatekeeper.ask_again(WATCHED, chain, waiter)
    assert caught.value.waits_for == Link.PODS
    assert clock.time - before < 5
    assert gatekeeper.why_shut(Link.PODS)


def test_link_that_cannot_be_asked_is_not_to_blame() -> None:
    chain, waiter, _ = up_to(*healthy())
    chain.objects.fail(HarnessError("unreachable"))
    Gatekeeper().ask_again(WATCHED, chain, waiter)


def test_gate_that_cannot_be_asked_from_inside_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, clock = up_to(*healthy())

    def unreachable() -> list[Page]:
        raise ApiUnavailable("error dialing backend", ExitCode.UNREACHABLE)

    source = Polled("exec", unreachable, clock)
    monkeypatch.setitem(GATES, Link.CLUSTERIP, lambda _: Gate(source, all_welcome(WELCOME)))
    gatekeeper, codes = Gatekeeper(), set[ExitCode]()
    for _ in range(2):
        with pytest.raises(HarnessError, match=r"cannot decide: .*; error dialing backend") as caught:
            gatekeeper.admit([Link.CLUSTERIP], chain, waiter)
        codes.add(caught.value.code)
    assert clock.time - 1000 == pytest.approx(timeouts.DATA_PLANE.seconds, abs=1)
    assert len(codes) == 1
    assert gatekeeper.why_shut(Link.CLUSTERIP) is None


@pytest.mark.parametrize("works", [True, False])
def test_claims_that_run_commands_are_not_tried_once_none_can_be_run(monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
    chain, _, _ = up_to(*healthy())

    def command(*_: str) -> str:
        if not works:
            raise ApiUnavailable("error dialing backend", ExitCode.UNREACHABLE)
        return ""

    monkeypatch.setattr(Chain, "client", SimpleNamespace(must_run=command))
    gatekeeper, claim = Gatekeeper(), claim_of(Link.DNS, inherited=(EXEC,))
    gatekeeper.require_untried(claim)
    gatekeeper.try_command(chain)
    gatekeeper.require_untried(claim_of(Link.API))
    with nullcontext() if works else pytest.raises(HarnessError, match="no command can be run in a Pod: error dialing backend"):
        gatekeeper.require_untried(claim)


def miscounting() -> list[KubeObject]:
    return [changed(each, "status.readyReplicas", 1) if each.kind == "ReplicaSet" else each for each in healthy()]


def test_replica_set_is_to_blame_for_the_status_of_a_deployment_that_it_miscounts() -> None:
    chain, waiter, clock = up_to(*miscounting())
    gatekeeper, claim = Gatekeeper(), claim_of(Link.DEPLOYMENT, after=(Link.PODS,))
    gatekeeper.ask_again(used(claim.link, claim.after), chain, waiter)
    with pytest.raises(Blocked, match=r"status\.readyReplicas 2, got 1") as caught:
        gatekeeper.require_fed(claim, chain, waiter)
    assert (caught.value.waits_for, gatekeeper.why_shut(Link.REPLICASET)) == (Link.REPLICASET, None)
    assert clock.time - 1000 < 5


def test_replica_set_is_not_to_blame_for_what_it_does_not_feed() -> None:
    gatekeeper, (chain, waiter, clock) = Gatekeeper(), up_to(*miscounting())
    gatekeeper.require_fed(claim_of(Link.DEPLOYMENT), chain, waiter)
    gatekeeper.require_fed(claim_of(Link.DNS, after=(Link.PODS,)), chain, waiter)
    right, waiter, clock = up_to(*healthy())
    gatekeeper.require_fed(claim_of(Link.DEPLOYMENT, after=(Link.PODS,)), right, waiter)
    assert clock.time == 1000


def test_claim_on_a_service_of_its_own_is_blocked_by_endpoints_that_are_not_listed() -> None:
    chain, waiter, _ = up_to(*healthy())
    own = replace(chain, waiter=waiter)
    own.require_listed(WEB)
    with pytest.raises(
        Blocked, match="EndpointSlices of another to list exactly the 2 ready Pods, got no ready address"
    ) as caught:
        own.require_listed("another")
    assert caught.value.waits_for == Link.ENDPOINTS


def giving(value: Any) -> Callable[[object], Any]:
    return lambda _: value


@pytest.mark.parametrize("disturbs", [True, False])
def test_claim_that_stops_a_node_is_not_blocked_by_what_it_breaks(monkeypatch: pytest.MonkeyPatch, *, disturbs: bool) -> None:
    chain, _, _ = up_to(*sick())
    stated = claim_of(Link.NODES, requirements=(DISRUPTION,) if disturbs else ())
    known = {"run_state": run_state(shared_chain=chain), "claim_state": ClaimState(), "permissions": None}
    for where, name, value in [*((gating, *each) for each in known.items()), (claim, "of", stated)]:
        monkeypatch.setattr(where, name, giving(value))
    item: Any = SimpleNamespace(fixturenames=[gating.OF_CHAINS], config=None)
    blocked = gating.to_blame(item, AssertionError("the Node is not lost"))
    assert (blocked.waits_for if blocked else None) == (None if disturbs else Link.PODS)
