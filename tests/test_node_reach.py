"""Nodes are asked from this machine only where a Pod of the chain has answered it, else from Pods."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims.requirements import ProbeOrigin
from kubechain.conditions.http import Page
from kubechain.core.errors import HarnessError, NotApplicable
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.probes import http
from kubechain.probes.pod import PodProbe
from kubechain.workload import namespace, node_reach, sources
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.reached import Reached
from tests.fakes import FakeClock, changed, conditions, pod, service, thing

API, COMMANDS = cast("Any", object()), cast("Any", object())
# A Node, and where it is asked by the chain's own Service.
NEAR, FAR = "10.0.0.1", "10.0.0.2"
WEB = pod(0).name


def node(name: str, address: str) -> KubeObject:
    status = {"addresses": [{"type": "InternalIP", "address": address}], "conditions": conditions(Ready="True")}
    return thing("Node", name, spec={}, status=status)


def on(name: str, each: KubeObject, at: str) -> KubeObject:
    return changed(changed(each, "metadata.name", name), "spec.nodeName", at)


def chain(reached: Reached | None, probe_from: ProbeOrigin = "host", client_at: str = "near") -> Chain:
    clock = FakeClock()
    history = History("ns", clock)
    client = changed(on(CLIENT, pod(1), client_at), "metadata.labels", {"app": CLIENT})
    for each in (service(), on(WEB, pod(0), "near"), client):
        history.record("ADDED", each)
    observer = cast("Any", SimpleNamespace(history=history))
    nodes = node("near", NEAR), node("far", FAR)
    return Chain(
        API, "ns", observer, Waiter(clock), nodes, probe_from, "nginx", frozenset(), "client", 2, reached=reached
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Who asked which URL; this machine is answered by the Node `near` alone, and by a stranger at the address of `far`."""
    log: list[tuple[str, str]] = []

    def from_here(where: str, **_: object) -> Page:
        log.append(("host", where))
        return Page(where, 200, backend=WEB) if NEAR in where else Page(where, failure="refused")

    def from_pod(self: PodProbe, *urls: str) -> list[Page]:
        log.extend((self.pod if self.api is API else f"{self.pod} to learn", where) for where in urls)
        return [Page(where, 200, backend=WEB) for where in urls]

    monkeypatch.setattr(http, "fetch", from_here)
    monkeypatch.setattr(PodProbe, "fetch", from_pod)
    return log


def test_node_that_a_pod_alone_reaches_is_asked_from_there_and_this_is_found_out_once(asked: list[tuple[str, str]]) -> None:
    made = chain(Reached(COMMANDS))
    pages = sources.pages_at_nodes(made)
    assert [page.backend for page in pages.read()] == [WEB, WEB]
    assert (CLIENT, f"http://{FAR}:30080/") in asked
    asked.clear()
    assert [page.backend for page in pages.read()] == [WEB, WEB]
    assert sorted(asked) == [(CLIENT, f"http://{FAR}:30080/"), ("host", f"http://{NEAR}:30080/")]


def test_chain_without_a_client_pod_is_asked_from_its_own_pods(asked: list[tuple[str, str]]) -> None:
    made = chain(Reached(COMMANDS))
    made.objects.record("DELETED", made.present("Pod", CLIENT))
    assert node_reach.far(made, [NEAR, FAR], API) == {FAR}
    assert (WEB, f"http://{FAR}:30080/") in asked
    asked.clear()
    # Known by now; without the right to run commands nothing else can be found out.
    assert node_reach.far(made, [FAR, "10.0.0.9"], API) == {FAR, "10.0.0.9"}
    assert not any(FAR in where for _, where in asked)
    assert node_reach.far(chain(Reached(None)), [FAR], API) == set()
    assert node_reach.far(chain(None), [FAR], API) == set()
    assert node_reach.far(chain(None, "cluster"), [FAR], API) == {FAR}


def test_refusal_counts_where_the_node_is_reached_from(asked: list[tuple[str, str]]) -> None:
    made = chain(Reached(COMMANDS))
    sources.pages_at_nodes(made).read()
    asked.clear()
    made.objects.record("DELETED", service())
    node_reach.fetch(made, f"http://{NEAR}:31000/", f"http://{FAR}:31000/")
    assert sorted(asked) == [(CLIENT, f"http://{FAR}:31000/"), ("host", f"http://{NEAR}:31000/")]


def test_pod_on_another_node_asks(asked: list[tuple[str, str]]) -> None:
    sources.pages_at_nodes(chain(Reached(COMMANDS), client_at="far")).read()
    assert [who for who, where in asked if who != "host" and FAR in where] == [f"{WEB} to learn", WEB]


@pytest.mark.parametrize(
    ("reached", "probe_from", "who"),
    [(None, "host", "host"), (Reached(None), "host", "host"), (Reached(COMMANDS), "cluster", CLIENT), (None, "cluster", CLIENT)],
)
def test_own_cluster_and_missing_rights_leave_it_at_this_machine(
    asked: list[tuple[str, str]], reached: Reached | None, probe_from: ProbeOrigin, who: str
) -> None:
    sources.pages_at_nodes(chain(reached, probe_from)).read()
    assert {each for each, _ in asked} == {who}


def silent(*_: object, **__: object) -> list[Page]:
    return [Page("x", failure="timeout")]


def failing(*_: object, **__: object) -> list[Page]:
    raise HarnessError("no command can be run")


@pytest.mark.parametrize("inside", [silent, failing])
def test_node_that_answers_nobody_is_asked_from_this_machine(
    asked: list[tuple[str, str]], inside: Callable[..., list[Page]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PodProbe, "fetch", inside)
    pages = sources.pages_at_nodes(chain(Reached(COMMANDS))).read()
    assert [page.failure for page in pages] == ["", "refused"]
    assert asked


def test_node_that_begins_to_serve_meanwhile_is_asked_from_this_machine(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready: list[str] = []

    def from_here(where: str, **_: object) -> Page:
        return Page(where, 200, backend=WEB) if ready else Page(where, failure="refused")

    def from_pod(_self: PodProbe, *urls: str) -> list[Page]:
        ready.append("x")
        return [Page(where, 200, backend=WEB) for where in urls]

    monkeypatch.setattr(http, "fetch", from_here)
    monkeypatch.setattr(PodProbe, "fetch", from_pod)
    reached = Reached(COMMANDS)
    node_reach.fetch(chain(reached), f"http://{FAR}:30080/")
    assert (reached.from_here, reached.from_pods, asked) == ({FAR}, set(), [])


@pytest.mark.usefixtures("asked")
def test_claim_on_what_comes_from_this_machine_does_not_apply_where_it_reaches_no_node() -> None:
    node_reach.require_host(chain(None))
    with pytest.raises(NotApplicable, match=r"needs this machine to reach .* Pods alone reach 10\.0\.0\.2:30080"):
        node_reach.require_host(chain(Reached(COMMANDS)))


@pytest.mark.parametrize(("error", "origin"), [(ConnectionRefusedError, "host"), (TimeoutError, "cluster")])
def test_few_nodes_are_tried_before_the_first_claim(
    error: type[OSError], origin: ProbeOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def connect(address: tuple[str, int], **_: object) -> Any:
        tried.append(address[0])
        raise error

    monkeypatch.setattr(namespace.socket, "create_connection", connect)
    many = tuple(node(f"n{number}", f"10.0.1.{number}") for number in range(200))
    assert namespace.probe_from(many) == origin
    assert len(tried) <= namespace.PROBED_NODES
