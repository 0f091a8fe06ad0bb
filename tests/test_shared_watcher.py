"""One watch of each kind for many namespaces, on a cluster on loopback: each history has its own objects, and all are proved."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, NamespaceState
from kubechain.observe.clock import RealClock
from kubechain.observe.shared_watcher import Selected, SharedWatcher, Split
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import KINDS
from tests.fakes import FakeClock, pod
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.cluster import Cluster, cluster

LABELS = {"run": "ours"}
SOON = Timeout(10, "the cluster acts at once")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, with_token(tmp_path)) as made:
        yield made


@pytest.fixture
def watcher(server: Cluster, tmp_path: Path) -> Iterator[SharedWatcher]:
    api = Api(server.kubeconfig, CONTEXT, tmp_path / "secrets")
    chosen = {"Event": Selected(fields="reason=Pulled"), "Endpoints": Selected(fields="metadata.name=web")}
    with SharedWatcher(api, RealClock(), KINDS, Selected("run=ours"), chosen) as made:
        yield made
    api.close()


def config_pod(namespace: str, name: str, labels: dict[str, str]) -> Json:
    """Return a Pod whose containers never become ready."""
    container = {"name": name, "image": "x", "readinessProbe": {"exec": {"command": ["false"]}}}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    status = {"phase": "Pending"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": [container]}, "status": status}


def has(*names: str) -> Condition[NamespaceState]:
    """Return the condition that a namespace has exactly the Pods of these names."""

    def found(state: NamespaceState) -> list[str]:
        return sorted(each.name for each in state.all("Pod"))

    return Condition(f"Pods {names}", lambda state: expect(found(state) == sorted(names), str(found(state))), SOON)


def test_each_namespace_has_a_history_of_its_own_and_all_share_one_watch_of_each_kind(
    watcher: SharedWatcher, server: Cluster
) -> None:
    views = {name: watcher.view(name) for name in ("a", "b", "c")}
    for space, name in (("a", "one"), ("b", "two"), ("b", "three"), ("elsewhere", "four")):
        server.store.create(config_pod(space, name, LABELS))
    waiter = Waiter(RealClock())
    waiter.eventually(views["a"].history, has("one"))
    waiter.eventually(views["b"].history, has("two", "three"))
    waiter.eventually(views["c"].history, has())
    assert server.api.watches == len(KINDS) == len(views["a"].kinds)
    server.store.delete(("Pod", "b", "two"), at_once=True)
    waiter.eventually(views["b"].history, has("three"))
    assert [change.change for change in views["b"].history.log() if change.resource.name == "two"][-1] == "DELETED"


def test_only_the_events_that_an_image_is_there_are_watched(watcher: SharedWatcher, server: Cluster) -> None:
    server.store.create(config_pod("a", "before", LABELS))
    view, waiter = watcher.view("a"), Waiter(RealClock())
    server.store.create(config_pod("a", "one", LABELS))
    pulled: Condition[NamespaceState] = Condition("an Event", lambda state: expect(bool(state.all("Event")), "none"), SOON)
    waiter.eventually(view.history, pulled)
    assert {str(each.at("reason")) for each in view.history.read().all("Event")} == {"Pulled"}


def test_object_that_the_selector_leaves_out_makes_no_verdict(watcher: SharedWatcher, server: Cluster) -> None:
    view = watcher.view("a")
    server.store.create(config_pod("a", "unlabelled", {}))
    with pytest.raises(HarnessError, match="watch of Pod does not deliver what a list shows") as caught:
        Waiter(RealClock()).eventually(view.history, has("unlabelled"), within=Timeout(0.2, "soon"))
    assert not isinstance(caught.value, Unmet)


def test_what_is_not_there_is_unmet_after_a_proof(watcher: SharedWatcher) -> None:
    with pytest.raises(Unmet, match=r"got \[\]"):
        Waiter(RealClock()).eventually(watcher.view("a").history, has("absent"), within=Timeout(0.2, "soon"))


def test_view_that_is_closed_leaves_the_watches_to_the_others(watcher: SharedWatcher, server: Cluster) -> None:
    closed, open_ = watcher.view("a"), watcher.view("b")
    closed.close()
    server.store.create(config_pod("b", "one", LABELS))
    Waiter(RealClock()).eventually(open_.history, has("one"))


def test_trouble_of_a_watch_is_that_of_every_history_also_of_one_that_begins_later() -> None:
    split = Split(FakeClock())
    first = split.history_of("a")
    split.lost("Pod", "refused", gap=True)
    later = split.history_of("b")
    assert [str(each.trouble()) for each in (first, later)] == ["watch of Pod down for 0.0 s: refused"] * 2
    assert split.trouble() == "watch of Pod: refused"
    split.restored("Pod", gap=True)
    assert [each.trouble() for each in (first, later)] == [None, None]
    assert [each.relists for each in (first, later)] == [1, 1]
    split.fail(HarnessError("forbidden"))
    for each in (first, later, split.history_of("c")):
        with pytest.raises(HarnessError, match="forbidden"):
            each.read()


def test_list_is_divided_and_what_it_lacks_was_deleted() -> None:
    split, (one, two) = Split(FakeClock()), (pod(0), pod(1))
    namespace = str(one.at("metadata.namespace", ""))
    history, other = split.history_of(namespace), split.history_of("other")
    split.relist("Pod", [one, two])
    split.relist("Pod", [two], gap=True)
    assert [(entry.change, entry.resource.name) for entry in history.log()] == [
        ("ADDED", one.name), ("ADDED", two.name), ("DELETED", one.name),
    ]  # fmt: skip
    assert other.log() == []
