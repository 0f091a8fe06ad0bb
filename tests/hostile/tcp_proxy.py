"""A TCP proxy on loopback that disturbs what it forwards, as load balancers, NAT and firewalls do. TLS passes through."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.parse
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kubechain.kube.kubeconfig import private_copy
from tests import listening

HOST = "127.0.0.1"
CHUNK = 65536
START_SECONDS = 5.0


@dataclass(frozen=True)
class Mode:
    """What happens to each connection; times are seconds, and 0 means never or none."""

    name: str
    cut_after: float = 0.0
    """Both sides are closed so long after the connection was accepted, whatever is under way."""
    mute_after: float = 0.0
    """Bytes are read and dropped so long after the connection was accepted; nothing is closed."""
    muted: frozenset[str] = frozenset({"to server", "to client"})
    """The directions that `mute_after` is about."""
    delay: float = 0.0
    """Each piece of data arrives so much later."""
    refuse_every: float = 0.0
    """Connections are refused from time to time: the time from one refusal to the next."""
    refuse_for: float = 0.0
    """How long connections are refused; those that are open stay."""


CUT = Mode("cut", cut_after=2.0)
HALF_OPEN = Mode("half-open", mute_after=8.0)
DROP_ANSWERS = Mode("drop answers", mute_after=8.0, muted=frozenset({"to client"}))
DROP_REQUESTS = Mode("drop requests", mute_after=8.0, muted=frozenset({"to server"}))
DELAY = Mode("delay", delay=0.1)
SLOW = Mode("slow", delay=0.15)
REFUSE = Mode("refuse", refuse_every=8.0, refuse_for=1.5, cut_after=2.0)
MODES = {mode.name: mode for mode in (CUT, HALF_OPEN, DROP_ANSWERS, DROP_REQUESTS, DELAY, SLOW, REFUSE)}


@dataclass
class Proxy:
    """A proxy that runs: its port, and what it has done so far."""

    host: str
    upstream: int
    mode: Mode
    port: int = 0
    connections: int = 0
    cut: int = 0
    dropped: int = 0
    """Bytes that were read and not forwarded."""
    refusals: int = 0
    """How often the port was closed for a while."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def run(self, started: threading.Event, ended: asyncio.Event) -> None:
        """Serve until `ended` is set; set `started` once the port is open."""
        server = await self._open()
        started.set()
        try:
            while not await _within(self.mode.refuse_every or None, ended.wait()):
                # The port is closed, so the kernel refuses connections.
                await listening.stopped(server)
                self.refusals += 1
                await _within(self.mode.refuse_for, ended.wait())
                server = await self._open()
        finally:
            await listening.stopped(server)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accepted, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        began = asyncio.get_running_loop().time()
        writers = [writer]
        try:
            with contextlib.suppress(OSError):
                server_reader, server_writer = await asyncio.open_connection(self.host, self.upstream)
                writers.append(server_writer)
                directions = asyncio.gather(
                    self._forward(reader, server_writer, "to server", began),
                    self._forward(server_reader, writer, "to client", began),
                )
                if not await _within(self.mode.cut_after or None, directions):
                    self.cut += 1
        finally:
            for each in writers:
                each.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str, began: float) -> None:
        clock, mode = asyncio.get_running_loop().time, self.mode
        mute_from = began + mode.mute_after if mode.mute_after and direction in mode.muted else float("inf")
        while data := await reader.read(CHUNK):
            await asyncio.sleep(mode.delay)
            if clock() >= mute_from:
                self.dropped += len(data)
                continue
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _within(seconds: float | None, what: Awaitable[object]) -> bool:
    """Wait for at most `seconds` (None: without limit) and return whether it ended; it is cancelled if it did not."""
    try:
        await asyncio.wait_for(what, seconds)
    except TimeoutError:
        return False
    return True


@contextmanager
def proxying(host: str, port: int, mode: Mode) -> Generator[Proxy]:
    """Run a proxy in front of a port in a thread of its own while the body runs."""
    proxy, started = Proxy(host, port, mode), threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(proxy.run(started, ended),), name="proxy")
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the proxy has not started after {START_SECONDS:.0f} s")
        yield proxy
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextmanager
def proxied(kubeconfig: Path, context: str, mode: Mode, folder: Path) -> Generator[tuple[Path, Proxy]]:
    """Run a proxy in front of a context's API server; yield a kubeconfig that leads through it, and the proxy.

    The kubeconfig is written to `folder`; it has the context under the same name. The name that the server's certificate must
    have stays the same (tls-server-name).
    """
    content = yaml.safe_load(private_copy((kubeconfig,), context, folder).read_text(encoding="utf-8"))
    cluster = content["clusters"][0]["cluster"]
    url = urllib.parse.urlsplit(str(cluster["server"]))
    host = url.hostname or ""
    with proxying(host, url.port or 443, mode) as proxy:
        cluster["server"] = f"{url.scheme}://{HOST}:{proxy.port}"
        cluster.setdefault("tls-server-name", host)
        path = folder / f"through-{mode.name.replace(' ', '-')}"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        yield path, proxy
