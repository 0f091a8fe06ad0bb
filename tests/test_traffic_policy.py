"""A nodePort that refuses because its Node does not know it yet does not show that a traffic policy is kept."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Page
from kubechain.core.errors import Unmet
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes import http
from kubechain.workload import actions, node_reach, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WELCOME
from suites.chain.test_6_reach import test_external_traffic_policy_local as policy_is_local
from tests.fakes import FakeClock, pod, thing

POD, SOURCE = pod(0), "192.0.2.1"
# Without a Pod, and with one.
NODES = {"node-1": "10.0.0.1", "node-0": "10.0.0.2"}
SYNC_SECONDS = 1.0


@dataclass
class Plane:
    """A data plane that knows of a Service, and of a change of it, a second later; one that is `wrong` ignores its policy."""

    wrong: bool
    clock: FakeClock = field(default_factory=FakeClock)
    changes: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def write(self, spec: Json) -> None:
        """Take the policy of a Service."""
        self.changes.append((self.clock.time, spec.get("externalTrafficPolicy", "Cluster")))

    def page(self, node: str) -> Page:
        """Return what a Node answers."""
        known = [policy for at, policy in self.changes if self.clock.time >= at + SYNC_SECONDS]
        answers = known and (node == "node-0" or known[-1] == "Cluster" or self.wrong)
        return Page(node, 200, WELCOME, POD.name, SOURCE) if answers else Page(node, failure="refused")

    def polled(self, *nodes: str) -> Polled[list[Page]]:
        """Return the source of what Nodes answer."""
        return Polled("answers", lambda: [self.page(node) for node in nodes], self.clock)

    def create(self, _: Chain, manifest: Json) -> KubeObject:
        """Make the Service."""
        self.write(manifest["spec"])
        return thing("Service", manifest["metadata"]["name"], spec={"ports": [{"nodePort": 30080}]})


@pytest.mark.parametrize("wrong", [False, True])
def test_node_without_a_pod_that_answers_late_fails_the_claim(monkeypatch: pytest.MonkeyPatch, *, wrong: bool) -> None:
    plane = Plane(wrong)

    def of_node(_: Chain, node: str, _port: int, count: int) -> Polled[list[Page]]:
        return plane.polled(*[node] * count)

    def of_nodes(*_: object) -> Polled[list[Page]]:
        return plane.polled(*NODES)

    def patch(_: Chain, spec: Json, _name: str) -> None:
        plane.write(spec)

    def nothing(*_: object) -> None:
        return None

    def own_address(*_: object) -> str:
        return SOURCE

    monkeypatch.setattr(sources, "pages_at_node", of_node)
    monkeypatch.setattr(sources, "pages_at_nodes", of_nodes)
    monkeypatch.setattr(actions, "service", patch)
    monkeypatch.setattr(node_reach, "require_host", nothing)
    monkeypatch.setattr(http, "own_address", own_address)
    given: Any = SimpleNamespace(asked=NODES, pods=[POD], require_listed=nothing, among_nodes=lambda condition: condition)  # pyright: ignore[reportUnknownLambdaType]
    chain, eventually = cast("Chain", given), Waiter(plane.clock).eventually
    if wrong:
        with pytest.raises(Unmet, match="expected every connection refused or without an answer, got node-1: 200"):
            policy_is_local(chain, plane.create, eventually)
    else:
        policy_is_local(chain, plane.create, eventually)
