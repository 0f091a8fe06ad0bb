"""Watches in a namespace that others use as well deliver the objects of one run alone."""

from collections.abc import Iterator

from kubechain.kube.client import Api
from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.filtered import FilteredFeed
from kubechain.workload.names import choice
from tests.fakes import thing

OF_WEB = {"kubernetes.io/service-name": "web"}
OWN = [
    thing("Endpoints", "web"),
    thing("EndpointSlice", "web-x1", labels=OF_WEB),
    thing("Event", "a", involvedObject={"name": "web-7f-x2"}),
    thing("Event", "b", involvedObject={"name": "client"}),
]
OTHERS = [
    thing("Endpoints", "shop"),
    thing("EndpointSlice", "web-x2", labels={"kubernetes.io/service-name": "shop", "kubechain/run": "1"}),
    thing("Event", "c", involvedObject={"name": "shop-1"}),
    thing("Event", "d"),
]


class Asked(Api):
    """An API that has all objects, and keeps the label selectors that it is asked for."""

    def __init__(self) -> None:
        self.selectors: list[str] = []

    def list(self, kind: str, namespace: str = "", selector: str = "", *, only: str = "", metadata_only: bool = False) -> Listing:
        """Return all objects of a kind."""
        del namespace, only, metadata_only
        self.selectors.append(selector)
        return Listing([each for each in (*OWN, *OTHERS) if each.kind == kind], "7")

    def watch(
        self, kind: str, namespace: str, version: str, seconds: float, selector: str = "", *, only: str = ""
    ) -> Iterator[tuple[str, Json]]:
        """Yield an event of every type, and all objects of a kind."""
        del namespace, version, seconds, only
        self.selectors.append(selector)
        yield "BOOKMARK", {"kind": kind, "metadata": {"resourceVersion": "8"}}
        yield from (("ADDED", each.body) for each in (*OWN, *OTHERS) if each.kind == kind)
        yield "ERROR", {"kind": "Status"}


def test_what_a_controller_names_itself_is_known_by_the_names_of_the_run() -> None:
    feed = FilteredFeed(api := Asked(), choice("1"))
    for kind in ("Endpoints", "EndpointSlice", "Event"):
        own = [each for each in OWN if each.kind == kind]
        assert feed.list(kind, "team-a") == Listing(own, "7")
        changes = [*feed.watch(kind, "team-a", "7", 60)]
        assert [change for change, _ in changes] == ["BOOKMARK", *["ADDED"] * len(own), "ERROR"]
        assert [KubeObject(body) for change, body in changes if change == "ADDED"] == own
    assert set(api.selectors) == {""}


def test_what_the_run_sends_is_selected_by_its_label() -> None:
    feed = FilteredFeed(api := Asked(), choice("1"))
    for kind in ("Deployment", "ReplicaSet", "Pod", "Service"):
        feed.list(kind, "team-a")
        assert [change for change, _ in feed.watch(kind, "team-a", "7", 60)] == ["BOOKMARK", "ERROR"]
    assert set(api.selectors) == {"kubechain/run=1"}
