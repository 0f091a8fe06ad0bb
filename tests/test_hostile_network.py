"""The data plane of the misbehaving clusters leaves no connection open when its servers are closed."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import warnings

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
