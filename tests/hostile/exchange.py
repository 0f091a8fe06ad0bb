"""One request as it came, and every way in which an API server can answer it, right and wrong."""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from kubechain.kube.objects import Json
from tests.hostile import protobuf
from tests.hostile.resources import Place, place_of

if TYPE_CHECKING:
    from tests.hostile.api import ApiServer

Headers = dict[str, str]


@dataclass(frozen=True)
class Request:
    """A request: `place` is what its path names, `user` who sent it."""

    method: str
    path: str
    query: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: Any
    user: str

    @property
    def place(self) -> Place:
        """The kind, namespace, name and subresource of the path."""
        return place_of(self.path)

    @property
    def watches(self) -> bool:
        """Whether the request opens a watch."""
        return self.query.get("watch") in ("1", "true") and self.method == "GET"

    @property
    def verb(self) -> str:
        """The verb: get, list, watch, create, update, patch, delete or deletecollection."""
        if self.method == "GET":
            return "watch" if self.watches else "get" if self.place.name else "list"
        changes = {"POST": "create", "PUT": "update", "PATCH": "patch"}
        return changes.get(self.method, "delete" if self.place.name else "deletecollection")

    @property
    def checks(self) -> bool:
        """Whether the request belongs to the check before the first chain: a dry run, or one about the namespace for it."""
        created = self.body["metadata"].get("name", "") if self.method == "POST" and "metadata" in (self.body or {}) else ""
        return "dryRun" in self.query or any(name.endswith("-check") for name in (self.place.namespace, self.place.name, created))

    def is_(self, verb: str, kind: str = "", sub: str = "") -> bool:
        """Whether the request has this verb, kind ("" for any) and subresource, and does not belong to the check."""
        place = self.place
        meant = self.verb == verb and place.kind == (kind or place.kind) and place.sub.partition("/")[0] == sub
        # /version and the lists of APIs are no resources.
        return meant and bool(place.kind) and not self.checks


@dataclass(frozen=True)
class Response:
    """A response, before it is sent."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=dict[str, str])

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)

    def with_json(self, body: object) -> Response:
        """Return the response with another body."""
        return replace(self, body=json.dumps(body).encode())


def of_json(status: int, body: object, **headers: str) -> Response:
    """Return a response with a JSON body; underscores in the names of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json", **named})


class Exchange:
    """A request and the connection on which it is answered."""

    def __init__(self, handler: BaseHTTPRequestHandler, api: ApiServer) -> None:
        """Read the request."""
        self.handler, self.api = handler, api
        size = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(size)
        parts = urlsplit(handler.path)
        pairs = tuple(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        user = api.access.authenticate(headers, _certificate(handler.connection))
        decode = protobuf.decoded if headers.get("content-type") == protobuf.TYPE else json.loads
        body = decode(text) if text.strip() else None
        self.request = Request(handler.command, parts.path, dict(pairs), pairs, headers, body, user)

    def serve(self) -> None:
        """Answer as an API server does."""
        if self.request.watches:
            self.stream(self.api.watch(self.request))
        elif self.request.place.sub == "exec":
            self.api.execute(self)
        else:
            self.send(self.answer())

    def answer(self) -> Response:
        """Execute the request and return the response, which is not sent."""
        return self.api.answer(self.request)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and headers."""
        lines = [f"{self.handler.protocol_version} {status} {HTTPStatus(status).phrase}"]
        date: Headers = {"Date": formatdate(self.api.store.now(), usegmt=True)} if self.api.dated else {}
        lines += [f"{name}: {value}" for name, value in {**date, **headers}.items()]
        self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, response: Response) -> None:
        """Send a response in one piece."""
        self.head(response.status, {**response.headers, "Content-Length": str(len(response.body))})
        self.write(response.body)

    def send_chunked(self, response: Response, size: int = 64) -> None:
        """Send a response in chunks."""
        self.head(response.status, {**response.headers, "Transfer-Encoding": "chunked"})
        for start in range(0, len(response.body), size):
            self.chunk(response.body[start : start + size])
        self.chunk(b"")

    def send_old(self, response: Response) -> None:
        """Send a response as HTTP/1.0: without a length, and ended by the end of the connection."""
        self.handler.protocol_version = "HTTP/1.0"
        self.head(response.status, response.headers)
        self.write(response.body)
        self.close()

    def send_compressed(self, response: Response) -> None:
        """Send a response with gzip."""
        self.send(replace(response, body=gzip.compress(response.body), headers={**response.headers, "Content-Encoding": "gzip"}))

    def trickle(self, response: Response, seconds: float) -> None:
        """Send a response a byte at a time, with a pause after each."""
        self.head(response.status, {**response.headers, "Content-Length": str(len(response.body))})
        for byte in response.body:
            self.write(bytes([byte]))
            self.wait(seconds)

    def stream(self, events: Iterable[Json | None]) -> None:
        """Send the events of a watch; None checks only that the client is there."""
        self.head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        with self.api.watching():
            for event in events:
                if self.is_gone():
                    break
                if event is not None:
                    self.chunk(json.dumps(event).encode() + b"\n")
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        """Send one chunk; the empty one ends the body."""
        self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.handler.wfile.write(data)

    def is_gone(self) -> bool:
        """Whether the client has closed the connection, or sends what nobody asked for."""
        return bool(select.select([self.handler.connection], [], [], 0)[0])

    def wait(self, seconds: float) -> None:
        """Let time pass, until the server is closed."""
        self.api.closed.wait(seconds)

    def hang(self, seconds: float = 600.0) -> None:
        """Send nothing until the client or the server closes the connection."""
        ends = threading.Event()
        for _ in range(int(seconds * 5)):
            if self.is_gone() or self.api.closed.is_set():
                return
            ends.wait(0.2)

    def close(self) -> None:
        """Close the connection after what was sent."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Reset the connection: the client gets an RST."""
        connection: Any = self.handler.connection
        raw = socket.socket(fileno=connection.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        raise ConnectionResetError


def _certificate(connection: Any) -> Mapping[str, Any]:
    """Return the certificate that the client shows, {} for none."""
    return (connection.getpeercert() or {}) if isinstance(connection, ssl.SSLSocket) else {}


def events_of(lines: Iterator[Json | None]) -> Iterator[Json]:
    """Return the events of a watch without the checks between them."""
    return (line for line in lines if line is not None)
