"""NXDOMAIN says that the name of a deleted Service is gone only where it resolved before."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims.claim import Link
from kubechain.conditions.dns import Answer
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.wait import Polled
from kubechain.scenarios.deletion import without
from kubechain.workload import sources
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper
from suites.chain.test_8_deletion import test_name_goes_with_its_service as claim
from tests.engine_objects import OWNED
from tests.engine_objects import chain_factory as factory_of
from tests.fakes import FakeApi, healthy, no_answer, pod
from tests.test_gates import up_to

NAME, GONE = "web.ns.svc.cluster.local.", "NXDOMAIN"
Ask = Callable[[bool], list[Answer]]


def resolving(deleted: bool) -> list[Answer]:  # noqa: FBT001
    return [Answer(NAME, GONE) if deleted else Answer(NAME, "NOERROR", ("10.96.0.9",))]


def unknown(_deleted: bool) -> list[Answer]:  # noqa: FBT001
    return [Answer(NAME, GONE)]


def unasked(_deleted: bool) -> list[Answer]:  # noqa: FBT001
    raise HarnessError("no command can be run")


def judged(monkeypatch: pytest.MonkeyPatch, ask: Ask, gatekeeper: Gatekeeper | None = None) -> None:
    """Judge the claim on a cluster whose DNS answers so before and after the deletion."""
    made, waiter, clock = up_to(*healthy(), pod(name=CLIENT))
    deleted: list[str] = []

    def delete(kind: str, *_: object, **__: object) -> None:
        deleted.append(kind)

    def full_name(*_: object) -> str:
        return NAME

    def answers(*_: object) -> Polled[list[Answer]]:
        return Polled("answers", lambda: ask(bool(deleted)), clock)

    monkeypatch.setattr(sources, "answers", answers)
    monkeypatch.setattr(Chain, "full_name", full_name)
    chain = replace(made, api=cast("Any", SimpleNamespace(delete=delete)), node_ports=False)

    class Factory(ChainFactory):
        @contextmanager
        def serving(self, *_: object, **__: object) -> Generator[Chain]:
            yield chain

    of_run = factory_of(FakeApi(no_answer))
    assert of_run.environment.target is OWNED
    keeper = gatekeeper or of_run.gatekeeper
    factory = Factory(of_run.api, of_run.environment, {}, "kubechain-x", frozenset(), waiter, keeper)
    with without(factory, "Service") as scenario:
        assert deleted == ["Service"]
        claim(scenario, waiter.eventually)


def test_name_that_resolved_before_and_is_unknown_now_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, resolving)


def test_name_that_never_resolved_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unmet, match=rf"expected {NAME} -> 10\.96\.0\.9, got NXDOMAIN"):
        judged(monkeypatch, unknown)


def test_name_that_could_not_be_asked_before_leaves_the_claim_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HarnessError, match="no command can be run"):
        judged(monkeypatch, unasked)


def test_dns_that_is_known_to_be_broken_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Gatekeeper()
    keeper.shut(Link.DNS, "no answer of the DNS")
    with pytest.raises(Unmet, match="no answer of the DNS"):
        judged(monkeypatch, unasked, keeper)
