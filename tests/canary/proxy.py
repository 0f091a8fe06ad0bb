"""A proxy on loopback before the API server of a real cluster, which plants secrets in the answers and changes no cluster."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubechain.kube.connection import Connection
from tests.canary.plants import Plants

CONNECT_SECONDS, LONGEST = 10.0, 600.0
DROPPED = {"authorization", "connection", "host", "accept-encoding", "content-length", "transfer-encoding"}


@dataclass
class Proxy:
    """A running proxy; `refuses` says whether it refuses the requests of Plants.refusal."""

    url: str
    plants: Plants
    refuses: bool = False


class Server(ThreadingHTTPServer):
    """The listener of a proxy; `upstream` leads to the API server."""

    daemon_threads = True

    def __init__(self, upstream: Connection, plants: Plants) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.proxy = Proxy(f"http://127.0.0.1:{self.server_port}", plants)
        self._upstream, self._lock = upstream, threading.Lock()

    def opened(self) -> http.client.HTTPConnection:
        """Return a new connection to the API server."""
        with self._lock:
            return self._upstream.opened(CONNECT_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client may close its connection at any time."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # the only listener of this handler
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        """Answer a request: refused, passed on to the API server, or a connection of another protocol."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        refused = self.server.proxy.refuses and self.server.proxy.plants.refusal(
            self.command, path, self.headers.get("Authorization", "")
        )
        if refused:
            self.reply(refused[0], refused[1].encode(), [("Content-Type", "application/json")])
        elif self.headers.get("Upgrade"):
            self.tunnel()
        else:
            self.relay(path, body)

    def relay(self, path: str, body: bytes) -> None:
        """Pass on a request, and the answer with secrets."""
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
            headers += [("Warning", value) for value in self.server.proxy.plants.warnings()]
            if "watch=" in self.path and response.status == 200:
                self.watch(path, response, headers)
                return
            content = response.read()
            if kind == "application/json" and "/proxy/" not in path:
                content = json.dumps(self.server.proxy.plants.answer(path, json.loads(content))).encode()
            elif path.endswith("/log"):
                content = self.server.proxy.plants.log(content.decode(errors="replace")).encode()
            self.reply(response.status, content, headers)

    def passed(self) -> list[tuple[str, str]]:
        """Return the headers that are passed on."""
        return [(name, value) for name, value in self.headers.items() if name.lower() not in DROPPED]

    def reply(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
        """Send an answer."""
        self.send_response_only(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def watch(self, path: str, response: http.client.HTTPResponse, headers: list[tuple[str, str]]) -> None:
        """Send the events of a watch with secrets."""
        self.send_response_only(200)
        for name, value in [*headers, ("Transfer-Encoding", "chunked")]:
            self.send_header(name, value)
        self.end_headers()
        for line in response:
            event = json.dumps(self.server.proxy.plants.answer(path, json.loads(line))).encode() + b"\n"
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
def serving(kubeconfig: Path, context: str, secrets: Path, plants: Plants) -> Generator[Proxy]:
    """Serve the API of the cluster of a context on a free port of loopback, with that context's credentials."""
    upstream = Connection(kubeconfig, context, secrets)
    with Server(upstream, plants) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
            upstream.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
