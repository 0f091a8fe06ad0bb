"""Names of servers: what the resolver of the sampler's machine does not say is no loss of the route."""

import asyncio
import socket
from typing import Any
from unittest.mock import patch

import pytest

from kubechain.sampler import connection
from kubechain.sampler.connection import RouteClient
from kubechain.sampler.errors import Unknown
from kubechain.sampler.plan import Plan
from tests.loopback import HOST, free_port, response, serving
from tests.sampling import plan, request

SILENT = "127.0.0.2"


def ask(port: int, resolver: Any) -> None:
    """Send one request to a name, with a resolver of this machine that answers so."""

    async def once() -> None:
        loop = asyncio.get_running_loop()
        (route,) = Plan.parse(plan([request(f"http://shop.test:{port}/", expect="")])).requests
        assert route
        with patch.object(loop, "getaddrinfo", resolver):
            surplus = await RouteClient(0, route).send(0, loop.time())
        if surplus:
            surplus[1].close()
            await surplus[1].wait_closed()

    asyncio.run(once())


def failing(number: int) -> Any:
    async def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "as the resolver says")

    return resolve


async def hanging(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(30)


async def answering(_host: str, port: int, **__: Any) -> Any:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in (SILENT, HOST)]


def test_resolver_that_fails_says_nothing_about_the_route() -> None:
    with pytest.raises(Unknown, match=r"this machine's resolver: .*as the resolver says"):
        ask(80, failing(socket.EAI_AGAIN))


def test_resolver_that_hangs_says_nothing_about_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT", 0.1)
    with pytest.raises(Unknown, match="this machine's resolver: no answer in time"):
        ask(80, hanging)


def test_name_that_does_not_exist_is_down() -> None:
    with pytest.raises(OSError, match="as the resolver says"):
        ask(80, failing(socket.EAI_NONAME))


def test_each_address_of_a_name_is_tried() -> None:
    with serving(response(200, "Welcome to nginx!")) as server:
        ask(server.port, answering)
    assert len(server.requests) == 1
    with pytest.raises(ConnectionRefusedError):
        ask(free_port(), answering)
