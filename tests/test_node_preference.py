"""Claims about Services that prefer the Node of who asks, on a cluster that heeds it and on one that does not."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.chain import Create
from kubechain.claims.claim import Link
from kubechain.core.errors import Blocked, NotApplicable, Unmet
from kubechain.kube.objects import KubeObject
from kubechain.kube.overlay import Overlay
from kubechain.kube.shape import Shape
from kubechain.workload.chain import Chain
from kubechain.workload.placement import other_node, ready_on_its_node
from suites.chain import test_6_ways as ways
from tests.fakes import conditions, thing
from tests.hostile import network
from tests.hostile.cluster import Cluster
from tests.hostile.containers import Container
from tests.walkthrough.walking import PATIENT, clean_cluster, creating, factory_on

pytestmark = pytest.mark.whole_runs

BY_NODE = [ways.test_internal_traffic_policy_local_stays_on_the_node, ways.test_same_node_is_preferred]


@pytest.fixture(autouse=True)
def few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    # The cluster sends them one after the other before it accepts the exec; it leads to the Pods in turn, lest chance hides one.
    turns = count()

    def in_turn(places: list[tuple[str, int]]) -> tuple[str, int]:
        return places[next(turns) % max(len(places), 1)]

    monkeypatch.setattr(network, "random", SimpleNamespace(choice=in_turn))
    monkeypatch.setattr(ways, "MANY", 6)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with clean_cluster(tmp_path) as made:
        yield made


@pytest.fixture
def chain(server: Cluster, tmp_path: Path) -> Iterator[Chain]:
    """A chain that is up."""
    with factory_on(server, tmp_path) as factory, factory.serving(factory.waiter()) as made:
        yield made


@pytest.fixture
def create() -> Iterator[Create]:
    """Create objects as the fixture of claims does."""
    with creating() as made:
        yield made


@pytest.mark.parametrize("claim", BY_NODE)
def test_preference_for_a_node_holds_where_it_is_heeded(
    claim: Callable[..., None], chain: Chain, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Callable[..., Any] = getattr(Container, "_request")  # noqa: B009

    def heeding(self: Container, url: str, method: str) -> Any:
        listed = [
            (entry, each["ports"][0]["port"])
            for each in self.core.store.all("EndpointSlice", chain.namespace)
            if each["metadata"]["labels"]["kubernetes.io/service-name"] in {"local-inside", "near"}
            for entry in each["endpoints"]
            if entry["conditions"]["ready"]
        ]
        own = [each for each in listed if each[0]["nodeName"] == self.pod["spec"]["nodeName"]]
        for entry, port in (own or listed)[:1]:
            return asked(self, f"http://{entry['addresses'][0]}:{port}/", method)
        return asked(self, url, method)

    monkeypatch.setattr(Container, "_request", heeding)
    chain.waiter.patience = PATIENT
    claim(chain, create, chain.waiter.eventually)


@pytest.mark.parametrize("claim", BY_NODE)
def test_preference_for_a_node_that_is_ignored_is_noticed_though_one_node_has_every_pod(
    claim: Callable[..., None], chain: Chain, create: Create, server: Cluster
) -> None:
    # This cluster knows no such policy.
    for pod in chain.pods:
        server.store.modify(("Pod", chain.namespace, pod.name), lambda body: body["spec"].update(nodeName="hostile-1"))
    chain.objects.refresh()
    with pytest.raises(Unmet, match=r"expected answers of web-here alone, got web-here.*, web-there"):
        claim(chain, create, chain.waiter.eventually)


@pytest.mark.parametrize(
    ("reason", "error", "says"),
    [
        ("Unschedulable", NotApplicable, "needs a Node that takes Pod web-here: Too many pods"),
        ("SchedulerError", Blocked, "never ready"),
    ],
)
def test_pod_that_its_node_does_not_take_is_no_obstacle(reason: str, error: type[Exception], says: str) -> None:
    def never(_: str) -> None:
        raise Blocked(Link.PODS, "never ready")

    def present_pod(*_: str) -> KubeObject:
        return pod

    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "Too many pods"}
    pod = KubeObject({"kind": "Pod", "metadata": {"name": "web-here"}, "status": {"conditions": [condition]}})
    chain = cast("Chain", SimpleNamespace(ready_inside=never, present=present_pod))
    with pytest.raises(error, match=says):
        ready_on_its_node(chain, "web-here")


def test_pod_of_a_large_body_that_its_node_does_not_take_is_no_obstacle(chain: Chain, create: Create, server: Cluster) -> None:
    server.core.full = "2 node(s) didn't match Pod's node affinity/selector"
    with pytest.raises(NotApplicable, match=r"needs a Node that takes Pod far: .*node affinity"):
        ways.test_large_body_crosses_nodes(chain, create, chain.waiter.eventually)


@pytest.mark.parametrize(
    "shape",
    [
        Shape("r", architectures=("amd64",)),
        Shape("r", selector={"kubernetes.io/arch": "amd64"}),
        Shape("r", Overlay.model_validate({"pods": {"nodeSelector": {"pool": "test"}}})),
    ],
)
def test_other_node_is_one_that_the_pods_of_the_run_may_run_on(shape: Shape) -> None:
    status = {"conditions": conditions(Ready="True")}
    machines = {"here": ("amd64", "test"), "arm": ("arm64", "gpu"), "there": ("amd64", "test")}
    labels = {name: {"kubernetes.io/arch": arch, "pool": pool} for name, (arch, pool) in machines.items()}
    nodes = [thing("Node", name, labels=labels[name], spec={}, status=status) for name in machines]
    client = thing("Pod", "client", spec={"nodeName": "here"})

    def asked_at(_: str) -> Any:
        return SimpleNamespace(unable={})

    def present(*_: str) -> KubeObject:
        return client

    stated = SimpleNamespace(
        api=SimpleNamespace(shape=shape), nodes_now=nodes, cluster_ip="10.96.0.9", asked_at=asked_at, present=present
    )
    assert other_node(cast("Chain", stated)) == "there"
