"""Servers on loopback for the probes and the API client: what a network does, without one."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
LONGEST = 5.0
Answer = Callable[[socket.socket, threading.Event], None]


@dataclass
class Server:
    """A server that hands each connection, with the request already read, to `answer`; it counts them."""

    port: int
    requests: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{HOST}:{self.port}"

    @property
    def lines(self) -> list[str]:
        """The first line of each request, without the protocol."""
        return [request.splitlines()[0].rpartition(" ")[0] for request in self.requests]


@contextmanager
def serving(answer: Answer) -> Generator[Server]:
    """Serve on a free port of loopback while the body runs; each connection gets one answer and is closed."""
    ended = threading.Event()
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(LONGEST)
        server = Server(listener.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listener, server, answer, ended))
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            # Wakes the accept, which then sees that it is over.
            socket.create_connection((HOST, server.port), timeout=LONGEST).close()
            thread.join(LONGEST)


def _accept(listener: socket.socket, server: Server, answer: Answer, ended: threading.Event) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            if ended.is_set():
                return
            connection.settimeout(LONGEST)
            server.requests.append(_request(connection))
            try:
                answer(connection, ended)
            except OSError:
                # The client has gone.
                continue


def _request(connection: socket.socket) -> str:
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = connection.recv(65536)
        if not chunk:
            break
        text += chunk
    return text.decode() or "none"


def response(status: int, body: str, *headers: str) -> Answer:
    """Answer with a status, headers and a body."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body.encode())}", "Connection: close", *headers, "", body]
    return lambda connection, _: connection.sendall("\r\n".join(lines).encode())


def silent(_connection: socket.socket, ended: threading.Event) -> None:
    """Answer nothing until the test is over."""
    ended.wait(LONGEST)


def half(connection: socket.socket, ended: threading.Event) -> None:
    """Answer with headers and a part of the body, then nothing."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    ended.wait(LONGEST)


def cut(connection: socket.socket, _ended: threading.Event) -> None:
    """Answer with less body than was promised, and close."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf a page")


def closing(_connection: socket.socket, _ended: threading.Event) -> None:
    """Close without an answer."""


def resetting(connection: socket.socket, _ended: threading.Event) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def streaming(*chunks: bytes) -> Answer:
    """Answer with a chunked body, each chunk sent apart."""

    def answer(connection: socket.socket, _ended: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in (*chunks, b""):
            connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    return answer


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def kubeconfig(folder: Path, server: str, *, token: str = "kubeconfig-token") -> Path:  # noqa: S107
    """Write a kubeconfig with one context "test" that leads to a server."""
    path = folder / "kubeconfig"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{token: {token}}}}}]
contexts: [{{name: test, context: {{cluster: c, user: u}}}}]
"""
    )
    return path
