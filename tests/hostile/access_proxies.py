"""Proxies on loopback: an HTTP proxy that tunnels (CONNECT), and SOCKS5. Every host name leads to loopback."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
SECONDS = 10.0
Handshake = Callable[[socket.socket], "Wanted | None"]


@dataclass(frozen=True)
class Wanted:
    """The address that a client asks a proxy for, and the answer that it gets once the tunnel is open."""

    host: str
    port: int
    opened: bytes


@dataclass
class Proxy:
    """A proxy, and the "host:port" of each tunnel that was asked for."""

    port: int
    tunnels: list[str] = field(default_factory=list[str])


@contextmanager
def connect_proxy(port: int, *, login: str = "", status: int = 200, tls: ssl.SSLContext | None = None) -> Generator[Proxy]:
    """Serve CONNECT, perhaps over TLS: every tunnel leads to `port` of loopback.

    A `login` ("name:password") is demanded with 407. Another `status` than 200 is the answer to everything.
    """
    expected = "Basic " + base64.b64encode(login.encode()).decode()

    def shake(client: socket.socket) -> Wanted | None:
        head = _head(client)
        host, _, asked = head.split(" ")[1].rpartition(":")
        given = next((line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("proxy-auth")), "")
        if login and given != expected:
            client.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n')
            client.sendall(b"Content-Length: 0\r\n\r\n")
            return None
        if status != 200:
            client.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            return None
        return Wanted(host, int(asked), b"HTTP/1.1 200 Connection established\r\n\r\n")

    with _serving(port, shake, tls) as proxy:
        yield proxy


@contextmanager
def forwarding(host: str, port: int, tls: ssl.SSLContext | None = None) -> Generator[int]:
    """Listen on an address of this machine, perhaps with TLS, and lead all to `port` of loopback; yields the port there."""
    with _serving(port, lambda _: Wanted(host, port, b""), tls, host) as proxy:
        yield proxy.port


@contextmanager
def socks_proxy(port: int, *, login: str = "", reply: int = 0, names: bool = True) -> Generator[Proxy]:
    """Serve SOCKS5 (RFC 1928): every connection leads to `port` of loopback, or is refused with the code `reply`.

    Without `names`, addresses are served alone.
    """

    def shake(client: socket.socket) -> Wanted | None:
        methods = _exactly(client, _exactly(client, 2)[1])
        chosen = 2 if login else 0
        if chosen not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, chosen]))
        if login:
            name = _exactly(client, _exactly(client, 2)[1])
            password = _exactly(client, _exactly(client, 1)[0])
            right = name + b":" + password == login.encode()
            client.sendall(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return None
        kind = _exactly(client, 4)[3]
        size = _exactly(client, 1)[0] if kind == 3 else {1: 4, 4: 16}[kind]
        address = _exactly(client, size)
        host = address.decode() if kind == 3 else socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, address)
        (asked,) = struct.unpack(">H", _exactly(client, 2))
        answer = bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
        if reply or (kind == 3 and not names):
            client.sendall(answer if reply else b"\x05\x08" + answer[2:])
            return None
        return Wanted(host, asked, answer)

    with _serving(port, shake) as proxy:
        yield proxy


@contextmanager
def _serving(port: int, shake: Handshake, tls: ssl.SSLContext | None = None, host: str = HOST) -> Generator[Proxy]:
    ended = threading.Event()
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        proxy = Proxy(listener.getsockname()[1])

        def accept() -> None:
            while not ended.is_set():
                client, _ = listener.accept()
                threading.Thread(target=_tunnel, args=(client, port, shake, proxy, tls), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                socket.create_connection((host, proxy.port), timeout=SECONDS).close()
            thread.join(SECONDS)


def _tunnel(plain: socket.socket, port: int, shake: Handshake, proxy: Proxy, tls: ssl.SSLContext | None) -> None:
    plain.settimeout(SECONDS)
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError, ValueError, IndexError):
        client = stack.enter_context(plain)
        if tls:
            client = stack.enter_context(tls.wrap_socket(plain, server_side=True))
        wanted = shake(client)
        if wanted is None:
            return
        proxy.tunnels.append(f"{wanted.host}:{wanted.port}")
        with socket.create_connection((HOST, port), timeout=SECONDS) as server:
            client.sendall(wanted.opened)
            for each in (client, server):
                each.settimeout(None)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join(SECONDS)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _head(client: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += _exactly(client, 1)
    return text.decode()


def _exactly(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        chunk = client.recv(size - len(got))
        if not chunk:
            raise ConnectionError("the client has gone")
        got += chunk
    return got
