"""The proxy does what its mode says, so that a run through it shows what the suite makes of that."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from kubechain.kube.client import Api
from tests import loopback
from tests.hostile import tcp_proxy
from tests.hostile.tcp_proxy import Mode, Proxy


def _echo(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"ready")
    while not ended.is_set() and (data := connection.recv(100)):
        connection.sendall(data)


@contextmanager
def through(mode: Mode) -> Generator[tuple[Proxy, socket.socket]]:
    """Yield a proxy in front of a server that sends back what it gets, and a connection through it."""
    with (
        loopback.serving(_echo) as server,
        tcp_proxy.proxying(loopback.HOST, server.port, mode) as proxy,
        socket.create_connection((tcp_proxy.HOST, proxy.port), timeout=loopback.LONGEST) as connection,
    ):
        # The server reads a request to its end before it hands the connection on.
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(100) == b"ready"
        yield proxy, connection


def said(connection: socket.socket, text: bytes, seconds: float = loopback.LONGEST) -> bytes:
    connection.settimeout(seconds)
    connection.sendall(text)
    return connection.recv(100)


def test_plain_proxy_passes_bytes_through() -> None:
    with through(Mode("plain")) as (proxy, connection):
        assert said(connection, b"a") == b"a"
        assert (proxy.connections, proxy.cut, proxy.dropped, proxy.refusals) == (1, 0, 0, 0)


def test_cut_closes_the_connection_after_its_time() -> None:
    with through(Mode("cut", cut_after=1.0)) as (proxy, connection):
        assert said(connection, b"a") == b"a"
        assert connection.recv(100) == b""
        assert proxy.cut == 1


@pytest.mark.parametrize("muted", [{"to server"}, {"to client"}, {"to server", "to client"}])
def test_muted_connection_stays_open_and_delivers_nothing(muted: set[str]) -> None:
    with through(Mode("mute", mute_after=1.0, muted=frozenset(muted))) as (proxy, connection):
        assert said(connection, b"a") == b"a"
        threading.Event().wait(1.1)
        with pytest.raises(TimeoutError):
            said(connection, b"b", 0.3)
        assert proxy.dropped == 1


def test_delay_holds_back_each_direction() -> None:
    with through(Mode("delay", delay=0.1)) as (_, connection):
        began = time.monotonic()
        assert said(connection, b"a") == b"a"
        assert time.monotonic() - began >= 0.2


def test_refuse_closes_the_port_for_a_while() -> None:
    with through(Mode("refuse", refuse_every=0.2, refuse_for=0.3)) as (proxy, connection):
        ends, refused = time.monotonic() + loopback.LONGEST, 0
        while not refused and time.monotonic() < ends:
            try:
                socket.create_connection((tcp_proxy.HOST, proxy.port), timeout=1).close()
            except ConnectionRefusedError:
                refused += 1
            threading.Event().wait(0.02)
        assert refused
        assert proxy.refusals
        assert said(connection, b"a") == b"a"


def test_kubeconfig_leads_through_the_proxy_and_keeps_the_name_of_the_server(tmp_path: Path) -> None:
    folder = tmp_path
    answer = loopback.response(200, '{"gitVersion": "v1"}')
    with loopback.serving(answer) as server:
        entry = {
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "contexts": [{"name": "x", "context": {"cluster": "c"}}],
        }
        kubeconfig = folder / "config"
        kubeconfig.write_text(yaml.safe_dump(entry))
        with tcp_proxy.proxied(kubeconfig, "x", Mode("plain"), folder / "secrets") as (path, proxy):
            api = Api(path, "x", folder / "keys")
            assert "v1" in api.call("GET", "/version")
            api.close()
            cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
            assert cluster == {"server": f"http://127.0.0.1:{proxy.port}", "tls-server-name": "127.0.0.1"}
            assert path.stat().st_mode & 0o077 == 0
