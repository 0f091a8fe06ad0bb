"""Runs the sampler as a program, and servers on loopback for it to sample."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubechain.core.bundle import ROOT
from kubechain.core.process import environment
from kubechain.kube.objects import Json
from kubechain.probes.load import Sample
from kubechain.sampler.dns import AAAA
from kubechain.upgrade.samples import Samples, read
from tests import listening
from tests.loopback import HOST

PROGRAM = (sys.executable, "-m", "kubechain.sampler")
HI = "Welcome to nginx!"
PAGE = f"<h1>{HI}</h1>".encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9;note=1\r\n" + PAGE[:9] + b"\r\n%x\r\n" % len(PAGE[9:])
ADDRESS, SIX = "10.96.1.1", "fd00::1"

# Path -> the answer of a Site and whether it keeps the connection; other paths are answered with the page.
ANSWERS: dict[str, tuple[bytes, bool]] = {
    "busy": (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", True),
    "rejected": (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", True),
    "other": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", True),
    "chunked": (CHUNKED + PAGE[9:] + b"\r\n0\r\nTrailer: x\r\n\r\n", True),
    "long": (b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + PAGE.ljust(300_000), True),
    "hints": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + WHOLE, True),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    "open": (b"HTTP/1.1 200 OK\r\n\r\n" + PAGE, False),
    "leaving": (WHOLE.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), False),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf a page", False),
    "closing": (b"", False),
    "reset": (b"", False),
    "nonsense": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False),
}


@dataclass
class Request:
    """A request that a Site received."""

    port: int
    head: str
    body: str
    certificate: Any
    # The number of open connections at that time.
    open: int


@dataclass
class Site:
    """A web server on loopback whose answer depends on the path; records its requests by path."""

    tls: ssl.SSLContext | None = None
    host: str = HOST
    port: int = 0
    requests: dict[str, list[Request]] = field(default_factory=dict[str, list[Request]])
    writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    server: asyncio.Server | None = None
    third: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Listen, after a call of close on the same port."""
        self.server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and close every connection."""
        if self.server:
            listening.stop(self.server)
        for writer in self.writers:
            writer.close()

    def ports(self, path: str) -> list[int]:
        """Return the source ports of the requests for a path."""
        return [request.port for request in self.requests[path]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        if self.server and not self.server.is_serving():
            writer.close()
        with contextlib.suppress(OSError, EOFError):
            served = 1
            while await self._answer(await self._request(reader, writer), served, writer):
                served += 1
        self.writers.discard(writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:-1])
        body = (await reader.readexactly(int(fields.get("content-length", 0)))).decode()
        path = head.split()[1].removeprefix("/")
        port, certificate = writer.get_extra_info("peername")[1], writer.get_extra_info("peercert")
        self.requests.setdefault(path, []).append(Request(port, head, body, certificate, len(self.writers)))
        if len(self.requests[path]) == 3:
            self.third.set()
        return path

    async def _answer(self, path: str, served: int, writer: asyncio.StreamWriter) -> bool:
        """Answer; returns whether the connection is kept."""
        name = path.partition("-")[0]
        answer, kept = ANSWERS.get(name, (WHOLE, True))
        if name == "silent":
            await asyncio.sleep(60)
        if name == "together":
            await self.third.wait()
        if name == "slow":
            await asyncio.sleep(1.4)
        if name == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if name == "moody" and served == 3:
            # A server that closes an idle connection at the moment when a request arrives.
            return False
        writer.write(answer)
        if name == "ports":
            # A delay after the answer: a sampler that closes first would keep its ports in use for a minute.
            await asyncio.sleep(0.03)
        ended = "connection: close" in self.requests[path][-1].head.lower()
        return kept and not ended and not (name == "thrice" and served == 3)


class Names(asyncio.DatagramProtocol):
    """A DNS server whose answer depends on the first label; records the source ports of its queries by label."""

    def __init__(self) -> None:
        self.ports: dict[str, list[int]] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Answer a query."""
        name = data[13 : 13 + data[12]].decode()
        self.ports.setdefault(name, []).append(addr[1])
        six = data[-3] == AAAA
        address = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, SIX if six else ADDRESS)
        found = [(5, b"\xc0\x0c"), (data[-3], address)]
        if name.startswith("twin"):
            found = [(1, bytes([10, 96, 9, 8])), (1, bytes([10, 96, 9, 9]))]
        rcode = {"gone": 3, "sick": 2, "odd": 11}.get(name, 0)
        header = struct.pack("!5H", 0x8180 | rcode, 1, 0 if rcode or name == "none" else len(found), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 5, len(rdata)) + rdata for kind, rdata in found)
        reply = header + data[12:] + (b"" if name == "torn" or rcode else records)
        if name != "silent":
            # An answer to another query comes first: NXDOMAIN.
            self.transport.sendto(bytes([data[0] ^ 0xFF, data[1], 0x81, 0x83]) + reply[2:], addr)
            self.transport.sendto(data[:2] + reply, addr)

    async def open(self) -> str:
        """Listen; returns the address, HOST:PORT."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, (HOST, 0))
        return f"{HOST}:{transport.get_extra_info('sockname')[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.transport.close()


@dataclass
class Run:
    """A run of the program: the names of its routes, its file of samples, its process and exit status."""

    names: list[str]
    out: Path
    process: asyncio.subprocess.Process
    code: int = -1

    @property
    def samples(self) -> Samples:
        """The content of the file of samples."""
        return read(self.out.read_text(), len(self.names))

    def of(self, name: str) -> tuple[Sample, ...]:
        """Return the samples of a route."""
        return self.samples.samples[self.names.index(name)]

    def results(self, name: str) -> Counter[tuple[str, str]]:
        """Return how many samples of a route had which state and error."""
        return Counter((sample.state, sample.error) for sample in self.of(name))

    def distinct_results(self, name: str) -> set[tuple[str, str]]:
        """Return the states and errors of a route, without samples that a busy machine lost, which must be at most half."""
        results = self.results(name)
        machine = ("not sent in time", "the sampler was suspended")
        known = {result: count for result, count in results.items() if not result[1].startswith(machine)}
        assert sum(known.values()) * 2 >= sum(results.values()), results
        return set(known)

    def renewals(self, name: str) -> int:
        """Return how often a kept connection of a route was found closed."""
        return len(self.samples.renewed[self.names.index(name)])

    async def wait_for(self, text: str, count: int) -> None:
        """Wait until the file of samples contains `text` `count` times."""
        async with asyncio.timeout(5):
            while not self.out.exists() or self.out.read_text().count(text) < count:
                await asyncio.sleep(0.01)

    async def end(self, *, seconds: float = 10) -> None:
        """Wait until the process has ended."""
        self.code = await asyncio.wait_for(self.process.wait(), seconds)


def request(url: str, **over: Any) -> Json:
    defaults: Json = {"reuse": False, "method": "GET", "body": "", "content": "", "expect": HI, "lookup": None, "ports": None}
    return {"url": url, **defaults, **over}


def plan(routes: Sequence[Json | None], **over: Any) -> Json:
    return {"interval": 0.1, "limit": 100, "seconds": 100, "tls": None, "paths": [*routes], **over}


async def start(folder: Path, name: str, routes: dict[str, Json], **over: Any) -> Run:
    file, out = folder / f"{name}.json", folder / f"{name}.out"
    file.write_text(json.dumps(plan(list(routes.values()), **over)))
    return Run(list(routes), out, await asyncio.create_subprocess_exec(*PROGRAM, file, out, cwd=ROOT, env=environment()))


def request_by_name(url: str, server: str, name: str, **over: Any) -> Json:
    lookup = {"server": server, "name": f"{name}.ns.svc.cluster.local.", "address": over.pop("address", ADDRESS)}
    return request(url, lookup=lookup, **over)
