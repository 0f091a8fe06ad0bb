"""A path being asked, with what is kept of it from one sample to the next."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools

from .dns import Resolver
from .errors import IN_USE, OWN_LACK, Closed, Down, Unknown, words
from .http1 import Connection, answer_of
from .plan import Lookup, Request
from .timeouts import CONNECT, LATEST, LOOKUP, until


class Way:
    """A path of the plan, with what is kept of it: a connection, a socket for DNS, the samples in flight."""

    def __init__(self, number: int, request: Request) -> None:
        self.number, self._request = number, request
        self._next_port = itertools.cycle(request.ports)
        self._idle: Connection | None = None
        self._resolver: Resolver | None = None
        self.flying: set[asyncio.Task[None]] = set()
        self.renewed: list[float] = []

    async def ask(self, number: int, sent: float) -> Connection | None:
        """Ask once; returns a connection that is to be closed, if any, when the answer has come and is right."""
        if self._request.lookup:
            await self._resolve(self._request.lookup, sent)
        connection, self._idle = self._idle, None
        if connection:
            try:
                return await self._exchange(connection, number, sent, kept=True)
            except Closed:
                # RFC 9112, 9.3.1: a request that may be sent twice is sent again. All of ours may.
                self.renewed.append(asyncio.get_running_loop().time())
        return await self._exchange(await self._connect(sent), number, sent, kept=False)

    def close(self) -> None:
        """Close what is kept."""
        if self._idle:
            self._idle[1].transport.abort()
        if self._resolver:
            self._resolver.close()

    async def _resolve(self, lookup: Lookup, sent: float) -> None:
        resolver, reuse = self._resolver, self._request.reuse
        try:
            resolver = resolver or self._socket(lookup)
            if reuse:
                self._resolver = resolver
            with until(sent + LOOKUP, f"DNS: no answer within {LOOKUP} s"):
                found = await resolver.ask(lookup.name, lookup.kind)
        except OSError as error:
            if error.errno in OWN_LACK:
                raise
            raise Down(f"DNS: {words(error)}") from None
        finally:
            if resolver and not reuse:
                resolver.close()
        if lookup.address not in found:
            raise Down(f"DNS: answered {', '.join(found) or 'no address'}")

    def _socket(self, lookup: Lookup) -> Resolver:
        ports = self._request.ports
        if not ports:
            return Resolver(*lookup.server)
        for port in itertools.islice(self._next_port, len(ports)):
            try:
                return Resolver(*lookup.server, port)
            except OSError as error:
                if error.errno not in IN_USE:
                    raise
        raise Unknown("no source port is free")

    async def _connect(self, sent: float) -> Connection:
        host, ports = self._request.host, self._request.ports
        # asyncio sets TCP_NODELAY by itself.
        connect = functools.partial(asyncio.open_connection, host, self._request.port, ssl=self._request.tls)
        begun = asyncio.get_running_loop().time()
        with until(min(begun + CONNECT, sent + LATEST), f"no connection within {CONNECT} s"):
            if not ports:
                return await connect()
            # All zeros: whichever of this machine's addresses leads there.
            source = str(ipaddress.ip_address(bytes(16 if ":" in host else 4)))
            for port in itertools.islice(self._next_port, len(ports)):
                try:
                    return await connect(local_addr=(source, port))
                except OSError as error:
                    if error.errno not in IN_USE:
                        raise
        raise Unknown("no source port is free")

    async def _exchange(self, connection: Connection, number: int, sent: float, *, kept: bool) -> Connection | None:
        request, (reader, writer) = self._request, connection
        text, whole = request.text(number, sent), False
        try:
            with until(sent + LATEST, f"no answer within {LATEST:.0f} s"):
                try:
                    writer.write(text)
                    head = await reader.readuntil(b"\r\n\r\n")
                except (asyncio.IncompleteReadError, ConnectionError) as error:
                    if kept and not getattr(error, "partial", b""):
                        raise Closed from None
                    raise
                status, page, again = await answer_of(head, reader, request.method)
            whole = True
        except (asyncio.LimitOverrunError, ValueError):
            raise Down("malformed answer") from None
        finally:
            if not whole:
                writer.transport.abort()
        leave: Connection | None = connection
        if request.reuse and again:
            # One that is still idle was used before this one.
            leave, self._idle = self._idle, connection
        if not 200 <= status < 300 or request.expect not in page:
            if leave:
                leave[1].transport.abort()
            raise Down("another page" if 200 <= status < 300 else f"status {status}")
        return leave
