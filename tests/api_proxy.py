"""A proxy on loopback before the API server of a real cluster: it speaks HTTP, and changes or refuses answers, but no cluster."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubechain.kube.connection import Connection

CONNECT_SECONDS, LONGEST = 10.0, 600.0
DROPPED = {"authorization", "connection", "host", "accept-encoding", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Refusal:
    """An answer of the proxy itself; `seconds` is the value of Retry-After, if it is sent."""

    status: int
    body: str
    seconds: int | None = None


class Answers:
    """What a proxy makes of requests and answers; this one passes everything on as it is.

    `prefix` is the path of the API server's root on the proxy, such as "/clusters/one"; nothing else is served.
    """

    prefix = ""

    def refusal(self, method: str, path: str, authorization: str) -> Refusal | None:  # noqa: ARG002
        """Return the answer to a request that is not passed on; `path` has its query."""
        return None

    def answer(self, path: str, body: Any) -> Any:  # noqa: ARG002
        """Return the JSON to send in place of a list, an object or an event of a watch."""
        return body

    def log(self, text: str) -> str:
        """Return the text to send in place of the log of a Pod."""
        return text

    def warnings(self) -> list[str]:
        """Return values of the header Warning, one line each."""
        return []


class Server(ThreadingHTTPServer):
    """The listener of a proxy; `upstream` leads to the API server. It speaks TLS if `tls` is given."""

    daemon_threads = True

    def __init__(self, upstream: Connection, answers: Answers, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if tls:
            # The handshake is left to the thread of the connection: a client that is slow with it holds up no other.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url, self.answers = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}", answers
        self._upstream, self._lock = upstream, threading.Lock()

    def opened(self) -> http.client.HTTPConnection:
        """Return a new connection to the API server."""
        with self._lock:
            return self._upstream.opened(CONNECT_SECONDS)

    def credentials(self) -> list[tuple[str, str]]:
        """Return the headers that say who sends a request: the proxy, whatever its client says."""
        with self._lock:
            return self._upstream.headers(self._upstream.credential())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client may close its connection at any time."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # the only listener of this handler
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        """Answer a request: refused, passed on to the API server, or a connection of another protocol."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        prefix = self.server.answers.prefix
        if not self.path.startswith(f"{prefix}/"):
            self.reply(404, b"404 page not found\n", [("Content-Type", "text/plain")])
            return
        self.path = self.path.removeprefix(prefix)
        path = self.path.partition("?")[0]
        refusal = self.server.answers.refusal(self.command, self.path, self.headers.get("Authorization", ""))
        if refusal:
            retry = [] if refusal.seconds is None else [("Retry-After", str(refusal.seconds))]
            self.reply(refusal.status, refusal.body.encode(), [("Content-Type", "application/json"), *retry])
        elif self.headers.get("Upgrade"):
            self.tunnel()
        else:
            self.relay(path, body)

    def relay(self, path: str, body: bytes) -> None:
        """Pass on a request, and what becomes of its answer."""
        connection = self.server.opened()
        with contextlib.closing(connection):
            assert connection.sock
            connection.sock.settimeout(LONGEST)
            # Those of the standard library, whose response can be read line by line.
            http.client.HTTPConnection.request(connection, self.command, self.path, body or None, dict(self.passed()))
            response = http.client.HTTPConnection.getresponse(connection)
            kind = response.headers.get_content_type()
            headers = [("Content-Type", response.headers.get("Content-Type", "text/plain"))]
            headers += [(name, value) for name in ("Retry-After", "Date") for value in response.headers.get_all(name, [])]
            headers += [("Warning", value) for value in self.server.answers.warnings()]
            if "watch=" in self.path and response.status == 200:
                self.watch(path, response, headers)
                return
            content = response.read()
            if kind == "application/json" and "/proxy/" not in path:
                content = json.dumps(self.server.answers.answer(path, json.loads(content))).encode()
            elif path.endswith("/log"):
                content = self.server.answers.log(content.decode(errors="replace")).encode()
            self.reply(response.status, content, headers)

    def passed(self) -> list[tuple[str, str]]:
        """Return the headers that are sent to the API server."""
        kept = [(name, value) for name, value in self.headers.items() if name.lower() not in DROPPED]
        return [*kept, *self.server.credentials()]

    def reply(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
        """Send an answer."""
        self.send_response_only(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def watch(self, path: str, response: http.client.HTTPResponse, headers: list[tuple[str, str]]) -> None:
        """Send what becomes of the events of a watch."""
        self.send_response_only(200)
        for name, value in [*headers, ("Transfer-Encoding", "chunked")]:
            self.send_header(name, value)
        self.end_headers()
        for line in response:
            event = json.dumps(self.server.answers.answer(path, json.loads(line))).encode() + b"\n"
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def tunnel(self) -> None:
        """Pass on a connection that becomes one of another protocol: exec and port-forward."""
        self.close_connection = True
        connection = self.server.opened()
        with contextlib.closing(connection):
            assert connection.sock
            upgraded = [("Connection", "Upgrade"), ("Host", connection.host), *self.passed()]
            lines = [f"{self.command} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in upgraded), "", ""]
            connection.sock.settimeout(LONGEST)
            connection.sock.sendall("\r\n".join(lines).encode())
            back = threading.Thread(target=_copy, args=(connection.sock, self.connection), daemon=True)
            back.start()
            _copy(self.connection, connection.sock)
            back.join(CONNECT_SECONDS)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815  # names of the library

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
        """Print nothing."""


@contextmanager
def serving(kubeconfig: Path, context: str, secrets: Path, answers: Answers, tls: ssl.SSLContext | None = None) -> Generator[str]:
    """Serve the API of the cluster of a context on a free port of loopback, with that context's credentials; yield its URL.

    It is an URL of http, or of https with the certificate of `tls`.
    """
    upstream = Connection(kubeconfig, context, secrets)
    with Server(upstream, answers, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.url + answers.prefix
        finally:
            server.shutdown()
            thread.join()
            upstream.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
