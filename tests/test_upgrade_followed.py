"""Samplers on Nodes that come and go: the real programs on a cluster of loopback addresses."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.observe.clock import RealClock
from kubechain.upgrade import followed_nodes, pod_samplers, routes, samplers
from kubechain.upgrade.availability import kept_up
from kubechain.upgrade.figures import figures
from kubechain.upgrade.model import Kind, RouteSamples, UpgradeRecord
from kubechain.upgrade.presence import ASKED_SECONDS, node_spans
from kubechain.upgrade.sample_store import SampleStore
from kubechain.upgrade.sampler_manifests import daemon_set
from kubechain.upgrade.samplers import RunningSamplers, sampling
from kubechain.workload.reached import Reached
from tests.changing_cluster import ChangingCluster, changing_cluster
from tests.fakes import changed, thing

pytestmark = pytest.mark.whole_runs

CLOCK = RealClock()


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def observe(
    cluster: ChangingCluster,
    folder: Path,
    change: Callable[[RunningSamplers], object],
    origin: Any = "host",
    reached: Reached | None = None,
) -> UpgradeRecord:
    """Sample while the cluster is changed; return the record."""
    listed = CLOCK.wall()
    with sampling(cluster.chain(origin, reached), cluster.nodes, folder, CLOCK) as running:
        change(running)
        ended = CLOCK.wall()
    spans = node_spans(cluster.nodes.log(), running.began, ended, listed=listed)
    spans, found = running.between(running.began, ended, spans)
    return UpgradeRecord(("1", "2"), running.began, ended, found, (), (), 0, 0, 1, upgraded_by_this_run=False, nodes=spans)


def of(record: UpgradeRecord, kind: Kind, name: str) -> list[RouteSamples]:
    return [each for each in record.routes if each.route.kind == kind and name in (each.route.what, each.route.place)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(samplers, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(samplers, "FOLLOW_SECONDS", 0.1)
    monkeypatch.setattr(samplers, "ANSWERED", Timeout(1, "a test"))
    with changing_cluster(tmp_path) as cluster:
        monkeypatch.setattr(routes, "url", cluster.pages)
        cluster.join("stays", "127.0.1.1")
        cluster.join("leaves", "127.0.1.2")
        yield cluster


def test_replaced_node_loses_nothing_and_a_loss_on_a_node_that_stays_is_found(cluster: ChangingCluster, tmp_path: Path) -> None:
    def replace(_: RunningSamplers) -> None:
        pause(1)
        cluster.change("uid-leaves", "spec.unschedulable", value=True)
        pause(0.5)
        cluster.close("uid-leaves")
        pause(0.5)
        cluster.remove("uid-leaves")
        cluster.join("leaves", "127.0.1.3", uid="0123456789")
        pause(1)
        cluster.close("uid-stays")
        pause(3)
        cluster.open("uid-stays")
        pause(1.5)

    record = observe(cluster, tmp_path / "samples", replace)
    found = kept_up("NodePort")(record)
    assert "no request lost on NodePort stays" in found.expected
    for seen in of(record, "NodePort", "stays"):
        (outage,) = figures(record, seen).outages
        assert outage.seconds == pytest.approx(3, abs=0.2)
    old, new = of(record, "NodePort", "leaves"), of(record, "NodePort", "leaves (01234567)")
    assert len(old) == len(new) == 2
    for seen in (*old, *new):
        assert (len(seen.tally.lost), bool(seen.tally.samples)) == (0, True)
    assert all(sum(each.lost for each in seen.aside.values()) for seen in old)
    joined = next(span.start for span in record.nodes if span.uid == "0123456789")
    assert all(seen.tally.samples[0].sent - joined < ASKED_SECONDS for seen in new)
    # What the sampler on the Node had is kept, and the one on the new Node has begun.
    assert all(seen.tally.up > 5 for name in ("leaves", "leaves (01234567)") for seen in of(record, "ClusterIP", name))
    assert kept_up("ClusterIP")(record).met
    assert kept_up("DNS")(record).met


def test_node_that_did_not_answer_before_the_change_is_named_and_holds_up_nothing(
    cluster: ChangingCluster, tmp_path: Path
) -> None:
    cluster.close("uid-leaves")
    silent: list[str] = []

    def change(running: RunningSamplers) -> None:
        silent.extend(running.silent)
        pause(1)

    record = observe(cluster, tmp_path / "samples", change)
    # This cluster has no API server that answers.
    assert sorted(each for each in silent if not each.startswith("API")) == [
        "NodePort leaves, kept connections",
        "NodePort leaves, new connections",
    ]
    with pytest.raises(HarnessError, match=r"NodePort leaves, .* connections to answer before the change"):
        kept_up("NodePort")(record)
    assert kept_up("ClusterIP")(record).met


def test_sampler_of_a_node_that_is_gone_is_asked_no_more(cluster: ChangingCluster, tmp_path: Path) -> None:
    def remove(running: RunningSamplers) -> None:
        pause(0.5)
        cluster.change("uid-leaves", "spec.unschedulable", value=True)
        cluster.remove("uid-leaves")
        pause(1)
        assert {route.what for route in running.nodes.ended} == {"leaves"}

    record = observe(cluster, tmp_path / "samples", remove)
    assert {each.route.what for each in record.routes if each.route.kind == "NodePort"} == {"stays", "leaves"}


def test_node_that_is_not_ready_blocks_nothing(cluster: ChangingCluster, tmp_path: Path) -> None:
    lost = [{"type": "Ready", "status": "Unknown"}]
    cluster.change("uid-leaves", "status.conditions", lost)
    cluster.api.refused.add("uid-leaves")
    record = observe(cluster, tmp_path / "samples", lambda _: pause(1))
    assert {each.route.what for each in record.routes if each.route.kind == "NodePort"} == {"stays"}
    assert kept_up("NodePort")(record).met


def test_node_that_is_lost_before_its_first_sample_does_not_hold_up_the_begin(
    cluster: ChangingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, lost = pod_samplers.PodSampler.fetch, [{"type": "Ready", "status": "Unknown"}]

    def refusing(sampler: pod_samplers.PodSampler, api: Api) -> None:
        if sampler.node.name == "leaves":
            if cluster.present["uid-leaves"].is_true("Ready"):
                cluster.change("uid-leaves", "status.conditions", lost)
            raise HarnessError("no route to the Node")
        fetch(sampler, api)

    monkeypatch.setattr(pod_samplers.PodSampler, "fetch", refusing)
    record = observe(cluster, tmp_path / "samples", lambda _: pause(0.5))
    assert {each.route.what for each in record.routes if each.route.kind == "NodePort"} == {"stays"}


def test_nodes_are_asked_from_another_pod_when_the_node_of_the_first_leaves(cluster: ChangingCluster, tmp_path: Path) -> None:
    def change(running: RunningSamplers) -> None:
        first = running.nodes.asker
        assert first is not None
        pause(1)
        cluster.change(first.node.uid, "spec.unschedulable", value=True)
        pause(1)
        assert running.nodes.asker not in (None, first)

    record = observe(cluster, tmp_path / "samples", change, "cluster")
    ports = [each.route for each in record.routes if each.route.kind == "NodePort" and not each.route.reuse]
    # The Node that is cordoned was asked by both Nodes before, and the other one asks itself after.
    assert len({(route.what, route.place) for route in ports}) == 3
    assert {route.place for route in ports} == {"stays", "leaves"}
    assert kept_up("NodePort")(record).met


def test_node_whose_address_another_machine_has_here_is_asked_from_a_pod(cluster: ChangingCluster, tmp_path: Path) -> None:
    reached = Reached(cluster.api, {"127.0.1.1"}, {"127.0.1.2", "127.0.1.3"})

    def change(_: RunningSamplers) -> None:
        pause(0.5)
        cluster.join("joins", "127.0.1.3")
        pause(3)

    record = observe(cluster, tmp_path / "samples", change, reached=reached)
    ports = {(each.route.what, bool(each.route.place)) for each in record.routes if each.route.kind == "NodePort"}
    assert ports == {("stays", False), ("leaves", True), ("joins", True)}
    assert kept_up("NodePort")(record).met


def test_interrupted_run_is_continued_with_all_its_samples(cluster: ChangingCluster, tmp_path: Path) -> None:
    first = observe(cluster, tmp_path / "samples", lambda _: pause(1))
    (seen,) = [each for each in of(first, "NodePort", "stays") if not each.route.reuse]
    second = observe(cluster, tmp_path / "samples", lambda _: pause(1))
    (again,) = [each for each in of(second, "NodePort", "stays") if not each.route.reuse]
    # Condensed: the samples of one run are spread evenly.
    assert again.tally.between(first.began, first.ended).up
    assert again.tally.requests > seen.tally.requests
    assert second.began == first.began


def test_node_that_came_just_now_holds_up_no_run_that_goes_on(
    cluster: ChangingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The run waits for the sampler, and then for its samples.
    monkeypatch.setattr(samplers, "BACK", Timeout(3, "a test"))
    observe(cluster, tmp_path / "samples", lambda _: pause(0.5))
    # Its sampler still waits for its image.
    cluster.api.refused.add("comes")
    cluster.join("comes", "127.0.1.4", uid="comes")
    record = observe(cluster, tmp_path / "samples", lambda _: pause(0.5))
    assert of(record, "NodePort", "comes")


def test_node_without_a_sampler_is_unasked_on_every_route_that_its_sampler_would_have(
    cluster: ChangingCluster, tmp_path: Path
) -> None:
    owner = thing("DaemonSet", "x")
    followed = followed_nodes.FollowedNodes(cluster.chain(), cluster.nodes, owner, SampleStore(tmp_path))
    followed.begin(frozenset(["stays"]))
    assert {(route.kind, route.place) for route in followed.unasked()} == {("ClusterIP", "stays"), ("DNS", "stays")}
    # Of its nodePort, this machine knows; where it reaches no Node, a sampler would have to ask there as well.
    followed = followed_nodes.FollowedNodes(cluster.chain("cluster"), cluster.nodes, owner, SampleStore(tmp_path))
    followed.begin(frozenset(["stays"]))
    assert [route.what for route in followed.unasked() if route.kind == "NodePort"] == ["stays"]


def test_large_cluster_gets_no_more_nodes_than_a_sample(
    cluster: ChangingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_nodes, "SAMPLE", 2)
    followed = followed_nodes.FollowedNodes(cluster.chain(), cluster.nodes, thing("DaemonSet", "x"), SampleStore(tmp_path))
    followed.begin(frozenset(["stays", "leaves"]))
    cluster.join("third", "127.0.1.4", uid="third")
    followed.follow(cluster.api)
    assert set(followed.asked) == {"uid-stays", "uid-leaves"}
    cluster.remove("uid-leaves")
    followed.follow(cluster.api)
    assert set(followed.asked) == {"uid-stays", "uid-leaves", "third"}


def test_node_that_takes_the_place_of_another_in_a_large_cluster_has_no_sampler_that_could_lack(
    cluster: ChangingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_nodes, "SAMPLE", 2)
    owner = changed(thing("DaemonSet", "x"), "spec", daemon_set("client", ["stays", "leaves"])["spec"])
    followed = followed_nodes.FollowedNodes(cluster.chain(), cluster.nodes, owner, SampleStore(tmp_path))
    followed.begin(frozenset(["stays", "leaves"]))
    cluster.remove("uid-leaves")
    cluster.join("third", "127.0.1.4", uid="third")
    assert followed.follow(cluster.api) == ["stays"]
    assert {route.place for route in followed.unasked()} == {"stays", "leaves"}
    assert any(each.route.what == "third" for each in followed.requests)
