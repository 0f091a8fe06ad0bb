"""One way to the API server: requests, commands in Pods, the samplers of an upgrade, and kubectl all go it."""

import asyncio
import base64
import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json
from kubechain.upgrade.local_sampler import local_sampler
from kubechain.upgrade.model import Route
from kubechain.upgrade.routes import RouteRequest, plan
from tests.api_server import ApiServer
from tests.certificates import Pair, authority, signed
from tests.hostile.access_proxies import Proxy, connect_proxy, forwarding, socks_proxy
from tests.loopback import LONGEST, free_port, half, serving
from tests.sampling import request, start
from tests.test_credentials import printing
from tests.test_tls import kubeconfig, tls_server

pytestmark = pytest.mark.usefixtures("pauses")

# A name that only a proxy can resolve, and one that is only in the certificate.
HOST, NAME = "api.example.test", "kubernetes"
CONFIG_MAP = "/api/v1/namespaces/ns/configmaps/a"
LOGIN = "me:p@ss"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """A CA, a server's certificate for both names and loopback, and a client's."""
    folder = tmp_path_factory.mktemp("keys")
    ca = authority(folder)
    server = signed(folder, ca, "server", alternative=f"DNS:{HOST},IP:127.0.0.1")
    named = signed(folder, ca, "named", alternative=f"DNS:{NAME}")
    return {"ca": ca, "server": server, "named": named, "client": signed(folder, ca, "client")}


@dataclass(frozen=True)
class Case:
    """A way: its user, its cluster, its proxy, the headers that the server gets (in lower case), and the server's TLS."""

    user: Json = field(default_factory=lambda: {"token": "t"})
    cluster: dict[str, Any] = field(default_factory=dict[str, Any])
    proxy: Callable[..., Any] | None = None
    form: str = "http"
    login: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": "Bearer t"})
    certificate: str = "server"
    # By the environment in place of proxy-url.
    variable: bool = False
    host: str = HOST
    # The server demands a certificate of the client.
    demanding: bool = False


CLIENT: Json = {"client": True}
ONE_FILE: Json = {"one": True}
CASES = {
    "a token": Case(),
    "a password": Case(user={"username": "me", "password": "p@ss"}, headers={"authorization": BASIC}),
    "a client certificate": Case(user=CLIENT, headers={}, demanding=True),
    "a client certificate in one file with its key": Case(user=ONE_FILE, headers={}, demanding=True),
    "impersonation": Case(
        user={"token": "t", "as": "jane", "as-uid": "u-1", "as-groups": ["dev"], "as-user-extra": {"why": ["test"]}},
        headers={
            "authorization": "Bearer t",
            "impersonate-user": "jane",
            "impersonate-uid": "u-1",
            "impersonate-group": "dev",
            "impersonate-extra-why": "test",
        },
    ),
    "`tls-server-name`": Case(cluster={"tls_server_name": NAME}, certificate="named"),
    "`insecure-skip-tls-verify`": Case(
        cluster={"insecure_skip_tls_verify": True, "certificate_authority": ""}, certificate="named"
    ),
    "a name with a dot at its end": Case(proxy=connect_proxy, host=f"{HOST}."),
    "an HTTP proxy": Case(proxy=connect_proxy),
    "an HTTP proxy with a password": Case(proxy=connect_proxy, login=LOGIN),
    "an HTTP proxy of the environment": Case(proxy=connect_proxy, login=LOGIN, variable=True),
    "an HTTPS proxy with a password": Case(proxy=connect_proxy, form="https", login=LOGIN),
    "a SOCKS proxy": Case(proxy=socks_proxy, form="socks5"),
    "a SOCKS proxy with a password": Case(proxy=socks_proxy, form="socks5", login=LOGIN),
    "a SOCKS proxy that resolves no names": Case(proxy=partial(socks_proxy, names=False), form="socks5", host="127.0.0.1"),
    "a SOCKS proxy of the scheme `socks5h`": Case(proxy=socks_proxy, form="socks5h"),
}


@contextmanager
def going(
    case: Case, folder: Path, keys: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> Generator[tuple[Api, ApiServer, Proxy | None]]:
    """Go the way of a case: the client, the server, and the proxy."""
    client = keys["client"]
    user = case.user
    if user is CLIENT:
        user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    elif user is ONE_FILE:
        (folder / "both.pem").write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
        user = {"client-certificate": "both.pem", "client-key": "both.pem"}
    trust = {"certificate_authority": str(keys["ca"].certificate), **case.cluster}
    with tls_server(keys[case.certificate], keys["ca"].certificate if case.demanding else None) as server:
        if not case.proxy:
            api = existing.connect(kubeconfig(folder, server.url, user, **trust), "test", folder / "secrets")
            yield api, server, None
            api.close()
            return
        tls = {"tls": keys["server"].server_context()} if case.form == "https" else {}
        with case.proxy(int(server.url.rpartition(":")[2]), login=case.login, **tls) as proxy:
            login = "me:p%40ss@" if case.login else ""
            url = f"{case.form}://{login}127.0.0.1:{proxy.port}"
            if case.variable:
                monkeypatch.setenv("HTTPS_PROXY", url)
            else:
                trust["proxy_url"] = url
            api = existing.connect(kubeconfig(folder, f"https://{case.host}:6443", user, **trust), "test", folder / "secrets")
            yield api, server, proxy
            api.close()


async def sample(api: Api, folder: Path, path: str = CONFIG_MAP) -> set[tuple[str, str]]:
    """Run a sampler with new and kept connections; return the states and errors."""
    routes = {str(reuse): request(api.server + path, expect="ConfigMap", reuse=reuse) for reuse in (False, True)}
    run = await start(folder, "it", routes, limit=2, interval=0.2, tls=api.for_sampler(folder))
    await run.end()
    assert run.code == 0
    return run.distinct_results("False") | run.distinct_results("True")


@pytest.mark.parametrize("name", CASES)
def test_requests_commands_samplers_and_kubectl_go_one_way(
    name: str, tmp_path: Path, keys: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    with going(case, tmp_path, keys, monkeypatch) as (api, server, proxy):
        assert api.get("ConfigMap", "ns", "a") is not None
        with pytest.raises(HarnessError, match="404"):
            api.execute("ns", "a", ["true"])
        with pytest.raises(HarnessError, match="404"):
            next(api.watch("Pod", "ns", "1", 5))
        assert asyncio.run(sample(api, tmp_path)) == {("up", "")}
        expected = 3 + 4
        if shutil.which("kubectl"):
            words = ["kubectl", f"--kubeconfig={api.for_kubectl()}", "--context=test", "get", "--raw", CONFIG_MAP]
            subprocess.run(words, check=True, capture_output=True, timeout=60)
            expected += 1
        assert len(server.requests) >= expected
        for sent in server.requests:
            known = {name: value for name, value in sent.headers.items() if name.startswith(("authorization", "impersonate"))}
            assert known == case.headers, sent
        if proxy:
            assert set(proxy.tunnels) == {f"{case.host}:6443"}
            # Of requests and watches one, and one of the kept connections of samplers.
            assert len(proxy.tunnels) >= expected - 2


@pytest.mark.parametrize("form", ["http", "https", "socks5"])
def test_watch_through_a_proxy_is_interrupted(form: str, tmp_path: Path, keys: dict[str, Pair]) -> None:
    tls, ended = keys["server"].server_context(), threading.Event()
    with serving(half) as server, forwarding("127.0.0.1", server.port, tls) as port:
        more: dict[str, Any] = {"tls": keys["server"].server_context()} if form == "https" else {}
        with (socks_proxy if form == "socks5" else connect_proxy)(port, **more) as proxy:
            trust = str(keys["ca"].certificate)
            path = kubeconfig(
                tmp_path, f"https://{HOST}", certificate_authority=trust, proxy_url=f"{form}://127.0.0.1:{proxy.port}"
            )
            api = Api(path, "test", tmp_path / "secrets")
            changes = api.watch("Pod", "ns", "1", 60)

            def follow() -> None:
                with contextlib.suppress(ApiUnavailable, StopIteration):
                    next(changes)
                ended.set()

            thread = threading.Thread(target=follow)
            thread.start()
            assert not ended.wait(0.2)
            api.interrupt()
            # Before the server ends it.
            assert ended.wait(LONGEST / 2)
            thread.join()
            api.close()


@pytest.mark.parametrize(
    ("serve", "form", "state", "error"),
    [
        (partial(connect_proxy, status=502), "http", "down", "the proxy: status 502"),
        (partial(connect_proxy, login=LOGIN), "http", "unknown", "the proxy: status 407"),
        (partial(connect_proxy, status=403), "http", "unknown", "the proxy: status 403"),
        (partial(socks_proxy, reply=5), "socks5", "down", "the proxy: reply 5"),
        (partial(socks_proxy, reply=2), "socks5", "unknown", "the proxy: reply 2"),
        (partial(socks_proxy, login=LOGIN), "socks5", "unknown", "the proxy: it speaks no SOCKS5, or asks for a password"),
        (None, "http", "unknown", "the proxy: refused"),
        (None, "socks5", "unknown", "the proxy: refused"),
    ],
)
def test_proxy_that_fails_is_no_outage_unless_it_says_that_the_server_is_down(
    tmp_path: Path, keys: dict[str, Pair], serve: Callable[..., Any] | None, form: str, state: str, error: str
) -> None:
    def sampled(port: int) -> set[tuple[str, str]]:
        trust = str(keys["ca"].certificate)
        path = kubeconfig(tmp_path, f"https://{HOST}", certificate_authority=trust, proxy_url=f"{form}://127.0.0.1:{port}")
        return asyncio.run(sample(Api(path, "test", tmp_path / "secrets"), tmp_path))

    if serve is None:
        assert sampled(free_port()) == {(state, error)}
        return
    with serve(1) as proxy:
        assert sampled(proxy.port) == {(state, error)}


def test_server_without_tls_that_needs_credentials_is_not_sampled(tmp_path: Path) -> None:
    api = Api(kubeconfig(tmp_path, "http://127.0.0.1:1"), "test", tmp_path / "secrets")
    with pytest.raises(SetupError, match="it has no TLS, but credentials") as caught:
        api.for_sampler(tmp_path)
    assert caught.value.code == ExitCode.KUBECONFIG


def test_credentials_of_a_sampler_are_renewed_before_they_expire(tmp_path: Path) -> None:
    soon = "time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 20))"
    counted = "'t%d' % os.path.getsize(sys.path[0] + '/runs')"
    user = printing(tmp_path, f"{{'token': {counted}, 'expirationTimestamp': {soon}}}")
    api = Api(kubeconfig(tmp_path, "https://127.0.0.1:1", user), "test", tmp_path / "secrets")
    given = api.for_sampler(tmp_path)
    assert Path(given["headers"]).read_text() == "Authorization: Bearer t2\n"
    api.for_sampler(tmp_path)
    assert Path(given["headers"]).read_text() == "Authorization: Bearer t3\n"


def test_sampler_of_an_upgrade_leaves_no_secret_and_keeps_its_samples(tmp_path: Path, keys: dict[str, Pair]) -> None:
    with tls_server(keys["server"]) as server:
        user = {"token": "t", "client-certificate": str(keys["client"].certificate), "client-key": str(keys["client"].key)}
        trust = str(keys["ca"].certificate)
        api = Api(kubeconfig(tmp_path, server.url, user, certificate_authority=trust), "test", tmp_path / "secrets")
        requests = [
            RouteRequest(Route("API server", "get", "", reuse=False), request(server.url + CONFIG_MAP, expect="ConfigMap"))
        ]
        tls = api.for_sampler(api.secrets)
        (tmp_path / "samples").mkdir()
        with local_sampler(plan(requests, 0.1, tls=tls), tmp_path / "samples" / "api.jsonl", api.secrets) as sampler:
            assert {path.name for path in api.secrets.iterdir()} == {"plan-api.json", "headers", "client"}
            assert {path.stat().st_mode & 0o777 for path in api.secrets.iterdir()} == {0o600}
            ends = time.monotonic() + 20
            while '"up"' not in (sampler.out.read_text() if sampler.out.exists() else "") and time.monotonic() < ends:
                threading.Event().wait(0.05)
        assert list(api.secrets.iterdir()) == []
        assert [path.name for path in (tmp_path / "samples").iterdir()] == ["api.jsonl"]
        assert '"up"' in sampler.out.read_text()
        api.close()


def test_kubeconfig_for_kubectl_is_one_that_it_reads(tmp_path: Path, keys: dict[str, Pair]) -> None:
    data = base64.b64encode(keys["ca"].certificate.read_bytes()).decode()
    server = f"127.0.0.1:{free_port()}"
    cluster: dict[str, Any] = {
        "certificate_authority": "none",
        "certificate_authority_data": data,
        "proxy_url": "socks5h://127.0.0.1:1",
    }
    path = kubeconfig(tmp_path, server, **cluster)
    before = path.read_bytes()
    api = Api(path, "test", tmp_path / "secrets")
    made = api.for_kubectl()
    content = yaml.safe_load(made.read_text())
    assert content["clusters"][0]["cluster"] == {
        "server": f"https://{server}",
        "certificate-authority-data": data,
        "proxy-url": "socks5://127.0.0.1:1",
    }
    assert (content["current-context"], made.stat().st_mode & 0o777, made.parent) == ("test", 0o600, tmp_path / "secrets")
    assert path.read_bytes() == before
