"""Connections through a SOCKS5 proxy (RFC 1928, with the password of RFC 1929); the proxy resolves the host names."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.url import Url

from kubechain.kube import proxies
from kubechain.kube.bounded_sockets import Pool, Pools, TlsConnection, TlsPool, bounded

PORT = 1080
VERSION, NO_LOGIN, PASSWORD, CONNECT, BY_NAME = 5, 0, 2, 1, 3
ADDRESS_BYTES = {1: 4, 4: 16}
REPLIES = {
    1: "general failure",
    2: "connection not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


def pools(proxy: Url) -> Pools:
    """Return the classes of connection pools, by scheme, whose connections go through a SOCKS5 proxy."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _opened(proxy, self.host, self.port, self.timeout)

    class SecureConnection(TlsConnection):
        def _new_conn(self) -> socket.socket:
            return _opened(proxy, self.host, self.port, self.timeout)

    class Plain(Pool):
        ConnectionCls: Any = Connection

    class Secure(TlsPool):
        ConnectionCls: Any = SecureConnection

    return {"http": Plain, "https": Secure}


def _opened(proxy: Url, host: str, port: int, timeout: Any) -> socket.socket:
    """Return a socket that the proxy has connected to a host; OSError if it cannot be reached, or refuses."""
    try:
        made = bounded(socket.create_connection(((proxy.host or "").strip("[]"), proxy.port or PORT), timeout))
    except OSError as error:
        # Not from the error, which would be taken for one of the server.
        raise OSError(f"the SOCKS proxy: {error.strerror or error}") from None
    try:
        _log_in(made, proxies.login(proxy))
        made.sendall(bytes([VERSION, CONNECT, 0]) + _place(host.strip("[]")) + struct.pack(">H", port))
        _, reply, _, kind = _read(made, 4)
        if reply:
            raise OSError(f"the SOCKS proxy does not connect to {host}: {REPLIES.get(reply, f'reply {reply}')}")
        _read(made, (ADDRESS_BYTES.get(kind) or _read(made, 1)[0]) + 2)
    except BaseException:
        made.close()
        raise
    return made


def _place(host: str) -> bytes:
    """Return an address, or a name, which the proxy resolves, in the form of the protocol."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host).packed
        return bytes([1 if len(address) == ADDRESS_BYTES[1] else 4]) + address
    name = host.encode("idna")
    return bytes([BY_NAME, len(name)]) + name


def _log_in(made: socket.socket, login: tuple[str, str] | None) -> None:
    methods = [NO_LOGIN, PASSWORD] if login else [NO_LOGIN]
    made.sendall(bytes([VERSION, len(methods), *methods]))
    version, chosen = _read(made, 2)
    if version != VERSION:
        raise OSError("the SOCKS proxy does not speak SOCKS5")
    if chosen not in methods:
        raise OSError("the SOCKS proxy asks for a password; write it into its URL: socks5://NAME:PASSWORD@HOST:PORT")
    if chosen == PASSWORD and login:
        name, password = (word.encode() for word in login)
        made.sendall(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if _read(made, 2)[1]:
            raise OSError("the SOCKS proxy does not accept the password in its URL")


def _read(made: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        chunk = made.recv(size - len(got))
        if not chunk:
            raise OSError("the SOCKS proxy closed the connection")
        got += chunk
    return got
