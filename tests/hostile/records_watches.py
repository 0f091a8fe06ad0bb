"""Records of watches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from kubechain.kube.objects import Json
from tests.hostile.acts import Stream, both, error_event, failing, on, rule, watch
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange
from tests.hostile.records import HOLDS, UNDECIDED, Record
from tests.hostile.store import status_of

Events = Iterator[Json | None]
ANY = on("watch")
OLD = "too old resource version"


def cut(_exchange: Exchange, events: Events) -> Events:
    """End after 1 s."""
    ends = time.monotonic() + 1
    for event in events:
        yield event
        if time.monotonic() > ends:
            return


def _cut_line(exchange: Exchange, events: Events) -> Events:
    """End in the middle of a line after 3 events."""
    seen = 0
    for event in events:
        yield event
        seen += event is not None
        if seen == 3:
            exchange.write(b'10\r\n{"type": "ADDED"')
            exchange.close()
            raise ConnectionResetError


def _silent_after(count: int, seconds: float = 600.0) -> Stream:
    """Deliver some events, then nothing more, and stay open."""

    def change(exchange: Exchange, events: Events) -> Events:
        left = count
        for event in events:
            if left:
                yield event
                left -= event is not None
            else:
                exchange.hang(seconds)
                return

    return change


def _silent(exchange: Exchange) -> None:
    with exchange.api.watching():
        exchange.hang()
    exchange.close()


def _headers_only(exchange: Exchange, _events: Events) -> Events:
    # The headers are sent before the first event is asked for.
    exchange.hang()
    yield from ()


def _without_bookmarks(cluster: Cluster) -> None:
    cluster.api.bookmarks = 0


def _many_bookmarks(cluster: Cluster) -> None:
    cluster.api.bookmarks = 0.01


def stopping(status: Json, after: int) -> Stream:
    """Deliver some events, then an event ERROR, and end."""

    def change(_exchange: Exchange, events: Events) -> Events:
        left = after
        for event in events:
            if not left:
                yield error_event(status)
                return
            yield event
            left -= event is not None

    return change


def _ends(_exchange: Exchange, _events: Events) -> Events:
    return iter(())


def _late(exchange: Exchange, events: Events) -> Events:
    """Deliver each event 1 s late."""
    for event in events:
        if event is not None:
            exchange.wait(1)
        yield event


def _twice(_exchange: Exchange, events: Events) -> Events:
    for event in events:
        yield event
        if event is not None:
            yield event


def _unknown(_exchange: Exchange, events: Events) -> Events:
    yield {"type": "REWOUND", "object": {"kind": "Status", "metadata": {"resourceVersion": "1"}}}
    yield from events


def _blank_lines(exchange: Exchange, events: Events) -> Events:
    for event in events:
        exchange.chunk(b"\n")
        yield event


def _garbage(exchange: Exchange, events: Events) -> Events:
    yield next(events)
    exchange.chunk(b"<html>502 Bad Gateway</html>\n")


def _split(exchange: Exchange, events: Events) -> Events:
    """Send each event in pieces of 7 bytes."""
    for event in events:
        if event is not None:
            line = json.dumps(event).encode() + b"\n"
            for start in range(0, len(line), 7):
                exchange.chunk(line[start : start + 7])
        yield None


def _compacting(cluster: Cluster) -> None:
    """Forget all versions at each watch that is opened again."""
    opened: set[tuple[str, str]] = set()

    def again(exchange: Exchange) -> None:
        place = exchange.request.place
        known = (place.kind, place.namespace) in opened
        opened.add((place.kind, place.namespace))
        if known:
            cluster.store.oldest = cluster.store.version
        exchange.stream(cut(exchange, exchange.api.watch(exchange.request)))

    rule(ANY, again)(cluster)


EITHER = (HOLDS, UNDECIDED)
GONE = status_of(410, "Expired", OLD)
CODELESS: Json = {"kind": "Status", "status": "Failure", "message": "etcdserver: leader changed"}
RECORDS = (
    Record("HEALTHY", "does nothing wrong", lambda _: None),
    Record("WATCH-CUT", "ends every watch after 1 s", rule(ANY, watch(cut)), short=True),
    Record("WATCH-CUT-LINE", "breaks the first ten watches in the middle of a line", rule(ANY, watch(_cut_line), times=10)),
    Record("WATCH-SILENT", "never answers the first watch of each kind", rule(ANY, _silent, times=7), EITHER, seconds=240),
    Record(
        "WATCH-SILENT-PODS",
        "answers watches of Pods with headers alone",
        rule(on("watch", "Pod"), watch(_headers_only)),
        EITHER,
        seconds=300,
    ),
    Record(
        "WATCH-UNANSWERED-PODS",
        "never answers watches of Pods",
        rule(on("watch", "Pod"), Exchange.hang),
        EITHER,
        seconds=400,
    ),
    Record(
        "WATCH-HALF-OPEN",
        "delivers two events on each of the first seven watches, then nothing",
        rule(ANY, watch(_silent_after(2)), times=7),
        EITHER,
        seconds=400,
    ),
    Record(
        "WATCH-HALF-OPEN-ALWAYS",
        "delivers two events on every watch, then nothing",
        rule(ANY, watch(_silent_after(2))),
        EITHER,
        seconds=300,
    ),
    Record("WATCH-NO-BOOKMARKS", "sends no bookmarks", _without_bookmarks),
    Record("WATCH-BOOKMARKS", "sends a hundred bookmarks a second", _many_bookmarks),
    Record("WATCH-410-OPEN", "refuses the first seven watches with 410", rule(ANY, failing(410), times=7)),
    Record(
        "WATCH-410-EVENT",
        "ends the first seven watches with an event ERROR of 410",
        rule(ANY, watch(stopping(GONE, 3)), times=7),
    ),
    Record("WATCH-410-EVER", "forgets all versions whenever a watch resumes, after 1 s", _compacting, EITHER, seconds=200),
    Record(
        "WATCH-ERROR-CODELESS",
        "ends the first seven watches with a Status without a code",
        rule(ANY, watch(stopping(CODELESS, 2)), times=7),
    ),
    Record(
        "WATCH-ERROR-EMPTY",
        "ends the first seven watches with an event ERROR of an empty object",
        rule(ANY, watch(stopping({}, 2)), times=7),
    ),
    Record(
        "WATCH-ERROR-NULL-CODE",
        "ends the first seven watches with a Status whose code is null",
        rule(ANY, watch(stopping({**CODELESS, "code": None}, 2)), times=7),
    ),
    Record("WATCH-ENDS", "ends every watch at once", rule(ANY, watch(_ends)), EITHER, seconds=400),
    Record("WATCH-LATE", "delivers every event 1 s late", rule(ANY, watch(_late)), EITHER, seconds=300),
    Record("WATCH-TWICE", "delivers every event twice", rule(ANY, watch(_twice))),
    Record("WATCH-UNKNOWN-TYPE", "sends an event of an unknown type first", rule(ANY, watch(_unknown))),
    Record("WATCH-BLANK-LINES", "sends blank lines between events", rule(ANY, watch(_blank_lines))),
    Record("WATCH-GARBAGE", "sends a page of a proxy in the first seven watches", rule(ANY, watch(_garbage), times=7)),
    Record("WATCH-SPLIT", "sends each event in pieces of 7 bytes", rule(ANY, watch(_split))),
    Record("WATCH-503", "refuses the first fourteen watches with 503", rule(ANY, failing(503), times=14)),
    Record(
        "WATCH-403-ONCE",
        "refuses the watches of Pods with 403 once, after they were allowed",
        both(rule(on("watch", "Pod"), watch(cut), times=1), rule(on("watch", "Pod"), failing(403), times=1)),
    ),
)
