"""The misbehaving clusters leave no connection open when their servers are closed, and tell of errors of their own."""

from __future__ import annotations

import contextlib
import gc
import http.client
import socket
import threading
import warnings
from pathlib import Path

import pytest

from tests.hostile.access import plain
from tests.hostile.acts import on, rule
from tests.hostile.cluster import cluster
from tests.hostile.exchange import Exchange
from tests.hostile.network import Network

POD, SERVICE = ("127.150.9.1", 8080), ("127.150.9.2", 80)


def test_connections_that_come_while_servers_are_closed_are_closed_too() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(3):
            _closed_under_load()
        gc.collect()
    assert [str(each.message) for each in caught] == []


def _closed_under_load() -> None:
    network, ended = Network(), threading.Event()
    network.serve("uid", "web", *POD)
    network.forward({SERVICE: [POD]})
    served = threading.Barrier(3, timeout=10)

    def ask(place: tuple[str, int]) -> None:
        with contextlib.ExitStack() as connections:
            connections.enter_context(socket.create_connection(place))
            served.wait()
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    connections.enter_context(socket.create_connection(place, timeout=1)).sendall(b"GET / HTTP/1.1\r\n\r\n")

    clients = [threading.Thread(target=ask, args=(place,)) for place in (POD, SERVICE)]
    for client in clients:
        client.start()
    served.wait()
    network.close()
    ended.set()
    for client in clients:
        client.join()


def test_error_of_a_rule_is_told_and_no_rule_of_lists_is_meant_for_the_version(tmp_path: Path) -> None:
    def act(_exchange: Exchange) -> None:
        raise KeyError("items")

    def ask(port: int, path: str) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    def asked() -> None:
        with cluster(tmp_path, plain(), rule(on("list"), act)) as made:
            assert ask(made.port, "/version") in (200, 401)
            with pytest.raises(ConnectionError):
                ask(made.port, "/api/v1/nodes")

    with pytest.raises(AssertionError, match="KeyError: 'items'"):
        asked()
