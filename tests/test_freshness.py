"""Before a verdict is given, a history proves that it is up to date: a dead watch looks like one of which nothing changes."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.pods import ready
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.listing import Listing
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.clock import RealClock
from kubechain.observe.freshness import DELIVERY_SECONDS, Freshness
from kubechain.observe.history import RESUME_SECONDS, History
from kubechain.observe.history_conditions import at_every_moment, deleted_in_order, last_version
from kubechain.observe.reflector import Reflector
from kubechain.observe.wait import SILENT_SECONDS, Waiter
from kubechain.observe.watcher import Watcher
from tests.fakes import FakeClock, changed, not_ready, pod
from tests.feeds import FakeFeed
from tests.loopback import HOST, LONGEST, kubeconfig

TEN = Timeout(10, "ten will do")
POD = pod(0, version="50")
READY = ready(POD.name)
GONE = ApiRefused(410, "Expired", "too old resource version")
DOWN = ApiUnavailable("API server: 503 ServiceUnavailable: etcd", ExitCode.UNREACHABLE)


def version(resource: KubeObject, number: int) -> KubeObject:
    return changed(resource, "metadata.resourceVersion", str(number))


def unready(number: int) -> KubeObject:
    return version(not_ready(POD), number)


class Dead:
    """A history whose watch is dead without a word after its list, until it is interrupted."""

    def __init__(self, first: KubeObject, *fresh: Listing | Exception, resumed: object = ()) -> None:
        self.clock = FakeClock()
        self.history = History("ns", self.clock)
        self.feed = FakeFeed([Listing([first], "60"), *fresh], [(), resumed])  # pyright: ignore[reportArgumentType]
        self.reflector = Reflector(self.feed, "Pod", self.history)
        self.reflector.list_and_watch()
        self.feed.interrupted = self.reflector.list_and_watch
        self.lister = FakeFeed(list(fresh))
        freshness = Freshness(lambda: self.lister, [self.reflector], self.history, self.clock)
        self.history.proved_by(freshness.prove)
        self.waiter = Waiter(self.clock)


def event(resource: KubeObject) -> tuple[str, object]:
    return "MODIFIED", resource.body


def test_wait_over_a_dead_watch_is_met_by_what_a_fresh_list_leads_to() -> None:
    dead = Dead(unready(50), Listing([version(POD, 70)], "70"), resumed=[event(version(POD, 70))])
    assert dead.waiter.eventually(dead.history, READY, within=TEN).state.objects == (version(POD, 70),)
    assert dead.feed.asked == ["list", "watch 60", "interrupt", "watch 60"]


def test_wait_notices_a_dead_watch_before_its_time_is_over() -> None:
    dead = Dead(unready(50), Listing([version(POD, 70)], "70"), resumed=[event(version(POD, 70))])
    met = dead.waiter.eventually(dead.history, READY, within=Timeout(40, "forty will do"))
    assert SILENT_SECONDS < met.seconds <= SILENT_SECONDS + DELIVERY_SECONDS


def test_wait_goes_on_to_its_end_if_nothing_can_be_listed_before() -> None:
    dead = Dead(unready(50), DOWN, Listing([version(POD, 70)], "70"), resumed=[event(version(POD, 70))])
    met = dead.waiter.eventually(dead.history, READY, within=Timeout(40, "forty will do"))
    assert 40 < met.seconds <= 40 + DELIVERY_SECONDS


def test_wait_over_a_dead_watch_is_unmet_if_the_fresh_list_is_the_same() -> None:
    dead = Dead(unready(50), Listing([unready(50)], "70"))
    with pytest.raises(Unmet):
        dead.waiter.eventually(dead.history, READY, within=TEN)
    assert dead.clock.time == 1010.0
    assert (dead.lister.asked, dead.feed.asked) == (["list"], ["list", "watch 60"])


def test_wait_that_is_met_lists_nothing() -> None:
    dead = Dead(POD)
    dead.waiter.eventually(dead.history, READY, within=TEN)
    assert dead.lister.asked == []


def test_what_must_hold_all_the_time_is_broken_by_what_a_dead_watch_did_not_show() -> None:
    resumed = [event(unready(70)), event(version(POD, 80))]
    dead = Dead(POD, Listing([version(POD, 80)], "80"), resumed=resumed)
    with pytest.raises(Unmet, match="ContainersReady is False"):
        dead.waiter.consistently(dead.history, READY, during=TEN)
    dead = Dead(POD, Listing([version(POD, 80)], "80"), resumed=resumed)
    assert not at_every_moment(READY, after=0)(dead.history).met


def test_what_must_hold_all_the_time_is_undecided_if_versions_of_a_dead_watch_are_gone() -> None:
    fresh = Listing([version(POD, 80)], "80")
    decisions: list[Callable[[Dead], object]] = [
        lambda dead: dead.waiter.consistently(dead.history, READY, during=TEN),
        lambda dead: at_every_moment(READY, after=0)(dead.history),
    ]
    for decide in decisions:
        dead = Dead(POD, fresh, resumed=GONE)
        dead.feed.interrupted = lambda again=dead.reflector.list_and_watch: (again(), again())
        with pytest.raises(HarnessError, match=r"cannot decide: .*; versions were missed"):
            decide(dead)


@pytest.mark.parametrize("answer", [DOWN, ApiRefused(403, "Forbidden", "may not list pods")], ids=["503", "403"])
def test_nothing_is_decided_without_a_fresh_list(answer: Exception) -> None:
    reason = str(answer)
    wrong, right = Dead(unready(50), answer), Dead(POD, answer, answer, answer, answer)
    with pytest.raises(HarnessError, match=reason) as caught:
        wrong.waiter.eventually(wrong.history, READY, within=TEN)
    assert not isinstance(caught.value, AssertionError)
    for decide in (
        lambda: right.waiter.consistently(right.history, READY, during=TEN),
        lambda: at_every_moment(READY, after=0)(right.history),
        lambda: deleted_in_order(frozenset([POD.uid]))(right.history),
        lambda: last_version(right.history, POD),
    ):
        with pytest.raises(HarnessError, match=reason):
            decide()


def test_what_is_on_its_way_when_the_list_is_made_is_waited_for() -> None:
    dead = Dead(unready(50), Listing([version(POD, 70)], "70"))
    dead.clock.at(10.2, lambda: dead.history.record("MODIFIED", version(POD, 70)))
    assert dead.waiter.eventually(dead.history, READY, within=TEN).seconds == pytest.approx(10.2)
    assert "interrupt" not in dead.feed.asked


def test_watch_that_does_not_deliver_what_a_list_shows_decides_nothing() -> None:
    dead = Dead(unready(50), Listing([version(POD, 70)], "70"))
    dead.feed.interrupted = lambda: None
    with pytest.raises(HarnessError, match=r"cannot decide: .*; watch of Pod does not deliver what a list shows"):
        dead.waiter.eventually(dead.history, READY, within=TEN)
    assert dead.clock.time == pytest.approx(1010 + DELIVERY_SECONDS + 2 * RESUME_SECONDS)


def test_consistently_whose_first_state_is_wrong_looks_at_a_fresh_one() -> None:
    fresh = Listing([version(POD, 70)], "70")
    dead = Dead(unready(50), fresh, fresh, resumed=[event(version(POD, 70))])
    assert dead.waiter.consistently(dead.history, READY, during=TEN).state.objects == (version(POD, 70),)


class Unopened(Dead):
    """A history whose watch cannot be opened again after its list, while lists are answered."""

    def __init__(self, first: KubeObject, *fresh: Listing | Exception) -> None:
        super().__init__(first, *fresh)
        self.history.lost("Pod", "no answer")


def test_wait_whose_watch_cannot_be_opened_is_decided_by_lists() -> None:
    same = Listing([unready(50)], "70")
    closed = Unopened(unready(50), same)
    with pytest.raises(Unmet, match="ContainersReady is False"):
        closed.waiter.eventually(closed.history, READY, within=TEN)
    newer = Listing([version(POD, 70)], "70")
    closed = Unopened(unready(50), newer, newer)
    closed.feed.interrupted = closed.reflector.list_and_watch
    assert closed.waiter.eventually(closed.history, READY, within=Timeout(40, "forty will do")).state.objects == (
        version(POD, 70),
    )


def test_what_must_hold_all_the_time_is_undecided_while_the_watch_cannot_be_opened() -> None:
    closed = Unopened(POD, Listing([POD], "70"))
    with pytest.raises(HarnessError, match=r"cannot decide: .*; versions were missed"):
        closed.waiter.consistently(closed.history, READY, during=TEN)


def history(*resources: KubeObject) -> History:
    found = History("ns", FakeClock())
    for resource in resources:
        found.record("ADDED", resource)
    return found


def test_history_is_behind_a_list_that_shows_something_newer_or_lacks_something_older() -> None:
    two = history(POD)
    assert not two.behind("Pod", [POD], "60")
    assert two.behind("Pod", [version(POD, 55)], "60")
    assert two.behind("Pod", [POD, pod(1, version="55")], "60")
    assert two.behind("Pod", [pod(0, uid="another", version="55")], "60")
    assert two.behind("Pod", [], "60")
    assert not two.behind("Service", [], "60")


def test_history_that_is_ahead_of_a_list_is_not_behind_it() -> None:
    ahead = history(version(POD, 70))
    assert not ahead.behind("Pod", [POD], "60")
    assert not ahead.behind("Pod", [], "60")
    ahead.record("DELETED", version(POD, 75))
    assert not ahead.behind("Pod", [POD], "60")
    assert ahead.behind("Pod", [version(POD, 80)], "80")


class StuckWatches(BaseHTTPRequestHandler):
    """An API server whose first watch is silent; the second one delivers what the second list shows."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    ended: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        """Answer a list or a watch."""
        kind = "watch" if "watch=1" in self.path else "list"
        self.asked.append(kind)
        first = self.asked.count(kind) == 1
        self.send_response(200)
        if kind == "list":
            items = [] if first else [version(POD, 70).body]
            body = json.dumps({"metadata": {"resourceVersion": "60" if first else "70"}, "items": items}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if not first:
            line = json.dumps({"type": "ADDED", "object": version(POD, 70).body}).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.ended.wait(LONGEST)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        """Print nothing."""


def test_watch_that_is_silent_on_a_real_connection_is_resumed_and_closed(tmp_path: Path) -> None:
    server = ThreadingHTTPServer((HOST, 0), StuckWatches)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    api = Api(kubeconfig(tmp_path, f"http://{HOST}:{server.server_port}"), "test", tmp_path / "secrets")
    seen: Condition[NamespaceState] = Condition("seen", lambda state: expect(bool(state.objects), "nothing"))
    before = {*threading.enumerate()}
    try:
        with Watcher(api, "ns", RealClock(), ("Pod",)) as watcher:
            assert watcher.history.read().objects == ()
            Waiter(RealClock()).eventually(watcher.history, seen, within=Timeout(0.2, "soon"))
            assert StuckWatches.asked == ["list", "watch", "list", "watch"]
        # The loss is that of the silent watch: one that is closed is not lost.
        assert (watcher.history.losses, watcher.history.trouble()) == (1, None)
        assert not any(thread.name == "watch Pod" for thread in threading.enumerate())
    finally:
        StuckWatches.ended.set()
        server.shutdown()
        server.server_close()
        api.close()
    # Those of the connections see that they are closed.
    for thread in {*threading.enumerate()} - before:
        thread.join(30)
        assert not thread.is_alive(), thread.name
