"""Sockets with a total deadline: a timeout of a socket starts anew with every byte, and a server may send a byte a second.

They count what passes through them.
"""

# urllib3 and ssl have untyped corners in what is overridden here.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssltransport import SSLTransport

from kubechain.kube.traffic import TRAFFIC

# Classes of connection pools by scheme.
Pools = dict[str, type[HTTPConnectionPool | HTTPSConnectionPool]]
# A peer that is gone without a word, behind a NAT or a load balancer that has forgotten the connection, is noticed after 30 s.
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
# Monotonic seconds; of the thread that sends a request.
_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Let everything that sockets do in the body end after `seconds` in all, or by the deadline around it, with TimeoutError."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Return the seconds until the deadline; infinite if there is none."""
    return _deadline.get() - time.monotonic()


class LimitedSocket(socket.socket):
    """A socket whose every operation ends by its own timeout and by the deadline, whichever is first."""

    _own: float | None = None

    def settimeout(self, value: float | None) -> None:
        """Set the timeout of each operation."""
        self._own = value
        super().settimeout(value)

    def _limit(self) -> None:
        left = seconds_left()
        if left <= 0:
            raise TimeoutError("the total deadline of the request has passed")
        own = float("inf") if self._own is None else self._own
        limit = min(own, left)
        super().settimeout(None if limit == float("inf") else limit)

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        """Receive before the deadline."""
        self._limit()
        return super().recv(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive before the deadline."""
        self._limit()
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send before the deadline."""
        self._limit()
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send before the deadline."""
        self._limit()
        super().sendall(*args, **kwargs)


class _Bounded(LimitedSocket):
    """A limited socket of the API, whose bytes are counted."""

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        data = super().recv(*args, **kwargs)
        TRAFFIC.received(len(data))
        return data

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        count = super().recv_into(*args, **kwargs)
        TRAFFIC.received(count)
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        count = super().send(*args, **kwargs)
        TRAFFIC.sent(count)
        return count


S = TypeVar("S", bound=LimitedSocket)


class BoundedSocket(_Bounded):
    """A TCP socket."""

    def sendall(self, data: Any, *args: Any) -> None:
        """Send all data, and count it here: the method of a TLS socket calls send, which counts."""
        super().sendall(data, *args)
        TRAFFIC.sent(len(data))


class BoundedTlsSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket; `ssl.SSLContext.sslsocket_class` is the way to get it."""

    def shutdown(self, how: int) -> None:
        """Shut down the connection, not its TLS: a thread that still reads would take ciphertext for plain text."""
        socket.socket.shutdown(self, how)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # as in ssl
        """Shake hands before the deadline."""
        self._limit()
        super().do_handshake(block)


def limited(connected: socket.socket, kind: type[S]) -> S:
    """Return a connected socket as one of a kind with a total deadline."""
    timeout = connected.gettimeout()
    made = kind(connected.family, connected.type, connected.proto, fileno=connected.detach())
    made.settimeout(timeout)
    return made


def bounded(connected: socket.socket) -> BoundedSocket:
    """Return a connected socket as one with a total deadline."""
    TRAFFIC.connected()
    made = limited(connected, BoundedSocket)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        # Some systems have none of these options, and periods of their own.
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return bounded(super()._new_conn())


class TlsConnection(HTTPSConnection):
    """A connection with TLS."""

    def connect(self) -> None:
        """Connect; TLS within TLS, through a proxy of https, has no shutdown of its own, by which a watch is interrupted."""
        super().connect()
        made: Any = self.sock
        if isinstance(made, SSLTransport):
            made.shutdown = made.socket.shutdown  # pyright: ignore[reportAttributeAccessIssue]  # missing in urllib3

    def _new_conn(self) -> socket.socket:
        return bounded(super()._new_conn())


class Pool(HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls: Any = _Connection


class TlsPool(HTTPSConnectionPool):
    """Connections with TLS."""

    ConnectionCls: Any = TlsConnection

    def _validate_conn(self, conn: Any) -> None:
        """Connect; without the warning of urllib3 for insecure-skip-tls-verify, which the user has chosen."""
        if conn.is_closed:
            conn.connect()
