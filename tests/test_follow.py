import threading
from collections.abc import Callable
from http import HTTPStatus

import pytest

from kubechain.conditions.pods import ready
from kubechain.conditions.timeouts import CONTROLLER
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.client import Listing
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import History
from kubechain.observe.reflector import LONGEST_SECONDS, REFUSALS, Reflector
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import Watcher
from tests.fakes import FakeApi, FakeClock, pod
from tests.feeds import FakeFeed

DOWN = ApiUnavailable("API server: 503 ServiceUnavailable: etcd", ExitCode.UNREACHABLE)
FORBIDDEN = ApiRefused(HTTPStatus.FORBIDDEN, "Forbidden", "may not list pods")
GONE = ApiRefused(HTTPStatus.GONE, "Expired", "too old resource version")
GONE_EVENT = ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


def event(change: str, resource: KubeObject) -> tuple[str, Json]:
    return change, resource.body


def bookmark(version: str) -> tuple[str, Json]:
    return "BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}}


def following(feed: FakeFeed) -> tuple[Reflector, History]:
    history = History("ns", FakeClock())
    return Reflector(feed, "Pod", history), history


def changes(history: History) -> list[tuple[str, str]]:
    return [(seen.change, seen.resource.name) for seen in history.log()]


def test_lists_then_watches_from_the_version_of_the_list() -> None:
    feed = FakeFeed([Listing([pod(0)], "70")], [[event("ADDED", pod(1)), event("DELETED", pod(0))]])
    follower, history = following(feed)
    assert follower.follow_once() == 0
    assert feed.asked == ["list", "watch 70"]
    assert changes(history) == [("ADDED", pod(0).name), ("ADDED", pod(1).name), ("DELETED", pod(0).name)]


def test_is_synced_by_its_first_list_and_not_before() -> None:
    follower, _ = following(FakeFeed([DOWN, Listing([], "1")]))
    follower.follow_once()
    assert not follower.synced.is_set()
    follower.follow_once()
    assert follower.synced.is_set()


def test_watch_that_ended_is_resumed_at_the_last_version_without_a_list() -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75"))], []])
    follower, history = following(feed)
    follower.follow_once()
    follower.follow_once()
    assert feed.asked == ["list", "watch 70", "watch 75"]
    assert history.gaps == 0


def test_watch_that_dropped_is_resumed_at_the_last_version_without_a_list() -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75")), DOWN], []])
    follower, history = following(feed)
    assert follower.follow_once() > 0
    assert "503" in str(history.trouble())
    follower.follow_once()
    assert feed.asked == ["list", "watch 70", "watch 75"]
    assert (history.gaps, history.trouble()) == (0, None)


def test_bookmark_moves_the_version_and_records_nothing() -> None:
    feed = FakeFeed([Listing([], "70")], [[bookmark("90")], []])
    follower, history = following(feed)
    follower.follow_once()
    follower.follow_once()
    assert feed.asked[-1] == "watch 90"
    assert history.sequence() == 0


@pytest.mark.parametrize("watch", [GONE, [GONE_EVENT]], ids=["as answer", "as event"])
def test_version_that_is_gone_is_listed_anew_with_deletions_and_a_gap(watch: object) -> None:
    feed = FakeFeed([Listing([pod(0), pod(1)], "70"), Listing([pod(1)], "99")], [watch, []])  # pyright: ignore[reportArgumentType]
    follower, history = following(feed)
    follower.follow_once()
    assert (history.gaps, history.relists) == (1, 0)
    assert "410" in str(history.trouble())
    follower.follow_once()
    assert feed.asked == ["list", "watch 70", "list", "watch 99"]
    assert ("DELETED", pod(0).name) in changes(history)
    assert (history.trouble(), history.relists) == (None, 1)


def test_first_list_is_no_gap() -> None:
    follower, history = following(FakeFeed([Listing([], "70")]))
    follower.follow_once()
    assert history.gaps == 0


@pytest.mark.parametrize("where", ["list", "watch"])
def test_server_that_cannot_serve_just_now_is_noted_and_asked_again(where: str) -> None:
    lists = [DOWN, Listing([], "70")] if where == "list" else [Listing([], "70")]
    feed = FakeFeed(lists, [] if where == "list" else [DOWN])
    follower, history = following(feed)
    assert follower.follow_once() > 0
    assert "503" in str(history.trouble())
    follower.follow_once()
    assert history.trouble() is None


def test_error_event_that_may_pass_is_trouble_and_keeps_the_version() -> None:
    broken = ("ERROR", {"code": 500, "message": "etcd event received with PrevKv=nil"})
    feed = FakeFeed([Listing([], "70")], [[broken], []])
    follower, history = following(feed)
    assert follower.follow_once() > 0
    assert history.trouble()
    follower.follow_once()
    assert feed.asked == ["list", "watch 70", "watch 70"]


class Hurried(threading.Event):
    """An event that nobody sets, and that is not waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note for how long."""
        self.pauses.append(timeout)
        assert len(self.pauses) <= REFUSALS, "it goes on for ever"
        return False


def test_refusal_of_the_first_list_ends_every_wait_with_its_error_at_once() -> None:
    feed, stop = FakeFeed([FORBIDDEN]), Hurried()
    follower, history = following(feed)
    follower.run(stop)
    assert follower.synced.is_set()
    assert (feed.asked, stop.pauses, history.losses) == (["list"], [], 0)
    with pytest.raises(HarnessError, match="may not list pods") as caught:
        Waiter(FakeClock()).eventually(history, ready("web"), within=CONTROLLER)
    assert caught.value.code == ExitCode.RIGHTS


def test_first_list_is_refused_at_once_even_if_it_was_tried_before() -> None:
    follower, _ = following(FakeFeed([DOWN, FORBIDDEN]))
    follower.follow_once()
    with pytest.raises(ApiRefused):
        follower.follow_once()


def test_refusal_of_what_was_allowed_before_is_a_lost_watch_until_it_is_allowed_again() -> None:
    feed = FakeFeed([Listing([pod(0)], "70")], [*[FORBIDDEN] * REFUSALS, [event("ADDED", pod(1, version="75"))]])
    follower, history = following(feed)
    assert all(0 < follower.follow_once() <= LONGEST_SECONDS for _ in range(REFUSALS))
    assert "may not list pods" in str(history.trouble())
    assert follower.follow_once() == 0
    assert feed.asked == ["list", *["watch 70"] * (REFUSALS + 1)]
    assert (history.trouble(), history.losses, history.gaps) == (None, 1, 0)
    assert changes(history)[-1] == ("ADDED", pod(1).name)


def test_list_that_is_refused_when_it_was_allowed_before_is_a_lost_watch_too() -> None:
    feed = FakeFeed([Listing([], "70"), FORBIDDEN, Listing([pod(0)], "99")], [GONE, []])
    follower, history = following(feed)
    pauses = [follower.follow_once() for _ in range(3)]
    assert [pause > 0 for pause in pauses] == [False, True, True]
    assert feed.asked == ["list", "watch 70", "list", "list", "watch 99"]
    assert (history.trouble(), history.losses, history.relists) == (None, 1, 1)


def test_refusal_of_a_later_watch_that_stays_ends_every_wait_too() -> None:
    feed, stop = FakeFeed([Listing([pod(0)], "70")], [FORBIDDEN] * (REFUSALS + 1)), Hurried()
    follower, history = following(feed)
    follower.run(stop)
    assert len(stop.pauses) == REFUSALS
    assert 10 <= sum(filter(None, stop.pauses)) <= 20
    assert feed.asked == ["list", *["watch 70"] * (REFUSALS + 1)]
    with pytest.raises(HarnessError, match="may not list pods") as caught:
        Waiter(FakeClock()).eventually(history, ready(pod(0).name), within=CONTROLLER)
    assert caught.value.code == ExitCode.RIGHTS


def test_refusals_are_counted_anew_after_a_watch_was_open() -> None:
    feed = FakeFeed([Listing([], "70")], [*[FORBIDDEN] * REFUSALS, [], *[FORBIDDEN] * (REFUSALS + 1)])
    follower, history = following(feed)
    pauses = [follower.follow_once() for _ in range(2 * REFUSALS + 1)]
    assert all(pauses)
    assert history.losses == 2
    with pytest.raises(ApiRefused):
        follower.follow_once()


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND])
def test_other_refusals_are_no_lost_watch(status: HTTPStatus) -> None:
    follower, history = following(FakeFeed([Listing([], "70")], [ApiRefused(status, "Other", "never")]))
    with pytest.raises(ApiRefused, match="never"):
        follower.follow_once()
    assert history.losses == 0


def test_defect_of_the_observer_ends_every_wait_as_trouble_of_the_harness() -> None:
    follower, history = following(FakeFeed([Listing([], "70")], [[("ADDED", {"kind": "Pod"})]]))
    follower.run(threading.Event())
    with pytest.raises(HarnessError, match="observer: KeyError"):
        history.read()


def test_error_after_the_stop_is_nobodys_trouble() -> None:
    follower, history = following(FakeFeed([FORBIDDEN]))
    stop = threading.Event()
    read = follower.follow_once

    def stopped() -> float:
        stop.set()
        return read()

    follower.follow_once = stopped
    follower.run(stop)
    assert history.read().objects == ()


class TwinApi(FakeApi):
    """An API whose twins are itself."""

    closed = 0

    def twin(self) -> "TwinApi":
        """Return itself."""
        return self

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_observer_without_the_right_to_list_starts_and_then_ends_every_wait() -> None:
    def forbid(*_: object) -> str:
        raise FORBIDDEN

    api = TwinApi(forbid)
    with Watcher(api, "ns", FakeClock(), ("Pod", "Service")) as observer:
        read: Callable[[], object] = observer.history.read
        with pytest.raises(HarnessError, match="may not list pods"):
            read()
    assert api.closed == 2
