"""Records of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kubechain.kube.objects import Json
from tests.hostile.acts import both, failing, of_namespace, on, rule, watch
from tests.hostile.api import Act
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, Request, of_json
from tests.hostile.records import HOLDS, UNDECIDED, Record
from tests.hostile.records_watches import GONE, stopping
from tests.hostile.resources import TABLE, listed
from tests.hostile.store import SEEN_BEFORE, status_of


def _expired_pages(exchange: Exchange) -> None:
    """Answer lists in pages of one, whose continue token has expired."""
    request = exchange.request
    if request.query.get("continue"):
        exchange.send(of_json(410, status_of(410, "Expired", "The provided continue parameter is too old")))
        return
    if "limit" not in request.query:
        exchange.serve()
        return
    body = exchange.answer().json()
    more = len(body["items"]) > 1
    body["metadata"] |= {"continue": "old"} if more else {}
    exchange.send(of_json(200, {**body, "items": body["items"][:1]}))


def _pages(exchange: Exchange) -> None:
    """Answer lists in pages of one."""
    if "limit" in exchange.request.query:
        exchange.request = replace(exchange.request, query={**exchange.request.query, "limit": "1"})
    exchange.serve()


def _older(exchange: Exchange) -> None:
    """Answer a list as it was 20 versions ago."""
    request = exchange.request
    version = max(exchange.api.store.version - 20, SEEN_BEFORE)
    items = exchange.api.store.at(version, request.place.kind, request.place.namespace)
    exchange.send(of_json(200, listed(request.place, items, version)))


def _empty(exchange: Exchange) -> None:
    """Answer a list with no items, at the current version."""
    exchange.send(of_json(200, listed(exchange.request.place, [], exchange.api.store.version)))


def _null(exchange: Exchange) -> None:
    """Answer an empty list with null in place of []."""
    response = exchange.answer()
    body = response.json()
    # A table has rows, and a refusal has neither.
    exchange.send(response.with_json({**body, "items": body["items"] or None} if "items" in body else body))


def _no_version(exchange: Exchange) -> None:
    """Answer a list without a resourceVersion."""
    response = exchange.answer()
    body = response.json()
    exchange.send(response.with_json({**body, "metadata": {}}))


def _then(act: Act) -> Callable[[Cluster], None]:
    """Expire a watch of Pods once, and answer the list that follows in a wrong way."""
    lists = list[int]()

    def later(exchange: Exchange) -> None:
        lists.append(1)
        (act if len(lists) == 2 else Exchange.serve)(exchange)

    expiry = rule(on("watch", "Pod"), watch(stopping(GONE, 6)), times=1)
    return both(expiry, rule(of_namespace(on("list", "Pod")), later))


def _none(_exchange: Exchange, events: Iterator[Json | None]) -> Iterator[Json | None]:
    """Send no change in a watch."""
    return (event for event in events if event is None)


EITHER = (HOLDS, UNDECIDED)


def _is_list(request: Request) -> bool:
    return request.is_("list") and bool(request.place.namespace) and TABLE not in request.headers.get("accept", "")


LISTS = _is_list
RECORDS = (
    Record("LIST-PAGES", "answers lists in pages of one", rule(on("list"), _pages)),
    Record("LIST-CONTINUE-EXPIRED", "lets every continue token expire", rule(on("list"), _expired_pages)),
    Record(
        "LIST-EMPTY-ONCE",
        "answers the list of Pods after an expired watch with none",
        _then(_empty),
        EITHER,
        seconds=600,
    ),
    Record(
        "LIST-OLDER-ONCE",
        "answers the list of Pods after an expired watch with an older state",
        _then(_older),
        EITHER,
        seconds=600,
    ),
    Record("LIST-OLDER", "answers every list in a namespace with an older state", rule(LISTS, _older), EITHER, seconds=600),
    Record("LIST-NULL", "answers empty lists with null", rule(on("list"), _null)),
    Record("LIST-NO-VERSION", "answers lists in a namespace without a resourceVersion", rule(LISTS, _no_version)),
    Record(
        "NO-EVENTS",
        "stores no Event",
        both(rule(on("list", "Event"), _empty), rule(on("watch", "Event"), watch(_none))),
        says="needs Events, of which this cluster records none",
    ),
    Record(
        "LIST-403-EVENTS", "refuses lists of Events with 403", rule(on("list", "Event"), failing(403)), (UNDECIDED,), says="403"
    ),
)
