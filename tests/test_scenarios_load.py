"""The load on the nodePorts of a chain reaches every Node, and lasts until what it is about has ended."""

import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Page
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled
from kubechain.probes import http
from kubechain.probes.load import Sample, Tally
from kubechain.scenarios import rollout
from kubechain.scenarios.load import LEAST, PROBERS, load
from kubechain.scenarios.rollout import REPLICAS
from kubechain.workload import actions, node_reach, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import LINGER_SECONDS, WELCOME
from suites.lifecycle import test_4_nodes
from tests.fakes import FakeClock, changed, deployment, pod, replica_set, service
from tests.test_gates import up_to


def nothing(*_: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize("nodes", [1, 2, PROBERS, PROBERS + 2])
def test_every_node_is_sent_requests(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, urls, all_asked = set[str](), [f"http://node-{number}/" for number in range(nodes)], threading.Event()

    def fetch(url: str, *, port: int) -> Page:
        asked.add(url)
        if len(asked) == nodes:
            all_asked.set()
        return Page(url, 200, WELCOME, source=str(port))

    monkeypatch.setattr(http, "fetch", fetch)
    monkeypatch.setattr(sources, "backends_at_nodes", nothing)
    monkeypatch.setattr(node_reach, "require_host", nothing)
    waiter = SimpleNamespace(eventually=nothing, clock=RealClock())
    chain = cast("Chain", cast("Any", SimpleNamespace(require=nothing, waiter=waiter, pod_names=frozenset())))
    with load(chain, urls, 200.0) as stream:
        assert all_asked.wait(5), f"never asked: {sorted({*urls} - asked)}"
    assert not stream.tally().lost


def rolling_up(ends: float) -> tuple[Chain, FakeClock]:
    """Return a chain that is rolled out one second after its template changes, and whose old Pods end later."""
    old, new = ([pod(number, name=f"web-{which}-{number}") for number in range(REPLICAS)] for which in ("old", "new"))
    chain, _, clock = up_to(deployment(), replica_set(), service(), *old)

    def roll() -> None:
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), REPLICAS)
        second = {"deployment.kubernetes.io/revision": "2"}
        chain.objects.record("MODIFIED", deployment(annotations=second, status={"observedGeneration": 1, **counts}))
        for each in (*new, *(changed(each, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z") for each in old)):
            chain.objects.record("MODIFIED", changed(each, "metadata.resourceVersion", f"9{each.version}"))

    def end() -> None:
        for each in old:
            chain.objects.record("DELETED", each)

    clock.at(1.0, roll)
    clock.at(ends, end)
    return chain, clock


def loaded(monkeypatch: pytest.MonkeyPatch, clock: FakeClock, *modules: Any) -> list[float]:
    """Put a load of enough requests in the place of that of scenarios; return where the times of its end are noted."""
    samples = tuple(Sample(clock.time, clock.time, "up", count=10) for _ in range(LEAST))
    ended: list[float] = []

    @contextmanager
    def load(*_: object) -> Generator[Any]:
        tally = Tally("x", samples)
        yield SimpleNamespace(requests=Polled("requests", lambda: tally, clock), tally=lambda: tally)
        ended.append(clock.time)

    for module in modules:
        monkeypatch.setattr(module, "load", load)
    return ended


def test_roll_is_under_load_until_the_last_old_pod_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, clock = rolling_up(1.0 + LINGER_SECONDS)
    began, ended = clock.time, loaded(monkeypatch, clock, rollout)
    monkeypatch.setattr(actions, "template", nothing)
    with rollout.roll(chain):
        assert ended[0] >= began + 1 + LINGER_SECONDS


def test_drain_is_under_load_until_the_last_pod_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, clock = rolling_up(1.0 + LINGER_SECONDS)
    began, ended = clock.time, loaded(monkeypatch, clock, test_4_nodes)
    (first, *_) = chain.pods

    def evictions(*_: object) -> Polled[int]:
        return Polled("evictions", lambda: 201, clock)

    monkeypatch.setattr(sources, "evictions", evictions)

    def cordoned(*_: object) -> nullcontext[None]:
        return nullcontext()

    def node_urls(_: Chain) -> dict[str, str]:
        return {"a": "http://a/"}

    monkeypatch.setattr(actions, "cordoned", cordoned)
    moved = replace(chain, replicas=REPLICAS)
    monkeypatch.setattr(Chain, "node_urls", node_urls)
    chain.objects.record("MODIFIED", changed(changed(first, "metadata.resourceVersion", "8000"), "spec.nodeName", "drained"))
    test_4_nodes.test_drain_loses_no_request(moved, moved.waiter.eventually)
    assert ended[0] >= began + 1 + LINGER_SECONDS
