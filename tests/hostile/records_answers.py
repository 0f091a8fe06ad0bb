"""Records of answers: their status, their form, their time, and those that do not arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kubechain.core.errors import ExitCode
from tests.hostile.acts import (
    HTML,
    Meant,
    any_request,
    failing,
    not_watches,
    on,
    rule,
    sending,
    slow,
    truncated,
    with_body,
)
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, Request
from tests.hostile.records import HOLDS, UNDECIDED, UNREACHABLE, Ending, Record


def _outage(cluster: Cluster) -> None:
    """Refuse connections for 3 s, from the time when the chain exists."""

    def begin(exchange: Exchange) -> None:
        exchange.serve()
        threading.Thread(target=cluster.outage, args=(3.0,), daemon=True).start()

    rule(on("list", "EndpointSlice"), begin, times=1)(cluster)


def _no_keep_alive(exchange: Exchange) -> None:
    exchange.serve()
    exchange.close()


def _announced_close(exchange: Exchange) -> None:
    response = exchange.answer()
    response.headers["Connection"] = "close"
    exchange.send(response)
    exchange.close()


def _clock(seconds: float) -> Callable[[Cluster], None]:
    def make(cluster: Cluster) -> None:
        cluster.store.ahead = seconds

    return make


def _without_date(cluster: Cluster) -> None:
    cluster.api.dated = False


def _warnings(exchange: Exchange) -> None:
    response = exchange.answer()
    response.headers["Warning"] = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    exchange.send(response)


def _short(exchange: Exchange) -> None:
    """Promise more bytes than are sent, and close."""
    response = exchange.answer()
    exchange.head(response.status, {**response.headers, "Content-Length": str(len(response.body) + 100)})
    exchange.write(response.body)
    exchange.close()


def _every(number: int) -> Meant:
    """Each request of any kind but a watch is meant once in so many."""
    count = [0]

    def meant(request: Request) -> bool:
        count[0] += not_watches(request)
        return not_watches(request) and count[0] % number == 0

    return meant


EITHER = (HOLDS, UNDECIDED)
NOTHING = (UNDECIDED, UNREACHABLE)
RECORDS = (
    Record(
        "THROTTLED",
        "answers every fifth request with 429 and Retry-After: 1",
        rule(_every(5), failing(429, Retry_After="1")),
        seconds=300,
    ),
    Record(
        "THROTTLED-LATER",
        "answers the first list of Nodes with 429 and Retry-After: 120",
        rule(on("list", "Node"), failing(429, Retry_After="120"), times=1),
        (*NOTHING, HOLDS),
    ),
    Record(
        "THROTTLED-EVER",
        "answers every request with 429 and Retry-After: 1",
        rule(any_request, failing(429, Retry_After="1")),
        (UNREACHABLE,),
        says="429",
    ),
    Record("FAILING-EVER", "answers every request with 503", rule(any_request, failing(503)), (UNREACHABLE,), says="503"),
    Record(
        "UNAUTHORIZED-EVER",
        "answers every request with 401",
        rule(any_request, failing(401)),
        (Ending(ExitCode.RIGHTS, "no verdict"),),
        says="401",
    ),
    Record("SLOW", "answers every request after 0.4 s", rule(not_watches, slow(0.4)), seconds=400),
    Record(
        "SLOW-LIST",
        "answers the first list of Nodes after 12 s",
        rule(on("list", "Node"), slow(12), times=1),
        (HOLDS, *NOTHING),
        seconds=90,
    ),
    Record(
        "TRICKLE",
        "sends the first list of Nodes a byte a second",
        rule(on("list", "Node"), sending(lambda exchange, response: exchange.trickle(response, 1)), times=1),
        (HOLDS, *NOTHING),
        seconds=120,
    ),
    Record(
        "HTML",
        "answers every request with a page of a proxy",
        rule(any_request, with_body(lambda _: HTML, Content_Type="text/html")),
        (UNREACHABLE,),
        says="not JSON",
    ),
    Record(
        "HTML-ONCE",
        "answers the first list of Deployments with a page of a proxy",
        rule(on("list", "Deployment"), with_body(lambda _: HTML, Content_Type="text/html"), times=1),
    ),
    Record(
        "TRUNCATED",
        "answers the first list of each kind with half of its JSON",
        rule(on("list"), with_body(truncated), times=1),
        (HOLDS, *NOTHING),
    ),
    Record(
        "EMPTY-EVER",
        "answers every request with 200 and no body",
        rule(any_request, with_body(lambda _: b"")),
        (UNREACHABLE,),
        says="empty",
    ),
    Record(
        "NULL-EVER",
        "answers every request with null",
        rule(any_request, with_body(lambda _: b"null")),
        (UNREACHABLE,),
        says="not a JSON object",
    ),
    Record(
        "WRONG-TYPE",
        "says of every answer that it is text/plain",
        rule(not_watches, with_body(lambda body: body, Content_Type="text/plain")),
    ),
    Record(
        "SHORT-BODY", "closes the connection before the end of the first list of Pods", rule(on("list", "Pod"), _short, times=1)
    ),
    Record(
        "CHUNKED",
        "sends every answer in chunks",
        rule(not_watches, sending(lambda exchange, response: exchange.send_chunked(response))),
    ),
    Record(
        "HTTP-1.0",
        "sends every answer as HTTP/1.0",
        rule(not_watches, sending(lambda exchange, response: exchange.send_old(response))),
    ),
    Record(
        "GZIP",
        "sends every answer with gzip",
        rule(not_watches, sending(lambda exchange, response: exchange.send_compressed(response))),
    ),
    Record("NO-KEEP-ALIVE", "closes each connection after its answer, without a word", rule(not_watches, _no_keep_alive)),
    Record("CLOSE", "closes each connection after its answer, with Connection: close", rule(not_watches, _announced_close)),
    Record("RESET-ONCE", "resets the connection of the first list of Pods", rule(on("list", "Pod"), Exchange.reset, times=1)),
    Record("RESET-EVER", "resets every connection", rule(any_request, Exchange.reset), (UNREACHABLE,)),
    Record("OUTAGE", "refuses connections for 3 s when the chain exists", _outage, EITHER, seconds=120),
    Record("CLOCK-AHEAD", "has a clock that is two hours ahead", _clock(7200)),
    Record("CLOCK-BEHIND", "has a clock that is two hours behind", _clock(-7200)),
    Record("NO-DATE", "sends no header Date", _without_date, EITHER),
    Record("WARNINGS", "sends a Warning with every answer", rule(not_watches, _warnings)),
)
