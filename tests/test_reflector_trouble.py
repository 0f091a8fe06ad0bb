"""Watches that say or deliver what a watch should not: the history goes on, and knows what it may have missed."""

import threading

import pytest

from kubechain.kube.client import Listing
from kubechain.kube.objects import Json
from kubechain.observe.history import History
from kubechain.observe.reflector import DISTRUST_SECONDS, OFTEN_SECONDS, POLL_SECONDS, SHORT_WATCHES, Reflector
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


def lists_alone(reflector: Reflector, history: History, feed: FakeFeed) -> bool:
    """Whether the reflector lists alone now, and watches again after some time."""
    feed.asked.clear()
    assert reflector.list_and_watch() == POLL_SECONDS
    assert feed.asked == ["list"]
    history.clock.wait(threading.Condition(), DISTRUST_SECONDS)
    reflector.list_and_watch()
    return feed.asked == ["list", "watch 80"]


def test_kind_is_listed_for_some_time_when_a_watch_that_resumed_does_not_deliver_it() -> None:
    feed = FakeFeed([Listing([], "70"), Listing([pod(0)], "80")], [[], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.relist()
    assert lists_alone(reflector, history, feed)
    assert [each.name for each in history.read().objects] == [pod(0).name]


def test_kind_is_listed_for_some_time_when_its_watches_fall_silent_one_after_another() -> None:
    feed = FakeFeed([Listing([], "70"), Listing([pod(0)], "80")], [[], [], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.interrupt()
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "interrupt", "watch 70"]
    reflector.interrupt()
    assert lists_alone(reflector, history, feed)


def test_watch_that_falls_silent_now_and_then_resumes() -> None:
    feed = FakeFeed([Listing([], "70")], [[], [], []])
    reflector, history = reflecting(feed)
    for _ in range(3):
        reflector.list_and_watch()
        reflector.interrupt()
        history.clock.wait(threading.Condition(), OFTEN_SECONDS)
    assert feed.asked == ["list", *["watch 70", "interrupt"] * 3]


def test_history_that_recorded_the_deletion_of_what_a_list_shows_is_behind() -> None:
    feed = FakeFeed([Listing([pod(0, version="60")], "70")], [[]])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    history.relist("Pod", [], gap=True)
    assert history.behind("Pod", [pod(0, version="60")], "80")
    history.record("DELETED", pod(0, version="90"))
    assert not history.behind("Pod", [pod(0, version="60")], "80")
