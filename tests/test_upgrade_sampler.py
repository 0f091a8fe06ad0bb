import asyncio
import contextlib
import errno
import json
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.conditions.resource import Json
from fixtures.errors import HarnessError
from fixtures.probes.continuous import Sample, Tally
from fixtures.upgrade import sampler
from fixtures.upgrade.outages import outages
from fixtures.upgrade.samples import Samples, read
from tests.loopback import HOST, free_port

PROGRAM = Path(sampler.__file__)
HI = "Welcome to nginx!"
COUNT = 8
PAGE = f"<h1>{HI}</h1>".encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9;note=1\r\n" + PAGE[:9] + b"\r\n%x\r\n" % len(PAGE[9:])
ADDRESS, SIX = "10.96.1.1", "fd00::1"

# What a server says on a path; what is not here is answered with the page. The second part: whether it keeps the connection.
SAID: dict[str, tuple[bytes, bool]] = {
    "busy": (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", True),
    "other": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", True),
    "chunked": (CHUNKS + PAGE[9:] + b"\r\n0\r\nTrailer: x\r\n\r\n", True),
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
    """A request that came to a Site."""

    port: int
    head: str
    body: str
    certificate: Any


@dataclass
class Site:
    """A web server on loopback whose answer depends on the path; it keeps what it was asked."""

    tls: ssl.SSLContext | None = None
    host: str = HOST
    port: int = 0
    requests: dict[str, list[Request]] = field(default_factory=dict[str, list[Request]])
    writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, on the port of before if there was one."""
        self.server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]

    def leave(self) -> None:
        """Listen no more, and close every connection."""
        if self.server:
            self.server.close()
        for writer in self.writers:
            writer.close()

    def ports(self, path: str) -> list[int]:
        """Return from which ports a path was asked."""
        return [request.port for request in self.requests[path]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
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
        self.requests.setdefault(path, []).append(Request(port, head, body, certificate))
        return path

    async def _answer(self, path: str, served: int, writer: asyncio.StreamWriter) -> bool:
        """Answer; returns whether the connection is kept."""
        name = path.partition("-")[0]
        answer, kept = SAID.get(name, (WHOLE, True))
        if name == "silent":
            await asyncio.sleep(60)
        if name == "slow":
            await asyncio.sleep(1.4)
        if name == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if name == "moody" and served == 3:
            # What a server does whose patience with a kept connection ends just when a request comes.
            return False
        writer.write(answer)
        if name == "ports":
            # Were the prober to close before the server, its ports would stay in use for a minute.
            await asyncio.sleep(0.03)
        ended = "connection: close" in self.requests[path][-1].head.lower()
        return kept and not ended and not (name == "thrice" and served == 3)


class Names(asyncio.DatagramProtocol):
    """A DNS server whose answer depends on the first label; it keeps from which ports it was asked."""

    def __init__(self) -> None:
        self.ports: dict[str, list[int]] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told of the socket."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Answer a query."""
        name = data[13 : 13 + data[12]].decode()
        self.ports.setdefault(name, []).append(addr[1])
        six = data[-3] == sampler.AAAA
        address = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, SIX if six else ADDRESS)
        found = [(5, b"\xc0\x0c"), (data[-3], address)]
        if name.startswith("twin"):
            found = [(1, bytes([10, 96, 9, 8])), (1, bytes([10, 96, 9, 9]))]
        rcode = {"gone": 3, "sick": 2, "odd": 11}.get(name, 0)
        header = struct.pack("!5H", 0x8180 | rcode, 1, 0 if rcode or name == "none" else len(found), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 5, len(rdata)) + rdata for kind, rdata in found)
        reply = header + data[12:] + (b"" if name == "torn" or rcode else records)
        if name != "silent":
            # An answer to another query comes first: that there is no such name.
            self.transport.sendto(bytes([data[0] ^ 0xFF, data[1], 0x81, 0x83]) + reply[2:], addr)
            self.transport.sendto(data[:2] + reply, addr)


@dataclass
class Run:
    """A run of the program: what it wrote of which paths, and how it ended."""

    names: list[str]
    out: Path
    process: asyncio.subprocess.Process
    code: int = -1

    @property
    def samples(self) -> Samples:
        """All that was written."""
        return read(self.out.read_text(), len(self.names))

    def of(self, name: str) -> tuple[Sample, ...]:
        """Return the samples of a path."""
        return self.samples.samples[self.names.index(name)]

    def said(self, name: str) -> Counter[tuple[str, str]]:
        """Return how often a path was in which state, and why."""
        return Counter((sample.state, sample.error) for sample in self.of(name))

    def renewals(self, name: str) -> int:
        """Return how often a path's kept connection was found closed."""
        return len(self.samples.renewed[self.names.index(name)])

    async def wrote(self, text: str, count: int) -> None:
        """Wait until it has written something so often."""
        async with asyncio.timeout(5):
            while not self.out.exists() or self.out.read_text().count(text) < count:
                await asyncio.sleep(0.01)

    async def end(self, *, seconds: float = 10) -> None:
        """Wait until it has ended."""
        self.code = await asyncio.wait_for(self.process.wait(), seconds)


def asked(url: str, **over: Any) -> Json:
    given: Json = {"reuse": False, "method": "GET", "body": "", "content": "", "expect": HI, "lookup": None, "ports": None}
    return {"url": url, **given, **over}


def plan(paths: list[Json], **over: Any) -> Json:
    return {"interval": 0.1, "limit": 100, "seconds": 100, "tls": None, "paths": paths, **over}


async def start(folder: Path, name: str, paths: dict[str, Json], **over: Any) -> Run:
    file, out = folder / f"{name}.json", folder / f"{name}.out"
    file.write_text(json.dumps(plan(list(paths.values()), **over)))
    return Run(list(paths), out, await asyncio.create_subprocess_exec(sys.executable, PROGRAM, file, out))


@dataclass
class World:
    """All that was seen: the servers and the runs, which share their time because each needs some seconds."""

    site: Site
    secure: Site
    names: Names
    ports: list[int]
    many: Run
    away: Run
    outage: float
    held: Run
    crowd: Run
    untrusting: Run
    careless: Run


def certificate(folder: Path) -> Path:
    """Make a certificate for HOST that vouches for itself; the key is in the same file."""
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=loopback -keyout key.pem -out both.pem"
    subprocess.run([*words.split(), "-addext", f"subjectAltName=IP:{HOST}"], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(both.read_text() + (folder / "key.pem").read_text())
    return both


@contextlib.contextmanager
def deaf() -> Generator[int]:
    """Yield a port on which connections are not taken any more, nor refused: the queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            each = stack.enter_context(socket.socket())
            each.setblocking(False)  # noqa: FBT003
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def source_ports() -> list[int]:
    """Return six ports in a row that are free, below those that Linux gives out by itself."""
    for first in range(21_000, 32_000, 6):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + 6):
                stack.enter_context(socket.create_server((HOST, port)))
            return list(range(first, first + 6))
    raise AssertionError("no free ports")


def looked_up(url: str, server: str, name: str, **over: Any) -> Json:
    lookup = {"server": server, "name": f"{name}.ns.svc.cluster.local.", "address": over.pop("address", ADDRESS)}
    return asked(url, lookup=lookup, **over)


async def see(folder: Path) -> World:
    """Run all at the same time."""
    both = certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=both)
    tls.load_cert_chain(both)
    tls.verify_mode = ssl.CERT_OPTIONAL
    (folder / "token").write_text("secret-token\n")
    trust = {"ca": str(both), "certificate": str(both), "key": "", "token": str(folder / "token"), "verify": True}
    site, secure, leaving = Site(), Site(tls), Site()
    for each in (site, secure, leaving):
        await each.open()
    names = Names()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: names, (HOST, 0))
    server = f"{HOST}:{transport.get_extra_info('sockname')[1]}"
    url, ports = f"http://{HOST}:{site.port}", source_ports()
    with deaf() as no_ear, socket.create_server((HOST, ports[2])):
        paths = {name: asked(f"{url}/{name}") for name in (*SAID, "page?query", "silent", "slow")}
        paths |= {f"{name}-kept": asked(f"{url}/{name}-kept", reuse=True) for name in (*SAID, "page", "moody", "thrice")}
        paths |= {
            "refused": asked(f"http://{HOST}:{free_port()}/"),
            "deaf": asked(f"http://{HOST}:{no_ear}/"),
            "write": asked(f"{url}/write", method="PATCH", body='{"n": "{n}"}', content="application/merge-patch+json"),
            "ports": asked(f"{url}/ports", ports=[ports[0], len(ports)]),
            "taken": asked(f"{url}/taken", ports=[ports[2], 1]),
            "secure": asked(f"https://{HOST}:{secure.port}/secure"),
            "secure-kept": asked(f"https://{HOST}:{secure.port}/secure-kept", reuse=True),
            "secure-moody": asked(f"https://{HOST}:{secure.port}/moody-kept", reuse=True),
            "plain": asked(f"http://{HOST}:{secure.port}/plain"),
            "dns": looked_up(url, server, "web"),
            "dns-kept": looked_up(url, server, "web-kept", reuse=True),
            "dns-six": looked_up(url, server, "web-six", address=SIX),
            "dns-refused": looked_up(url, f"{HOST}:{free_port()}", "web"),
            "dns-refused-kept": looked_up(url, f"{HOST}:{free_port()}", "web", reuse=True),
            **{f"dns-{name}": looked_up(url, server, name) for name in ("gone", "sick", "odd", "none", "twin", "torn", "silent")},
        }
        short = {"limit": 3, "interval": 0.1}
        late = f"http://{HOST}:{leaving.port}"
        of_three = {"new": asked(url), "kept": asked(url, reuse=True), "slow": asked(f"{url}/slow")}
        many = await start(folder, "many", paths, limit=COUNT, interval=0.15, tls=trust)
        away = await start(folder, "away", {"new": asked(late), "kept": asked(late, reuse=True)}, interval=0.05, seconds=3)
        held = await start(folder, "held", of_three, interval=0.05, seconds=3)
        crowd = await start(folder, "crowd", {"crowd": asked(f"{url}/silent")}, interval=0.01, limit=80)
        careless_tls = {**trust, "ca": "", "token": "", "certificate": "", "verify": False}
        untrusting_tls = {**careless_tls, "verify": True}
        untrusting = await start(folder, "untrusting", {"it": paths["secure"]}, tls=untrusting_tls, **short)
        careless = await start(
            folder, "careless", {"it": asked(f"https://{HOST}:{secure.port}/careless")}, tls=careless_tls, **short
        )
        await crowd.wrote("too many", 16)
        crowd.process.send_signal(signal.SIGTERM)
        for each in (away, held):
            await each.wrote('"up"', 10)
        leaving.leave()
        gone = time.monotonic()
        held.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        outage = time.monotonic() - gone
        await leaving.open()
        await asyncio.sleep(0.5)
        held.process.send_signal(signal.SIGCONT)
        runs = (many, away, held, crowd, untrusting, careless)
        await asyncio.gather(*(run.end() for run in runs))
    transport.close()
    for each in (site, secure, leaving):
        each.leave()
    return World(site, secure, names, ports, many, away, outage, held, crowd, untrusting, careless)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(see(tmp_path_factory.mktemp("sampler")))


def test_it_ends_with_status_0_after_its_limit_its_time_or_a_signal(world: World) -> None:
    assert [run.code for run in (world.many, world.away, world.held, world.crowd)] == [0, 0, 0, 0]
    assert {len(world.many.of(name)) for name in world.many.names} == {COUNT}


WORDS = {
    **dict.fromkeys(("page?query", "page-kept", "chunked", "chunked-kept", "long", "long-kept", "hints-kept"), ("up", "")),
    **dict.fromkeys(("open", "open-kept", "leaving", "leaving-kept", "thrice-kept", "moody-kept"), ("up", "")),
    **dict.fromkeys(("write", "ports", "secure", "secure-kept", "secure-moody", "dns", "dns-kept", "dns-six"), ("up", "")),
    "busy": ("down", "status 503"),
    "busy-kept": ("down", "status 503"),
    "other": ("down", "another page"),
    "empty": ("down", "another page"),
    "silent": ("down", "no answer within 3 s"),
    "cut": ("down", "closed"),
    "cut-kept": ("down", "closed"),
    "closing": ("down", "closed"),
    "closing-kept": ("down", "closed"),
    "reset": ("down", "reset"),
    "nonsense": ("down", "malformed answer"),
    "refused": ("down", "refused"),
    "deaf": ("down", "no connection within 0.9 s"),
    "taken": ("unknown", "no source port is free"),
    "dns-gone": ("down", "DNS: NXDOMAIN"),
    "dns-sick": ("down", "DNS: SERVFAIL"),
    "dns-odd": ("down", "DNS: rcode 11"),
    "dns-none": ("down", "DNS: answered no address"),
    "dns-twin": ("down", "DNS: answered 10.96.9.8, 10.96.9.9"),
    "dns-torn": ("down", "DNS: malformed answer"),
    "dns-silent": ("down", "DNS: no answer within 0.9 s"),
    "dns-refused": ("down", "DNS: refused"),
    "dns-refused-kept": ("down", "DNS: refused"),
}


@pytest.mark.parametrize(("name", "state", "error"), [(name, *said) for name, said in WORDS.items()])
def test_path_is_told_as_it_is(world: World, name: str, state: str, error: str) -> None:
    assert world.many.said(name) == {(state, error): COUNT}


def test_late_answer_is_neither_up_nor_down(world: World) -> None:
    said = world.many.said("slow")
    assert {(state, error.rpartition(" after ")[0]) for state, error in said} == {("unknown", "late: answered")}


def test_time_of_the_answer_is_that_of_the_server(world: World) -> None:
    assert all(1.4 <= sample.done - sample.sent < 2 for sample in world.many.of("slow"))
    assert all(3 <= sample.done - sample.sent < 3.5 for sample in world.many.of("silent"))
    assert all(0.9 <= sample.done - sample.sent < 1.4 for sample in world.many.of("deaf"))


def test_samples_are_sent_when_due_though_none_was_answered(world: World) -> None:
    sent = [sample.sent for sample in world.many.of("silent")]
    assert sent[-1] - sent[0] == pytest.approx((COUNT - 1) * 0.15, abs=0.3)


def test_new_connections_are_new(world: World) -> None:
    assert len(set(world.site.ports("page?query"))) == COUNT
    assert all("\r\nConnection: close\r\n" in request.head for request in world.site.requests["page?query"])


@pytest.mark.parametrize("path", ["page-kept", "chunked-kept", "long-kept", "hints-kept", "busy-kept", "empty-kept"])
def test_kept_connection_is_one(world: World, path: str) -> None:
    # A sample that was due while another was still under way has opened a second one.
    assert len(set(world.site.ports(path))) <= 2
    assert world.many.renewals(path) == 0


def test_kept_connection_of_tls_is_one(world: World) -> None:
    assert len(set(world.secure.ports("secure-kept"))) <= 2


@pytest.mark.parametrize("path", ["open-kept", "leaving-kept"])
def test_connection_whose_end_was_announced_is_not_kept(world: World, path: str) -> None:
    assert len(set(world.site.ports(path))) == COUNT
    assert world.many.renewals(path) == 0


@pytest.mark.parametrize("name", ["thrice-kept", "moody-kept", "secure-moody"])
def test_kept_connection_that_was_closed_is_renewed_and_no_sample_lost(world: World, name: str) -> None:
    assert 2 <= world.many.renewals(name) <= 5


def test_request_is_as_the_plan_says(world: World) -> None:
    requests = world.site.requests["write"]
    assert requests[0].head.startswith("PATCH /write HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}:{world.site.port}\r\nUser-Agent: kubechain\r\n" in requests[0].head
    assert "\r\nContent-Type: application/merge-patch+json\r\n" in requests[0].head
    assert len({json.loads(request.body)["n"] for request in requests}) == COUNT


def test_source_ports_are_taken_in_turn_and_one_in_use_is_passed_over(world: World) -> None:
    free = [port for port in world.ports if port != world.ports[2]]
    assert world.site.ports("ports") == (free * 2)[:COUNT]


def test_token_and_certificate_are_shown_to_tls_alone(world: World) -> None:
    request = world.secure.requests["secure"][0]
    assert "\r\nAuthorization: Bearer secret-token\r\n" in request.head
    assert request.certificate
    assert "Authorization" not in world.site.requests["page?query"][0].head
    assert "secret-token" not in world.many.out.read_text()


def test_certificate_of_the_server_is_checked_unless_told_otherwise(world: World) -> None:
    ((state, error),) = world.untrusting.said("it")
    assert state == "down"
    assert "certificate verify failed" in error
    assert world.careless.said("it") == {("up", ""): 3}
    assert "Authorization" not in world.secure.requests["careless"][0].head


def test_kept_dns_socket_is_one_and_new_ones_are_many(world: World) -> None:
    assert len(set(world.names.ports["web-kept"])) == 1
    assert len(set(world.names.ports["web"])) > COUNT / 2


@pytest.mark.parametrize("name", ["new", "kept"])
def test_outage_is_told_as_long_as_it_was(world: World, name: str) -> None:
    (outage,) = outages(Tally(name, world.away.of(name)))
    assert outage.seconds == pytest.approx(world.outage, abs=0.2)
    assert outage.errors == {"refused": outage.lost}
    assert outage.lost >= 10


def test_kept_connection_lost_in_the_outage_is_renewed(world: World) -> None:
    assert (world.away.renewals("new"), world.away.renewals("kept")) == (0, 1)


def test_twenty_samples_a_second_are_reached(world: World) -> None:
    assert len(world.away.of("new")) == 60
    sent = [sample.sent for sample in world.away.of("new")]
    assert sent[-1] - sent[0] == pytest.approx(2.95, abs=0.3)


def test_prober_that_was_held_up_says_nothing_of_the_path(world: World) -> None:
    for name in ("new", "kept"):
        said = world.held.said(name)
        assert not Tally(name, world.held.of(name)).lost
        missed = sum(count for (state, error), count in said.items() if state == "unknown" and "not sent in time" in error)
        assert 20 <= missed <= 36
        assert said["up", ""] >= 20
        assert Tally(name, world.held.of(name)).gap == pytest.approx(1.5, abs=0.3)
    assert ("unknown", "the prober was held up") in world.held.said("slow")
    assert not Tally("slow", world.held.of("slow")).lost
    assert all(len(world.held.of(name)) == 60 for name in world.held.names)


def test_samples_in_flight_are_bounded_and_told_as_unknown_when_it_is_stopped(world: World) -> None:
    stopped, too_many = ("unknown", "the prober was stopped"), ("unknown", "too many unanswered")
    assert world.crowd.said("crowd") == {stopped: 64, too_many: 16}


def run(folder: Path, given: object, *more: str) -> subprocess.CompletedProcess[str]:
    file = folder / "plan.json"
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    words = [sys.executable, str(PROGRAM), str(file), str(folder / "out"), *more]
    return subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)


def test_program_started_again_goes_on_where_another_was_killed(tmp_path: Path) -> None:
    given = plan([asked(f"http://{HOST}:{free_port()}/")], limit=2, interval=0.01)
    (tmp_path / "out").write_text('{"sampler":1,"started":1,"interval":0.1,"paths":1}\n[0,1.0,1.1,"up",""]\n[0,1.')
    assert run(tmp_path, given).returncode == 0
    found = read((tmp_path / "out").read_text(), 1)
    assert [sample.state for sample in found.samples[0]] == ["up", "down", "down"]
    assert len(found.started) == 2
    assert found.started[1] == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_at_once_if_nothing_is_in_flight(tmp_path: Path, signal_: signal.Signals) -> None:
    async def stopped() -> Run:
        run = await start(tmp_path, "it", {"it": asked(f"http://{HOST}:{free_port()}/")}, interval=0.02)
        await run.wrote("refused", 1)
        run.process.send_signal(signal_)
        await run.end(seconds=2)
        return run

    assert asyncio.run(stopped()).code == 0


GOOD = asked("http://10.0.0.1/")
BAD: dict[str, Any] = {
    "no JSON": "{",
    "no object": [],
    "no paths": plan([]),
    "no interval": plan([GOOD], interval=0),
    "no time": plan([GOOD], seconds=None),
    "another scheme": plan([{**GOOD, "url": "ftp://10.0.0.1/"}]),
    "half a path": plan([{"url": "http://10.0.0.1/"}]),
    "two lines": plan([{**GOOD, "content": "text/plain\r\nX: y"}]),
    "a server by name": plan([looked_up("http://10.0.0.1/", "dns.example", "web")]),
    "no name": plan([looked_up("http://10.0.0.1/", HOST, "")]),
    "a port that is root's": plan([{**GOOD, "ports": [1000, 100]}]),
    "a port that is none": plan([{**GOOD, "ports": [65530, 100]}]),
    "no CA": plan([GOOD], tls={"ca": "/none", "verify": True}),
    "no token": plan([GOOD], tls={"ca": "", "verify": True, "token": "/none"}),
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_bad_plan_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], given: Any) -> None:
    (tmp_path / "plan.json").write_text(given if isinstance(given, str) else json.dumps(given))
    assert sampler.main([str(tmp_path / "plan.json"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_program_says_so_with_its_status(tmp_path: Path) -> None:
    ended = run(tmp_path, "{")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    ended = run(tmp_path, plan([GOOD]), "too much")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_token_is_read_again_after_a_while_and_kept_when_it_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    token = sampler.Token(file, 0)
    file.write_text("two\n")
    assert token.header(9.9) == "Authorization: Bearer one\r\n"
    assert token.header(10) == "Authorization: Bearer two\r\n"
    file.unlink()
    assert token.header(30) == "Authorization: Bearer two\r\n"


def test_being_held_up_is_a_sum_that_a_late_tick_is_not_needed_for() -> None:
    held = sampler.Held(0)
    for tick in (0.05, 0.1, 0.15, 0.55, 0.6):
        held.tick(tick)
    assert held.until(0.62) == pytest.approx(0.4)
    assert held.until(1.6) == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "reset"),
        (BrokenPipeError(errno.EPIPE, "x"), "reset"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (asyncio.IncompleteReadError(b"", 3), "closed"),
        (OSError(errno.EPERM, "Not\npermitted"), "[Errno 1] Not permitted"),
        (OSError(), "OSError"),
    ],
)
def test_trouble_with_a_connection_is_told_in_a_word(error: Exception, wanted: str) -> None:
    assert sampler.words(error) == wanted


def test_address_of_version_6_is_asked(tmp_path: Path) -> None:
    async def seen() -> tuple[Site, Run]:
        site = Site(host="::1")
        await site.open()
        run = await start(tmp_path, "six", {"six": asked(f"http://[::1]:{site.port}/six")}, limit=3)
        await run.end()
        site.leave()
        return site, run

    try:
        site, run = asyncio.run(seen())
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback: {error}")
    assert run.said("six") == {("up", ""): 3}
    assert f"\r\nHost: [::1]:{site.port}\r\n" in site.requests["six"][0].head


def test_samples_of_other_paths_are_refused(world: World) -> None:
    with pytest.raises(HarnessError, match="3 paths, not 2"):
        read(world.held.out.read_text(), 2)
