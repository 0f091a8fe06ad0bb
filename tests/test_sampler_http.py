"""What the sampler says of HTTP, and how it connects."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import HOST, free_port
from tests.sampling import SAID, Run, Site, asked, start

COUNT = 8


@dataclass
class World:
    """All that was seen: the servers and the runs, which share their time because each needs a second or two."""

    site: Site
    secure: Site
    apart: Site
    ports: list[int]
    many: Run
    together: Run
    untrusting: Run
    careless: Run


def certificate(folder: Path) -> Path:
    """Make a certificate for HOST that vouches for itself; the key is in the same file."""
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    words = f"openssl req -x509 {curve} -nodes -days 2 -subj /CN=loopback -keyout key.pem -out both.pem"
    subprocess.run([*words.split(), "-addext", f"subjectAltName=IP:{HOST}"], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(both.read_text() + (folder / "key.pem").read_text())
    return both


def source_ports() -> list[int]:
    """Return six ports in a row that are free, below those that Linux gives out by itself."""
    for first in range(21_000, 32_000, 6):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + 6):
                stack.enter_context(socket.create_server((HOST, port)))
            return list(range(first, first + 6))
    raise AssertionError("no free ports")


async def see(folder: Path) -> World:
    """Run all at the same time."""
    both = certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=both)
    tls.load_cert_chain(both)
    tls.verify_mode = ssl.CERT_OPTIONAL
    (folder / "token").write_text("secret-token\n")
    trust = {"ca": str(both), "certificate": str(both), "key": "", "token": str(folder / "token"), "verify": True}
    careless_tls = {"ca": "", "certificate": "", "key": "", "token": "", "verify": False}
    sites = site, secure, apart = Site(), Site(tls), Site()
    for each in sites:
        await each.open()
    url, secure_url, ports = f"http://{HOST}:{site.port}", f"https://{HOST}:{secure.port}", source_ports()
    with socket.create_server((HOST, ports[2])):
        paths = {name: asked(f"{url}/{name}") for name in (*SAID, "page?query")}
        paths |= {f"{name}-kept": asked(f"{url}/{name}-kept", reuse=True) for name in (*SAID, "page", "moody", "thrice")}
        paths |= {
            "refused": asked(f"http://{HOST}:{free_port()}/"),
            "write": asked(f"{url}/write", method="PATCH", body='{"n": "{n}"}', content="application/merge-patch+json"),
            "ports": asked(f"{url}/ports", ports=[ports[0], len(ports)]),
            "taken": asked(f"{url}/taken", ports=[ports[2], 1]),
            "secure": asked(f"{secure_url}/secure"),
            "secure-kept": asked(f"{secure_url}/secure-kept", reuse=True),
            "secure-moody": asked(f"{secure_url}/moody-kept", reuse=True),
        }
        together = {"it": asked(f"http://{HOST}:{apart.port}/together", reuse=True)}
        runs = (
            await start(folder, "many", paths, limit=COUNT, interval=0.15, tls=trust),
            await start(folder, "together", together, limit=7, interval=0.2),
            await start(folder, "untrusting", {"it": paths["secure"]}, limit=3, tls={**careless_tls, "verify": True}),
            await start(folder, "careless", {"it": asked(f"{secure_url}/careless")}, limit=3, tls=careless_tls),
        )
        await asyncio.gather(*(run.end() for run in runs))
    for each in sites:
        each.leave()
    return World(site, secure, apart, ports, *runs)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(see(tmp_path_factory.mktemp("sampler")))


WORDS = {
    **dict.fromkeys(("page?query", "page-kept", "chunked", "chunked-kept", "long", "long-kept", "hints-kept"), ("up", "")),
    **dict.fromkeys(("open", "open-kept", "leaving", "leaving-kept", "thrice-kept", "moody-kept"), ("up", "")),
    **dict.fromkeys(("write", "ports", "secure", "secure-kept", "secure-moody"), ("up", "")),
    "busy": ("down", "status 503"),
    "busy-kept": ("down", "status 503"),
    "other": ("down", "another page"),
    "empty": ("down", "another page"),
    "cut": ("down", "closed"),
    "cut-kept": ("down", "closed"),
    "closing": ("down", "closed"),
    "closing-kept": ("down", "closed"),
    "reset": ("down", "reset"),
    "nonsense": ("down", "malformed answer"),
    "refused": ("down", "refused"),
    "taken": ("unknown", "no source port is free"),
}


@pytest.mark.parametrize(("name", "state", "error"), [(name, *said) for name, said in WORDS.items()])
def test_path_is_told_as_it_is(world: World, name: str, state: str, error: str) -> None:
    assert world.many.told(name) == {(state, error)}
    assert len(world.many.of(name)) == COUNT


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


def test_of_several_kept_connections_that_are_idle_all_but_one_are_closed(world: World) -> None:
    requests = world.apart.requests["together"]
    # The first three were answered at the same moment.
    assert len({request.port for request in requests[:3]}) == requests[2].open == 3
    assert len({request.port for request in requests[3:]}) == requests[-1].open == 1
    assert {request.port for request in requests[3:]} < {request.port for request in requests[:3]}
    assert world.together.renewals("it") == 0
    assert world.together.told("it") == {("up", "")}


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


def test_address_of_version_6_is_asked(tmp_path: Path) -> None:
    async def seen() -> tuple[Site, Run]:
        site = Site(host="::1")
        await site.open()
        run = await start(tmp_path, "six", {"six": asked(f"http://[::1]:{site.port}/six")}, limit=3, interval=0.02)
        await run.end()
        site.leave()
        return site, run

    try:
        site, run = asyncio.run(seen())
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback: {error}")
    assert run.said("six") == {("up", ""): 3}
    assert f"\r\nHost: [::1]:{site.port}\r\n" in site.requests["six"][0].head
