"""Chains that are made and deleted while claims go on, on a cluster on loopback; and which claims they are made for."""

import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.requirements import DISRUPTION, Environment, Requirement
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import CONTROLLER
from kubechain.core.errors import HarnessError
from kubechain.core.run import RUN_LABEL
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest.ahead import CLAIMS_AHEAD, Ahead, users
from kubechain.pytest.state import RUN
from kubechain.workload import manifests
from kubechain.workload.chain import Chain
from kubechain.workload.chains_ahead import MOST, ChainsAhead
from kubechain.workload.factory import ChainFactory
from tests.fakes import claim_of
from tests.hostile.acts import failing, on, rule
from tests.hostile.cluster import Cluster
from tests.hostile.workloads import is_ready
from tests.walkthrough.walking import IMAGE


def spaces(server: Cluster) -> list[str]:
    """Return the namespaces of the run that are not being deleted."""
    every = [each["metadata"] for each in server.store.all("Namespace")]
    return sorted(m["name"] for m in every if RUN_LABEL in m.get("labels", {}) and "deletionTimestamp" not in m)


def wait_until_made(factory: ChainFactory, count: int) -> None:
    """Wait until so many chains are made that no claim uses."""
    unused = Polled("chains", lambda: len(factory.ahead.unused), RealClock())
    made = Condition[int](f"{count} chains", lambda found: expect(found == count, str(found)))
    Waiter(RealClock()).eventually(unused, made, within=CONTROLLER)


def test_next_chain_is_made_while_one_is_used_and_is_the_one_that_the_next_claim_gets(
    factory: ChainFactory, server: Cluster
) -> None:
    coming = [1]
    factory.more_to_come = lambda: coming[0]
    with factory.own(factory.waiter()) as first:
        factory.ahead.prepare(1)
        coming[0] = 0
        # It is up before a claim asks for it.
        clock = RealClock()
        ready = Polled("Pods", lambda: sum(map(is_ready, server.store.all("Pod", f"{factory.prefix}-1"))), clock)
        all_up = Condition[int]("3 ready Pods", lambda count: expect(count == 3, str(count)))
        Waiter(clock).eventually(ready, all_up, within=CONTROLLER)
        assert spaces(server) == [first.namespace, f"{factory.prefix}-1"]
    with factory.own(factory.waiter()) as second:
        assert (second.namespace, second.api) == (f"{factory.prefix}-1", factory.api)
    factory.end()
    assert spaces(server) == []
    assert sorted(record.namespace for record in factory.chains) == sorted([first.namespace, second.namespace])


def test_chain_that_nobody_used_is_deleted_and_has_no_record(factory: ChainFactory, server: Cluster) -> None:
    factory.more_to_come = lambda: 1
    factory.prepare()
    wait_until_made(factory, 1)
    factory.drop_spare()
    assert (spaces(server), factory.chains) == ([], [])
    assert len(factory.namespaces) == 1
    factory.end()


def test_chain_that_is_not_begun_when_the_run_ends_is_not_made() -> None:
    begun, goes_on, made = threading.Event(), threading.Event(), list[str]()

    def make(_api: Api, _deployment: Json | None) -> tuple[ExitStack, Chain]:
        made.append("one")
        begun.set()
        goes_on.wait(10)
        raise HarnessError("away")

    ahead = ChainsAhead(cast("Api", SimpleNamespace(twin=lambda: SimpleNamespace(close=lambda: None))), make)
    ahead.prepare(MOST)
    begun.wait(10)
    threading.Timer(0.2, goes_on.set).start()
    ahead.drop()
    ahead.end()
    assert made == ["one"]


def test_no_chain_is_made_ahead_where_no_claim_takes_one(factory: ChainFactory) -> None:
    factory.prepare()
    with factory.serving(factory.waiter(), manifests.deployment(IMAGE, replicas=1)) as chain:
        assert (chain.replicas, len(chain.pods)) == (1, 1)
    factory.end()
    assert len(factory.namespaces) == 1


def test_at_most_two_are_made_ahead(factory: ChainFactory) -> None:
    factory.more_to_come = lambda: 9
    factory.prepare()
    factory.prepare()
    wait_until_made(factory, MOST)
    factory.end()
    assert len(factory.namespaces) == MOST


def test_creation_that_fails_is_an_error_of_the_claim_that_takes_the_chain(factory: ChainFactory, server: Cluster) -> None:
    refuse = failing(403)
    rule(on("create", "Namespace"), refuse, times=1)(server)
    factory.ahead.prepare(1)
    with pytest.raises(HarnessError, match="403"), factory.own(factory.waiter()):
        pass
    with factory.own(factory.waiter()):
        pass
    factory.end()


def test_deletion_that_fails_is_an_error_of_the_end_and_keeps_no_other_from_being_deleted(
    factory: ChainFactory, server: Cluster
) -> None:
    with factory.own(factory.waiter()) as kept:
        rule(on("delete", "Namespace"), failing(403), times=1)(server)
    with factory.own(factory.waiter()):
        pass
    with pytest.raises(HarnessError, match="403"):
        factory.end()
    assert spaces(server) == [kept.namespace]
    # As the end of the run does.
    factory.api.delete("Namespace", "", kept.namespace)


def test_chain_that_was_being_made_when_an_interrupt_came_is_deleted_at_the_end(
    monkeypatch: pytest.MonkeyPatch, factory: ChainFactory, server: Cluster
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ChainsAhead, "_used", interrupted)
    with pytest.raises(KeyboardInterrupt), factory.serving(factory.waiter()):
        pass
    factory.end()
    assert len(factory.namespaces) == 1
    assert spaces(server) == []


ALLOWED = Environment(cast("Any", SimpleNamespace(owned=True, namespace="")), (), "host", disruptive=False)


class Made:
    """What a thread made: closes are counted."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.count = 0

    def twin(self) -> Api:
        return cast("Api", SimpleNamespace(close=lambda: self.closed.append("client")))

    def make(self, _api: Api, deployment: Json | None) -> tuple[ExitStack, Chain]:
        self.count += 1
        name, stack = f"{(deployment or {}).get('name', 'usual')}-{self.count}", ExitStack()
        stack.callback(self.closed.append, name)
        return stack, cast("Chain", SimpleNamespace(namespace=name))


def test_every_chain_is_closed_once() -> None:
    made = Made()
    ahead = ChainsAhead(cast("Any", made), made.make)
    stack, chain = ahead.take()
    ahead.prepare(1)
    other, _ = ahead.make({"name": "other"})
    ahead.close(stack)
    ahead.close(stack)
    assert (chain.namespace, ahead.unused) == ("usual-1", {"usual-2"})
    ahead.end()
    assert other
    assert sorted(made.closed) == ["client", "other-3", "usual-1", "usual-2"]
    ahead.end()


def item(nodeid: str, *names: str, needs: tuple[Requirement, ...] = ()) -> pytest.Item:
    """Return the test of a claim, with its fixtures and requirements."""
    marker = SimpleNamespace(args=[claim_of(Link.PODS, id=nodeid, requirements=needs)])

    def closest(_name: str) -> object:
        return marker

    return cast("pytest.Item", SimpleNamespace(nodeid=nodeid, fixturenames=names, get_closest_marker=closest))


def wanted(items: list[pytest.Item]) -> list[int]:
    """Return how many chains a run of one process wants at the beginning of each of these claims."""
    session, counts = SimpleNamespace(items=items), list[int]()
    state = SimpleNamespace(run=SimpleNamespace(folder=Path("none")), factory=None, permissions=ALLOWED)
    config = cast("Any", SimpleNamespace(stash={RUN: state}))
    ahead = Ahead(config)
    for each, following in zip(items, [*items[1:], None], strict=True):
        vars(each)["session"] = session
        protocol = ahead.pytest_runtest_protocol(each, following)
        next(protocol)
        counts.append(ahead.wanted())
    return counts


def test_chains_are_wanted_for_the_next_claims_and_no_longer_once_they_are_taken() -> None:
    assert wanted([item("a"), item("b", "own_chain"), item("c", "own_chain"), item("d")]) == [2, 1, 0, 0]
    scenario = [item("a"), item("b", "without_service"), item("c", "without_service")]
    assert wanted(scenario) == [1, 0, 0]
    far = [*(item(f"x{number}") for number in range(CLAIMS_AHEAD + 1)), item("b", "own_chain")]
    assert wanted(far)[:2] == [0, 1]


def test_no_chain_is_made_before_or_while_nodes_are_disturbed_for_a_claim_after_that() -> None:
    disturbing = item("b", needs=(DISRUPTION,))
    assert wanted([item("a"), disturbing, item("c", "own_chain")]) == [0, 0, 0]
    assert wanted([item("a", "own_chain"), item("b", "own_chain", needs=(DISRUPTION,))]) == [0, 0]


def test_claims_take_a_chain_each_and_a_scenario_one_for_its_claims() -> None:
    assert users(item("a", "chain", "shared_chain")) == set()
    assert users(item("b", "own_chain")) | users(item("c", "own_chain")) == {"b", "c"}
    assert users(item("d", "without_service")) == users(item("e", "without_service")) == {"without_service"}
