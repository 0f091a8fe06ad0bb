"""What can happen to a request: the parts of which misbehaviours are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubechain.kube.objects import Json
from tests.hostile.api import Act, Rule
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, Request, Response, of_json
from tests.hostile.store import status_of

HTML = b"<html><body><h1>502 Bad Gateway</h1>nginx</body></html>"
REASONS = {
    429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout", 403: "Forbidden",
    401: "Unauthorized", 409: "Conflict", 410: "Expired",
}  # fmt: skip
Meant = Callable[[Request], bool]
# Changes the events of a watch.
Stream = Callable[[Exchange, Iterator[Json | None]], Iterator[Json | None]]


def any_request(_request: Request) -> bool:
    """Every request is meant."""
    return True


def on(verb: str, kind: str = "", sub: str = "") -> Meant:
    """Requests of a verb, a kind ("" for any) and a subresource are meant."""
    return lambda request: request.is_(verb, kind, sub)


def not_watches(request: Request) -> bool:
    """Every request is meant except watches and commands in containers."""
    return not request.watches and request.place.sub != "exec"


def of_namespace(meant: Meant) -> Meant:
    """Of these requests, those in a namespace are meant."""
    return lambda request: bool(request.place.namespace) and meant(request)


def rule(meant: Meant, act: Act, times: int = 0) -> Callable[[Cluster], None]:
    """Return what makes a cluster do this to the requests that are meant, so many times (0: always)."""
    return lambda cluster: cluster.api.rules.append(Rule(meant, act, times))


def both(*makes: Callable[[Cluster], object]) -> Callable[[Cluster], None]:
    """Return what makes a cluster do all of these."""

    def make(cluster: Cluster) -> None:
        for each in makes:
            each(cluster)

    return make


def failing(status: int, **headers: str) -> Act:
    """Answer with a status and its Status object, and do not execute the request."""
    reason = REASONS[status]
    return lambda exchange: exchange.send(of_json(status, status_of(status, reason, f"{reason} by the record"), **headers))


def lost(exchange: Exchange) -> None:
    """Execute the request, and close the connection without an answer."""
    exchange.answer()
    exchange.close()


def failing_after(status: int) -> Act:
    """Execute the request, and answer that it failed."""

    def act(exchange: Exchange) -> None:
        exchange.answer()
        failing(status)(exchange)

    return act


def slow(seconds: float) -> Act:
    """Wait, then answer."""

    def act(exchange: Exchange) -> None:
        exchange.wait(seconds)
        exchange.serve()

    return act


def sending(send: Callable[[Exchange, Response], None]) -> Act:
    """Execute the request and send the answer in another way."""
    return lambda exchange: send(exchange, exchange.answer())


def with_body(change: Callable[[bytes], bytes], **headers: str) -> Act:
    """Execute the request and change the bytes of the answer."""

    def act(exchange: Exchange) -> None:
        response = exchange.answer()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.send(Response(response.status, change(response.body), {**response.headers, **named}))

    return act


def reshaped(change: Callable[[Json], Json]) -> Act:
    """Answer with every object changed by a function: alone, in lists and in the events of watches."""

    def act(exchange: Exchange) -> None:
        if exchange.request.watches:
            events = exchange.api.watch(exchange.request)
            exchange.stream(event and {**event, "object": change(dict(event["object"]))} for event in events)
            return
        if exchange.request.place.sub == "exec":
            exchange.serve()
            return
        response = exchange.answer()
        if "json" not in response.headers.get("Content-Type", ""):
            exchange.send(response)
            return
        body: Json = response.json()
        if isinstance(body.get("items"), list):
            body = {**body, "items": [change(dict(item)) for item in body["items"]]}
        elif "metadata" in body and "rows" not in body and body.get("kind") != "Status":
            body = change(body)
        exchange.send(response.with_json(body))

    return act


def watch(change: Stream) -> Act:
    """Change the events of a watch."""
    return lambda exchange: exchange.stream(change(exchange, exchange.api.watch(exchange.request)))


def error_event(status: Json) -> Json:
    """Return an event ERROR with a Status object."""
    return {"type": "ERROR", "object": status}


def truncated(body: bytes) -> bytes:
    """Return the first half of a body."""
    return body[: len(body) // 2]


def without_fields(*fields: str) -> Callable[[Json], Json]:
    """Return what removes fields of the metadata, and the fields with a leading dot at the top."""

    def change(body: Json) -> Json:
        metadata = {name: value for name, value in body.get("metadata", {}).items() if name not in fields}
        rest = {name: value for name, value in body.items() if f".{name}" not in fields}
        return {**rest, "metadata": metadata}

    return change
