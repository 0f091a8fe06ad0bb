"""Routes whose name the sampler looks up before each request."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import HOST, free_port
from tests.sampling import SIX, Names, Run, Site, request_by_name, start

COUNT = 8
ERRORS = {
    "gone": "DNS: NXDOMAIN",
    "sick": "DNS: SERVFAIL",
    "odd": "DNS: rcode 11",
    "none": "DNS: answered no address",
    "twin": "DNS: answered 10.96.9.8, 10.96.9.9",
    "torn": "DNS: malformed answer",
    "silent": "DNS: no answer within 0.9 s",
    "refused": "DNS: refused",
    "refused-kept": "DNS: refused",
}


@dataclass
class World:
    """The DNS server, and the run of the sampler."""

    names: Names
    run: Run


async def sample_all(folder: Path) -> World:
    site, names = Site(), Names()
    await site.open()
    server, url = await names.open(), f"http://{HOST}:{site.port}"
    routes = {
        "web": request_by_name(url, server, "web"),
        "kept": request_by_name(url, server, "web-kept", reuse=True),
        "six": request_by_name(url, server, "web-six", address=SIX),
        "refused": request_by_name(url, f"{HOST}:{free_port()}", "web"),
        "refused-kept": request_by_name(url, f"{HOST}:{free_port()}", "web", reuse=True),
        **{name: request_by_name(url, server, name) for name in ("gone", "sick", "odd", "none", "twin", "torn", "silent")},
    }
    run = await start(folder, "dns", routes, limit=COUNT, interval=0.1)
    await run.end()
    names.close()
    site.close()
    return World(names, run)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(sample_all(tmp_path_factory.mktemp("sampler")))


@pytest.mark.parametrize("name", ["web", "kept", "six"])
def test_name_that_resolves_to_the_address_is_up(world: World, name: str) -> None:
    assert world.run.distinct_results(name) == {("up", "")}
    assert len(world.run.of(name)) == COUNT


@pytest.mark.parametrize(("name", "error"), ERRORS.items())
def test_name_that_does_not_resolve_to_the_address_is_down(world: World, name: str, error: str) -> None:
    assert world.run.distinct_results(name) == {("down", error)}


def test_kept_socket_is_used_for_every_lookup_and_new_ones_once(world: World) -> None:
    assert len(set(world.names.ports["web-kept"])) == 1
    assert len(set(world.names.ports["web"])) > COUNT / 2
