"""The proxy on the way to the API server: HTTP (CONNECT), the same over TLS, or SOCKS5.

Plans of samplers in Pods have no proxy, so that this may need a newer Python than theirs.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
import struct
from dataclasses import dataclass
from typing import Any

from .errors import Down, Unknown, describe
from .http1 import Connection

VERSION, NO_LOGIN, PASSWORD, CONNECT, BY_NAME = 5, 0, 2, 1, 3
# The type of an address -> its length in bytes.
ADDRESS_BYTES = {1: 4, 4: 16}
# Replies that are about the server, not about the proxy: general failure, network or host unreachable, refused, no route.
ABOUT_SERVER = (1, 3, 4, 5, 6)


@dataclass(frozen=True)
class Proxy:
    """A proxy; `scheme` is "http", "https" or "socks5", `login` a name and a password ("", "" for none)."""

    scheme: str
    host: str
    port: int
    login: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Proxy:
        """Parse the proxy of a plan; ValueError if it is of another scheme."""
        if given["scheme"] not in ("http", "https", "socks5"):
            raise ValueError(f"a proxy of the scheme {given['scheme']}")
        return cls(given["scheme"], str(given["host"]), int(given["port"]), (str(given["name"]), str(given["password"])))

    async def reach(self, context: ssl.SSLContext) -> Connection:
        """Connect to the proxy, with the TLS settings of the server if it is one of https.

        Raises:
            Unknown: it is not reached, which says nothing about the server.

        """
        try:
            return await asyncio.open_connection(self.host, self.port, ssl=context if self.scheme == "https" else None)
        except OSError as error:
            raise Unknown(f"the proxy: {describe(error)}") from None

    async def connect(self, connection: Connection, host: str, port: int) -> None:
        """Have the proxy connect to the server.

        Raises:
            Down: it says that it cannot.
            Unknown: it refuses, breaks the connection, or does not speak the protocol.

        """
        try:
            await (self._socks(connection, host, port) if self.scheme == "socks5" else self._tunnel(connection, host, port))
        except (EOFError, OSError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            raise Unknown(f"the proxy: {describe(error)}") from None

    async def _tunnel(self, connection: Connection, host: str, port: int) -> None:
        reader, writer = connection
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = base64.b64encode(":".join(self.login).encode()).decode()
        known = f"Proxy-Authorization: Basic {login}\r\n" if any(self.login) else ""
        writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{known}\r\n".encode())
        status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
        if not 200 <= status < 300:
            # Of the others, those from 500 on say that the server cannot be reached.
            raise (Down if status >= 500 else Unknown)(f"the proxy: status {status}")

    async def _socks(self, connection: Connection, host: str, port: int) -> None:
        reader, writer = connection
        methods = [NO_LOGIN, PASSWORD] if any(self.login) else [NO_LOGIN]
        writer.write(bytes([VERSION, len(methods), *methods]))
        version, chosen = await reader.readexactly(2)
        if version != VERSION or chosen not in methods:
            raise Unknown("the proxy: it speaks no SOCKS5, or asks for a password")
        if chosen == PASSWORD:
            name, password = (word.encode() for word in self.login)
            writer.write(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
            if (await reader.readexactly(2))[1]:
                raise Unknown("the proxy: it does not accept the password")
        writer.write(bytes([VERSION, CONNECT, 0]) + _place(host) + struct.pack(">H", port))
        _, reply, _, kind = await reader.readexactly(4)
        if reply:
            raise (Down if reply in ABOUT_SERVER else Unknown)(f"the proxy: reply {reply}")
        await reader.readexactly((ADDRESS_BYTES.get(kind) or (await reader.readexactly(1))[0]) + 2)


def _place(host: str) -> bytes:
    """Return an address, or a name, which the proxy resolves, in the form of SOCKS5."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host).packed
        return bytes([1 if len(address) == ADDRESS_BYTES[1] else 4]) + address
    name = host.encode("idna")
    return bytes([BY_NAME, len(name)]) + name
