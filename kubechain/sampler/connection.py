"""The client of a route: sends its request, and keeps its connection and its DNS socket between samples."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools

from . import names
from .dns import Resolver
from .errors import IN_USE, LOCAL_ERRORS, Closed, Down, Unknown, describe
from .http1 import Connection, read_answer
from .plan import Lookup, Request
from .timeouts import CONNECT, LATEST, LOOKUP, until

UNAUTHORIZED = 401


class RouteClient:
    """Sends the samples of one route, which is number `number` of the plan.

    `renewals` are the times, of the event loop's clock, at which a kept connection was found closed.
    """

    def __init__(self, number: int, request: Request) -> None:
        self.number, self._request = number, request
        self._next_port = itertools.cycle(request.ports)
        self._idle: Connection | None = None
        self._resolver: Resolver | None = None
        # The TLS settings of the kept connection.
        self._context = request.access.context if request.access else None
        self.in_flight: set[asyncio.Task[None]] = set()
        self.renewals: list[float] = []

    async def send(self, number: int, sent: float) -> Connection | None:
        """Send sample `number` and check the answer; returns a connection that the caller must close, if there is one.

        Raises:
            Down, EOFError, OSError: no answer, or another one than expected.
            Unknown: this machine could not send it.

        """
        if self._request.lookup:
            await self._resolve(self._request.lookup, sent)
        self._renew()
        connection, self._idle = self._idle, None
        if connection:
            try:
                return await self._exchange(connection, number, sent, kept=True)
            except Closed:
                # RFC 9112, 9.3.1: an idempotent request may be sent again, and all requests of a plan are idempotent.
                self.renewals.append(asyncio.get_running_loop().time())
        return await self._exchange(await self._connect(sent), number, sent, kept=False)

    def close(self) -> None:
        """Close the kept connection and the DNS socket."""
        self._drop()
        if self._resolver:
            self._resolver.close()

    def _renew(self) -> None:
        """Renew the credentials if it is time; a connection with an older client certificate is not kept."""
        access = self._request.access
        if access:
            access.renew(asyncio.get_running_loop().time())
            if access.context is not self._context:
                self._context = access.context
                self._drop()

    def _drop(self) -> None:
        """Close the kept connection."""
        if self._idle:
            self._idle[1].transport.abort()
        self._idle = None

    async def _resolve(self, lookup: Lookup, sent: float) -> None:
        resolver, reuse = self._resolver, self._request.reuse
        try:
            resolver = resolver or self._new_resolver(lookup)
            if reuse:
                self._resolver = resolver
            with until(sent + LOOKUP, f"DNS: no answer within {LOOKUP} s"):
                addresses = await resolver.lookup(lookup.name, lookup.kind)
        except OSError as error:
            if error.errno in LOCAL_ERRORS:
                raise
            raise Down(f"DNS: {describe(error)}") from None
        finally:
            if resolver and not reuse:
                resolver.close()
        if lookup.address not in addresses:
            raise Down(f"DNS: answered {', '.join(addresses) or 'no address'}")

    def _new_resolver(self, lookup: Lookup) -> Resolver:
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
        host, port, ports = self._request.host, self._request.port, self._request.ports
        moment, message = min(asyncio.get_running_loop().time() + CONNECT, sent + LATEST), f"no connection within {CONNECT} s"
        if self._request.access:
            return await self._request.access.connect(host, port, moment, message)
        # asyncio sets TCP_NODELAY by itself.
        connect = functools.partial(names.connect, await names.addresses(host, port, moment), port)
        with until(moment, message):
            if not ports:
                return await connect()
            # The unspecified address: the system chooses the source address.
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
        data, complete = request.encode(number), False
        try:
            with until(sent + LATEST, f"no answer within {LATEST:.0f} s"):
                try:
                    writer.write(data)
                    head = await reader.readuntil(b"\r\n\r\n")
                except (asyncio.IncompleteReadError, ConnectionError) as error:
                    if kept and not getattr(error, "partial", b""):
                        raise Closed from None
                    raise
                status, body, reusable = await read_answer(head, reader, request.method)
            complete = True
        except (asyncio.LimitOverrunError, ValueError):
            raise Down("malformed answer") from None
        finally:
            if not complete:
                writer.transport.abort()
        surplus: Connection | None = connection
        if request.reuse and reusable:
            # Of two idle connections the one used last is kept.
            surplus, self._idle = self._idle, connection
        if not 200 <= status < 300 or request.expect not in body:
            if surplus:
                surplus[1].transport.abort()
            if status == UNAUTHORIZED and request.access:
                self._drop()
                raise Unknown(f"status {status}: the API server does not accept the credentials")
            raise Down("another page" if 200 <= status < 300 else f"status {status}")
        return surplus
