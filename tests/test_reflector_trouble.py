"""Watches that say or deliver what a watch should not: the history goes on, and knows what it may have missed."""

import pytest

from kubechain.kube.client import Listing
from kubechain.kube.objects import Json
from kubechain.observe.reflector import SHORT_WATCHES
from tests.fakes import pod
from tests.feeds import FakeFeed
from tests.test_reflector import bookmark, event, reflecting

STATUS: Json = {"kind": "Status", "status": "Failure", "message": "etcdserver: leader changed"}


@pytest.mark.parametrize(
    "status", [{}, STATUS, {**STATUS, "code": None}, {**STATUS, "code": "x"}], ids=lambda each: str(each.get("code", "none"))
)
def test_error_without_a_code_is_trouble_and_the_watch_resumes(status: Json) -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75")), ("ERROR", status)], []])
    reflector, history = reflecting(feed)
    assert reflector.list_and_watch() > 0
    assert "500" in str(history.trouble())
    reflector.list_and_watch()
    assert (feed.asked, history.gaps) == (["list", "watch 70", "watch 75"], 0)


def test_error_without_a_code_is_gone_if_its_reason_is() -> None:
    feed = FakeFeed([Listing([], "70"), Listing([], "90")], [[("ERROR", {**STATUS, "reason": "Expired"})], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.list_and_watch()
    assert (feed.asked, history.gaps) == (["list", "watch 70", "list", "watch 90"], 2)


@pytest.mark.parametrize("body", [{"kind": "Pod"}, {"kind": "Pod", "metadata": None}, {"metadata": {"name": 7}}])
def test_event_of_an_object_without_a_name_is_trouble_and_the_watch_resumes(body: Json) -> None:
    feed = FakeFeed([Listing([], "70")], [[("ADDED", body)], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    assert "has no metadata.name" in str(history.trouble())
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "watch 70"]


@pytest.mark.parametrize(
    "odd", [("REWOUND", {"metadata": {"resourceVersion": "1"}}), ("BOOKMARK", {"kind": "Pod"}), bookmark("")]
)
def test_version_is_taken_from_known_events_alone(odd: tuple[str, Json]) -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75")), odd], []])
    reflector, _ = reflecting(feed)
    reflector.list_and_watch()
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "watch 75"]


def test_kind_whose_watches_end_at_once_is_listed_again() -> None:
    feed = FakeFeed([Listing([], "70"), Listing([pod(0)], "80")], [()] * (SHORT_WATCHES + 1))
    reflector, history = reflecting(feed)
    for _ in range(SHORT_WATCHES + 1):
        reflector.list_and_watch()
    assert feed.asked == ["list", *["watch 70"] * SHORT_WATCHES, "list", "watch 80"]
    assert ([each.name for each in history.read().objects], history.gaps) == ([pod(0).name], 3)


def test_kind_is_listed_again_when_its_watch_is_distrusted() -> None:
    feed = FakeFeed([Listing([], "70"), Listing([pod(0)], "80")], [[], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.relist()
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "interrupt", "list", "watch 80"]
    assert [each.name for each in history.read().objects] == [pod(0).name]


def test_history_that_recorded_the_deletion_of_what_a_list_shows_is_behind() -> None:
    feed = FakeFeed([Listing([pod(0, version="60")], "70")], [[]])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    history.relist("Pod", [], gap=True)
    assert history.behind("Pod", [pod(0, version="60")], "80")
    history.record("DELETED", pod(0, version="90"))
    assert not history.behind("Pod", [pod(0, version="60")], "80")
