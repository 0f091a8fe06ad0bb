"""Results of HTTP routes, and how the sampler uses connections."""

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
from tests.sampling import ANSWERS, Run, Site, request, start

COUNT = 8


@dataclass
class World:
    """The servers and the runs, which run in parallel because each takes a second or two."""

    site: Site
    secure: Site
    separate: Site
    ports: list[int]
    many: Run
    together: Run
    verifying: Run
    unverified: Run


def certificate(folder: Path) -> Path:
    """Create a self-signed certificate for HOST; the key is in the same file."""
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    words = f"openssl req -x509 {curve} -nodes -days 2 -subj /CN=loopback -keyout key.pem -out both.pem"
    subprocess.run([*words.split(), "-addext", f"subjectAltName=IP:{HOST}"], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(both.read_text() + (folder / "key.pem").read_text())
    return both


def source_ports() -> list[int]:
    """Return six consecutive free ports, below those that Linux assigns."""
    for first in range(21_000, 32_000, 6):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + 6):
                stack.enter_context(socket.create_server((HOST, port)))
            return list(range(first, first + 6))
    raise AssertionError("no free ports")


async def sample_all(folder: Path) -> World:
    """Run all samplers in parallel."""
    both = certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=both)
    tls.load_cert_chain(both)
    tls.verify_mode = ssl.CERT_OPTIONAL
    (folder / "headers").write_text("Authorization: Bearer secret-token\n")
    trust = {"ca": str(both), "client": str(both), "headers": str(folder / "headers"), "verify": True}
    unverified_tls = {"ca": "", "client": "", "headers": "", "verify": False}
    sites = site, secure, separate = Site(), Site(tls), Site()
    for each in sites:
        await each.open()
    url, secure_url, ports = f"http://{HOST}:{site.port}", f"https://{HOST}:{secure.port}", source_ports()
    with socket.create_server((HOST, ports[2])):
        routes = {name: request(f"{url}/{name}") for name in (*ANSWERS, "page?query")}
        routes |= {f"{name}-kept": request(f"{url}/{name}-kept", reuse=True) for name in (*ANSWERS, "page", "moody", "thrice")}
        routes |= {
            "refused": request(f"http://{HOST}:{free_port()}/"),
            "write": request(f"{url}/write", method="PATCH", body='{"n": "{n}"}', content="application/merge-patch+json"),
            "ports": request(f"{url}/ports", ports=[ports[0], len(ports)]),
            "taken": request(f"{url}/taken", ports=[ports[2], 1]),
            "secure": request(f"{secure_url}/secure"),
            "secure-kept": request(f"{secure_url}/secure-kept", reuse=True),
            "secure-moody": request(f"{secure_url}/moody-kept", reuse=True),
            "rejected": request(f"{secure_url}/rejected"),
            "rejected-plain": request(f"{url}/rejected-plain"),
        }
        together = {"it": request(f"http://{HOST}:{separate.port}/together", reuse=True)}
        runs = (
            await start(folder, "many", routes, limit=COUNT, interval=0.3, tls=trust),
            await start(folder, "together", together, limit=7, interval=0.2),
            await start(folder, "verifying", {"it": routes["secure"]}, limit=3, tls={**unverified_tls, "verify": True}),
            await start(folder, "unverified", {"it": request(f"{secure_url}/unverified")}, limit=3, tls=unverified_tls),
        )
        await asyncio.gather(*(run.end() for run in runs))
    for each in sites:
        each.close()
    return World(site, secure, separate, ports, *runs)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(sample_all(tmp_path_factory.mktemp("sampler")))


RESULTS = {
    **dict.fromkeys(("page?query", "page-kept", "chunked", "chunked-kept", "long", "long-kept", "hints-kept"), ("up", "")),
    **dict.fromkeys(("open", "open-kept", "leaving", "leaving-kept", "thrice-kept", "moody-kept"), ("up", "")),
    **dict.fromkeys(("write", "ports", "secure", "secure-kept", "secure-moody"), ("up", "")),
    "busy": ("down", "status 503"),
    "busy-kept": ("down", "status 503"),
    # Credentials that the server rejects say nothing about its being there.
    "rejected": ("unknown", "status 401: the API server does not accept the credentials"),
    "rejected-plain": ("down", "status 401"),
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


@pytest.mark.parametrize(("name", "state", "error"), [(name, *result) for name, result in RESULTS.items()])
def test_route_has_the_result_of_its_answer(world: World, name: str, state: str, error: str) -> None:
    assert world.many.distinct_results(name) == {(state, error)}
    assert len(world.many.of(name)) == COUNT


def test_new_connection_is_used_once(world: World) -> None:
    assert len(set(world.site.ports("page?query"))) == COUNT
    assert all("\r\nConnection: close\r\n" in request.head for request in world.site.requests["page?query"])


@pytest.mark.parametrize("path", ["page-kept", "chunked-kept", "long-kept", "hints-kept", "busy-kept", "empty-kept"])
def test_kept_connection_is_used_for_every_sample(world: World, path: str) -> None:
    # A sample that is due while another is in flight opens a second connection.
    assert len(set(world.site.ports(path))) <= 2
    assert world.many.renewals(path) == 0


def test_kept_tls_connection_is_used_for_every_sample(world: World) -> None:
    assert len(set(world.secure.ports("secure-kept"))) <= 2


def test_only_one_idle_connection_is_kept(world: World) -> None:
    requests = world.separate.requests["together"]
    # The first three are answered at the same time.
    assert len({request.port for request in requests[:3]}) == requests[2].open == 3
    assert len({request.port for request in requests[3:]}) == requests[-1].open == 1
    assert {request.port for request in requests[3:]} < {request.port for request in requests[:3]}
    assert world.together.renewals("it") == 0
    assert world.together.distinct_results("it") == {("up", "")}


@pytest.mark.parametrize("path", ["open-kept", "leaving-kept"])
def test_connection_that_the_server_will_close_is_not_kept(world: World, path: str) -> None:
    assert len(set(world.site.ports(path))) == COUNT
    assert world.many.renewals(path) == 0


@pytest.mark.parametrize("name", ["thrice-kept", "moody-kept", "secure-moody"])
def test_closed_kept_connection_is_renewed_without_a_lost_sample(world: World, name: str) -> None:
    # Two without delay; a sample that a busy machine sends late opens a second connection, which is closed in its turn.
    assert 1 <= world.many.renewals(name) <= 5


def test_request_has_the_method_headers_and_body_of_the_plan(world: World) -> None:
    requests = world.site.requests["write"]
    assert requests[0].head.startswith("PATCH /write HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}:{world.site.port}\r\nUser-Agent: kubechain\r\n" in requests[0].head
    assert "\r\nContent-Type: application/merge-patch+json\r\n" in requests[0].head
    assert len({json.loads(request.body)["n"] for request in requests}) == COUNT


def test_source_ports_are_used_in_turn_without_those_in_use(world: World) -> None:
    free = [port for port in world.ports if port != world.ports[2]]
    assert world.site.ports("ports") == (free * 2)[:COUNT]


def test_headers_and_certificate_are_sent_over_tls_only(world: World) -> None:
    request = world.secure.requests["secure"][0]
    assert "\r\nAuthorization: Bearer secret-token\r\n" in request.head
    assert request.certificate
    assert "Authorization" not in world.site.requests["page?query"][0].head
    assert "secret-token" not in world.many.out.read_text()


def test_server_certificate_is_verified_unless_disabled(world: World) -> None:
    ((state, error),) = world.verifying.results("it")
    assert state == "down"
    assert "certificate verify failed" in error
    assert world.unverified.results("it") == {("up", ""): 3}
    assert "Authorization" not in world.secure.requests["unverified"][0].head


def test_ipv6_address_is_sampled(tmp_path: Path) -> None:
    async def seen() -> tuple[Site, Run]:
        site = Site(host="::1")
        await site.open()
        run = await start(tmp_path, "six", {"six": request(f"http://[::1]:{site.port}/six")}, limit=3, interval=0.02)
        await run.end()
        site.close()
        return site, run

    try:
        site, run = asyncio.run(seen())
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback: {error}")
    assert run.results("six") == {("up", ""): 3}
    assert f"\r\nHost: [::1]:{site.port}\r\n" in site.requests["six"][0].head
