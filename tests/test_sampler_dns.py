"""What the sampler says of names that it looks up first."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import HOST, free_port
from tests.sampling import SIX, Names, Run, Site, looked_up, start

COUNT = 8
TOLD = {
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
    """The server of names, and what was seen."""

    names: Names
    run: Run


async def see(folder: Path) -> World:
    site, names = Site(), Names()
    await site.open()
    server, url = await names.open(), f"http://{HOST}:{site.port}"
    paths = {
        "web": looked_up(url, server, "web"),
        "kept": looked_up(url, server, "web-kept", reuse=True),
        "six": looked_up(url, server, "web-six", address=SIX),
        "refused": looked_up(url, f"{HOST}:{free_port()}", "web"),
        "refused-kept": looked_up(url, f"{HOST}:{free_port()}", "web", reuse=True),
        **{name: looked_up(url, server, name) for name in ("gone", "sick", "odd", "none", "twin", "torn", "silent")},
    }
    run = await start(folder, "dns", paths, limit=COUNT, interval=0.1)
    await run.end()
    names.close()
    site.leave()
    return World(names, run)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(see(tmp_path_factory.mktemp("sampler")))


@pytest.mark.parametrize("name", ["web", "kept", "six"])
def test_name_that_leads_to_the_address_is_up(world: World, name: str) -> None:
    assert world.run.told(name) == {("up", "")}
    assert len(world.run.of(name)) == COUNT


@pytest.mark.parametrize(("name", "error"), TOLD.items())
def test_name_that_does_not_is_down(world: World, name: str, error: str) -> None:
    assert world.run.told(name) == {("down", error)}


def test_kept_dns_socket_is_one_and_new_ones_are_many(world: World) -> None:
    assert len(set(world.names.ports["web-kept"])) == 1
    assert len(set(world.names.ports["web"])) > COUNT / 2
