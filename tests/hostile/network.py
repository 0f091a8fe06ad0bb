"""The data plane: nginx at the address of each Pod, and kube-proxy at every clusterIP and nodePort, as real TCP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from tests import listening

PAGE = b"<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
ENDS = 10.0
# An address and a port.
Place = tuple[str, int]
T = TypeVar("T")


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all networks of this process: each connection ends with its client, whenever that is."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="network", daemon=True).start()
    return loop


class Network:
    """Servers in one thread; `serve` and `stop` are for Pods, `forward` for Services."""

    def __init__(self) -> None:
        self._loop = _loop()
        self._pods: dict[str, list[asyncio.Server]] = {}
        self._ways: dict[Place, asyncio.Server] = {}
        self._backends: dict[Place, list[Place]] = {}
        self._health: dict[Place, asyncio.Server] = {}
        self._statuses: dict[Place, int] = {}
        # How a connection is led to one of several backends.
        self.choose: Callable[[list[Place]], Place] = random.choice  # noqa: S311

    def close(self) -> None:
        """Close all servers: every place refuses connections, and those that are open end when their clients end them."""
        for uid in list(self._pods):
            self.stop(uid)
        self.forward({})
        self.report({})

    def serve(self, uid: str, name: str, address: str, port: int) -> None:
        """Serve nginx's page at a port of the address of a Pod, and at /port the number of the port."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
                asked = await reader.readuntil(b"\r\n\r\n")
                page = f"port {port}\n".encode() if asked.startswith(b"GET /port ") else PAGE
                source = writer.get_extra_info("peername")[0]
                head = f"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: {len(page)}\r\nConnection: close\r\n"
                writer.write(f"{head}X-Backend: {name}\r\nX-Source: {source}\r\n\r\n".encode() + page)
                await writer.drain()

        self._pods.setdefault(uid, []).append(self._run(asyncio.start_server(answer, address, port)))

    def stop(self, uid: str) -> None:
        """Stop the servers of a Pod, if it has some."""
        for server in self._pods.pop(uid, []):
            self._run(listening.stopped(server))

    def forward(self, wanted: Mapping[Place, Iterable[Place]]) -> None:
        """Lead each place to one of its backends, by default by chance; every other place refuses connections."""
        backends = {place: list(some) for place, some in wanted.items() if some}
        for place in [place for place in self._ways if place not in backends]:
            self._run(listening.stopped(self._ways.pop(place)))
        self._backends = backends
        for place in backends:
            if place not in self._ways:
                self._ways[place] = self._run(self._proxy(place))

    def report(self, statuses: Mapping[Place, int]) -> None:
        """Answer at each place with a status."""
        self._statuses = {**statuses}
        for place in [place for place in self._health if place not in statuses]:
            self._run(listening.stopped(self._health.pop(place)))
        for place in statuses:
            if place not in self._health:
                self._health[place] = self._run(self._reporter(place))

    async def _reporter(self, place: Place) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 {self._statuses.get(place, 500)} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()

        return await asyncio.start_server(answer, *place)

    async def _proxy(self, place: Place) -> asyncio.Server:
        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError, IndexError):
                there, back = await asyncio.open_connection(*self.choose(self._backends.get(place, [])))
                with contextlib.closing(back):
                    await asyncio.gather(_copy(reader, back), _copy(there, writer))

        return await asyncio.start_server(lead, *place)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ENDS)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
