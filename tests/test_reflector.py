import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from kubechain.conditions.pods import ready
from kubechain.conditions.timeouts import CONTROLLER
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.listing import Keep, Listing, trimmed
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


def reflecting(feed: FakeFeed) -> tuple[Reflector, History]:
    history = History("ns", FakeClock())
    return Reflector(feed, "Pod", history), history


def changes(history: History) -> list[tuple[str, str]]:
    return [(entry.change, entry.resource.name) for entry in history.log()]


def test_lists_then_watches_from_the_version_of_the_list() -> None:
    feed = FakeFeed([Listing([pod(0)], "70")], [[event("ADDED", pod(1)), event("DELETED", pod(0))]])
    reflector, history = reflecting(feed)
    assert reflector.list_and_watch() == 0
    assert feed.asked == ["list", "watch 70"]
    assert changes(history) == [("ADDED", pod(0).name), ("ADDED", pod(1).name), ("DELETED", pod(0).name)]


def test_watch_ends_after_a_minute_so_that_a_dead_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, asked = FakeFeed([Listing([], "70")]), list[float]()

    def watch(_kind: str, _namespace: str, _version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        asked.append(seconds)
        return iter(())

    monkeypatch.setattr(feed, "watch", watch)
    reflecting(feed)[0].list_and_watch()
    assert asked
    assert max(asked) <= 60


def test_is_synced_by_its_first_list_and_not_before() -> None:
    reflector, _ = reflecting(FakeFeed([DOWN, Listing([], "1")]))
    reflector.list_and_watch()
    assert not reflector.synced.is_set()
    reflector.list_and_watch()
    assert reflector.synced.is_set()


def test_watch_that_ended_is_resumed_at_the_last_version_without_a_list() -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75"))], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "watch 75"]
    assert history.gaps == 0


def test_watch_that_dropped_is_resumed_at_the_last_version_without_a_list() -> None:
    feed = FakeFeed([Listing([], "70")], [[event("ADDED", pod(0, version="75")), DOWN], []])
    reflector, history = reflecting(feed)
    assert reflector.list_and_watch() > 0
    assert "503" in str(history.trouble())
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "watch 75"]
    assert (history.gaps, history.trouble()) == (0, None)


def test_bookmark_moves_the_version_and_records_nothing() -> None:
    feed = FakeFeed([Listing([], "70")], [[bookmark("90")], []])
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    reflector.list_and_watch()
    assert feed.asked[-1] == "watch 90"
    assert history.sequence() == 0


@pytest.mark.parametrize("watch", [GONE, [GONE_EVENT]], ids=["as answer", "as event"])
def test_expired_version_is_listed_again_with_deletions_and_a_gap(watch: object) -> None:
    feed = FakeFeed([Listing([pod(0), pod(1)], "70"), Listing([pod(1)], "99")], [watch, []])  # pyright: ignore[reportArgumentType]
    reflector, history = reflecting(feed)
    reflector.list_and_watch()
    assert (history.gaps, history.relists) == (1, 0)
    assert "410" in str(history.trouble())
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "list", "watch 99"]
    assert ("DELETED", pod(0).name) in changes(history)
    assert (history.trouble(), history.relists) == (None, 1)


def test_first_list_is_no_gap() -> None:
    reflector, history = reflecting(FakeFeed([Listing([], "70")]))
    reflector.list_and_watch()
    assert history.gaps == 0


@pytest.mark.parametrize("where", ["list", "watch"])
def test_unavailable_server_is_noted_and_retried(where: str) -> None:
    lists = [DOWN, Listing([], "70")] if where == "list" else [Listing([], "70")]
    feed = FakeFeed(lists, [] if where == "list" else [DOWN])
    reflector, history = reflecting(feed)
    assert reflector.list_and_watch() > 0
    assert "503" in str(history.trouble())
    reflector.list_and_watch()
    assert history.trouble() is None


def test_error_event_500_is_noted_and_keeps_the_version() -> None:
    broken = ("ERROR", {"code": 500, "message": "etcd event received with PrevKv=nil"})
    feed = FakeFeed([Listing([], "70")], [[broken], []])
    reflector, history = reflecting(feed)
    assert reflector.list_and_watch() > 0
    assert history.trouble()
    reflector.list_and_watch()
    assert feed.asked == ["list", "watch 70", "watch 70"]


class Hurried(threading.Event):
    """An event that is never set and returns from each wait at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Record the timeout."""
        self.pauses.append(timeout)
        assert len(self.pauses) <= REFUSALS, "more waits than REFUSALS"
        return False


def test_403_of_the_first_list_stops_the_history() -> None:
    feed, stop = FakeFeed([FORBIDDEN]), Hurried()
    reflector, history = reflecting(feed)
    reflector.run(stop)
    assert reflector.synced.is_set()
    assert (feed.asked, stop.pauses, history.losses) == (["list"], [], 0)
    with pytest.raises(HarnessError, match="may not list pods") as caught:
        Waiter(FakeClock()).eventually(history, ready("web"), within=CONTROLLER)
    assert caught.value.code == ExitCode.RIGHTS


def test_403_of_the_first_list_after_a_503_is_raised() -> None:
    reflector, _ = reflecting(FakeFeed([DOWN, FORBIDDEN]))
    reflector.list_and_watch()
    with pytest.raises(ApiRefused):
        reflector.list_and_watch()


def test_403_of_a_later_watch_is_a_lost_watch_until_it_is_allowed_again() -> None:
    feed = FakeFeed([Listing([pod(0)], "70")], [*[FORBIDDEN] * REFUSALS, [event("ADDED", pod(1, version="75"))]])
    reflector, history = reflecting(feed)
    assert all(0 < reflector.list_and_watch() <= LONGEST_SECONDS for _ in range(REFUSALS))
    assert "may not list pods" in str(history.trouble())
    assert reflector.list_and_watch() == 0
    assert feed.asked == ["list", *["watch 70"] * (REFUSALS + 1)]
    assert (history.trouble(), history.losses, history.gaps) == (None, 1, 0)
    assert changes(history)[-1] == ("ADDED", pod(1).name)


def test_403_of_a_later_list_is_a_lost_watch() -> None:
    feed = FakeFeed([Listing([], "70"), FORBIDDEN, Listing([pod(0)], "99")], [GONE, []])
    reflector, history = reflecting(feed)
    pauses = [reflector.list_and_watch() for _ in range(3)]
    assert [pause > 0 for pause in pauses] == [False, True, True]
    assert feed.asked == ["list", "watch 70", "list", "list", "watch 99"]
    assert (history.trouble(), history.losses, history.relists) == (None, 1, 1)


def test_403_of_a_later_watch_that_stays_stops_the_history() -> None:
    feed, stop = FakeFeed([Listing([pod(0)], "70")], [FORBIDDEN] * (REFUSALS + 1)), Hurried()
    reflector, history = reflecting(feed)
    reflector.run(stop)
    assert len(stop.pauses) == REFUSALS
    assert 10 <= sum(filter(None, stop.pauses)) <= 20
    assert feed.asked == ["list", *["watch 70"] * (REFUSALS + 1)]
    with pytest.raises(HarnessError, match="may not list pods") as caught:
        Waiter(FakeClock()).eventually(history, ready(pod(0).name), within=CONTROLLER)
    assert caught.value.code == ExitCode.RIGHTS


def test_403s_are_counted_from_0_after_an_open_watch() -> None:
    feed = FakeFeed([Listing([], "70")], [*[FORBIDDEN] * REFUSALS, [], *[FORBIDDEN] * (REFUSALS + 1)])
    reflector, history = reflecting(feed)
    pauses = [reflector.list_and_watch() for _ in range(2 * REFUSALS + 1)]
    assert all(pauses)
    assert history.losses == 2
    with pytest.raises(ApiRefused):
        reflector.list_and_watch()


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND])
def test_other_refusals_are_raised(status: HTTPStatus) -> None:
    reflector, history = reflecting(FakeFeed([Listing([], "70")], [ApiRefused(status, "Other", "never")]))
    with pytest.raises(ApiRefused, match="never"):
        reflector.list_and_watch()
    assert history.losses == 0


def test_what_the_harness_does_not_expect_stops_the_history() -> None:
    reflector, history = reflecting(FakeFeed([Listing([], "70")], []))
    reflector.run(threading.Event())
    with pytest.raises(HarnessError, match="watch of Pod: IndexError"):
        history.read()


def test_error_after_the_stop_is_ignored() -> None:
    reflector, history = reflecting(FakeFeed([FORBIDDEN]))
    stop = threading.Event()
    read = reflector.list_and_watch

    def stopped() -> float:
        stop.set()
        return read()

    reflector.list_and_watch = stopped
    reflector.run(stop)
    assert history.read().objects == ()


class TwinApi(FakeApi):
    """An API whose twins are itself."""

    closed = 0

    def twin(self, keep: Keep = trimmed, *, patient: bool = False) -> "TwinApi":  # noqa: ARG002
        """Return itself."""
        return self

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_watcher_without_the_right_to_list_stops_its_history() -> None:
    def forbid(*_: object) -> str:
        raise FORBIDDEN

    api = TwinApi(forbid)
    with Watcher(api, "ns", FakeClock(), ("Pod", "Service")) as watcher:
        read: Callable[[], object] = watcher.history.read
        with pytest.raises(HarnessError, match="may not list pods"):
            read()
    assert api.closed == 2
