"""Proxies between this machine and the API server: chosen as kubectl does, and used for requests and for exec."""

import base64
from pathlib import Path
from typing import Any

import pytest
from urllib3.util.url import parse_url

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube import proxies
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from tests.certificates import Pair, authority, signed
from tests.hostile.access_proxies import connect_proxy, socks_proxy
from tests.loopback import free_port
from tests.test_tls import kubeconfig, tls_server

pytestmark = pytest.mark.usefixtures("pauses")

VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
# A name that only a proxy can resolve.
HOST = "api.example.test"
PROXY = "http://127.0.0.1:3128"
LOGIN = "me:p%40ss"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(ca: Pair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return signed(tmp_path_factory.mktemp("server"), ca, "server", alternative=f"DNS:{HOST}")


CHOICES: list[tuple[str, str, dict[str, str], bool]] = [
    ("https://a.test", "", {}, False),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY}, True),
    ("https://a.test", "", {"https_proxy": "127.0.0.1:3128"}, True),
    ("https://a.test", "", {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, False),
    ("http://a.test", "", {"HTTP_PROXY": PROXY}, True),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, False),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "b.test, a.test"}, False),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY, "no_proxy": "a.test"}, False),
    ("https://x.a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test"}, False),
    ("https://x.a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*.a.test"}, False),
    ("https://xa.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test"}, True),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".a.test"}, True),
    ("https://a.test", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test:443"}, False),
    ("https://a.test:6443", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test:443"}, True),
    ("https://10.1.2.3", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, False),
    ("https://10.1.2.3:6443", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.1.2.3:6443"}, False),
    ("https://11.1.2.3", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,1.2.3"}, True),
    ("https://[fd00::1]:6443", "", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, False),
    ("https://127.0.0.1:6443", "", {"HTTPS_PROXY": PROXY}, False),
    ("https://[::1]:6443", "", {"HTTPS_PROXY": PROXY}, False),
    ("https://localhost:6443", "", {"HTTPS_PROXY": PROXY}, False),
    ("https://127.0.0.1:6443", PROXY, {"NO_PROXY": "*"}, True),
    ("https://a.test", PROXY, {"HTTPS_PROXY": "http://127.0.0.1:1"}, True),
]


@pytest.mark.parametrize(("server", "given", "variables", "used"), CHOICES)
def test_proxy_is_chosen_as_by_kubectl(
    server: str, given: str, variables: dict[str, str], used: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    chosen = proxies.of(parse_url(server), given)
    assert (chosen.url if chosen else "") == (PROXY if used else "")


def connected(tmp_path: Path, ca: Pair, **cluster: Any) -> Api:
    path = kubeconfig(tmp_path, f"https://{HOST}:6443", certificate_authority=str(ca.certificate), **cluster)
    return existing.connect(path, "test", tmp_path / "secrets")


@pytest.mark.parametrize("form", ["http", "socks5"])
@pytest.mark.parametrize("login", ["", "me:p@ss"])
def test_requests_and_exec_go_through_the_proxy_with_its_password(
    tmp_path: Path, ca: Pair, pair: Pair, form: str, login: str
) -> None:
    serve = connect_proxy if form == "http" else socks_proxy
    with tls_server(pair) as server, serve(int(server.url.rpartition(":")[2]), login=login) as proxy:
        api = connected(tmp_path, ca, proxy_url=f"{form}://{f'{LOGIN}@' if login else ''}127.0.0.1:{proxy.port}")
        assert api.get("ConfigMap", "ns", "a") is not None
        with pytest.raises(HarnessError, match="404"):
            api.execute("ns", "a", ["true"])
        assert proxy.tunnels == [f"{HOST}:6443"] * 2
        api.close()


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("http", {"login": "me:p@ss"}, "407"),
        ("http", {"status": 403}, "403"),
        ("socks5", {"login": "me:p@ss"}, "asks for a password"),
        ("socks5", {"reply": 2}, "connection not allowed"),
    ],
)
def test_proxy_that_refuses_is_named_with_its_reason(
    tmp_path: Path, ca: Pair, form: str, options: dict[str, Any], words: str
) -> None:
    serve = connect_proxy if form == "http" else socks_proxy
    with serve(1, **options) as proxy:
        api = connected(tmp_path, ca, proxy_url=f"{form}://127.0.0.1:{proxy.port}")
        with pytest.raises(ApiUnavailable, match=f"through proxy {form}://127.0.0.1:{proxy.port}: .*{words}"):
            api.get("ConfigMap", "ns", "a")
        api.close()


@pytest.mark.parametrize("form", ["http", "socks5"])
def test_proxy_that_is_down_is_reported_without_its_password(tmp_path: Path, ca: Pair, form: str) -> None:
    api = connected(tmp_path, ca, proxy_url=f"{form}://me:s3cr3t@127.0.0.1:{free_port()}")
    with pytest.raises(ApiUnavailable, match=r"the (SOCKS )?proxy: [Cc]onnection refused") as caught:
        api.get("ConfigMap", "ns", "a")
    assert "s3cr3t" not in str(caught.value)
    api.close()


@pytest.mark.parametrize("url", ["gopher://127.0.0.1:1", "http://a b:1", "http://"])
def test_proxy_url_that_is_none_is_refused(tmp_path: Path, ca: Pair, url: str) -> None:
    with pytest.raises(SetupError, match=r"the proxy .*: it is no URL") as caught:
        connected(tmp_path, ca, proxy_url=url)
    assert caught.value.code == ExitCode.KUBECONFIG


def test_password_of_a_proxy_is_decoded() -> None:
    proxy = parse_url(f"http://{LOGIN}@127.0.0.1:1")
    assert proxies.headers(proxy) == {"proxy-authorization": "Basic " + base64.b64encode(b"me:p@ss").decode()}
    assert proxies.bare(proxy) == "http://127.0.0.1:1"
