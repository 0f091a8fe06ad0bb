"""TLS to the API server: what kubectl connects to is connected to, and every failure says its reason."""

import base64
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import connection
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json
from tests.api_server import ApiServer, api_server
from tests.certificates import NO_KEY_IDENTIFIERS, Pair, authority, openssl, signed
from tests.loopback import closing, free_port, serving, silent

pytestmark = pytest.mark.usefixtures("pauses")

CONFIG_MAP: Json = {"kind": "ConfigMap", "metadata": {"name": "a"}}


def kubeconfig(folder: Path, server: str, user: Json | None = None, **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    content = {
        "clusters": [
            {"name": "c", "cluster": {"server": server, **{key.replace("_", "-"): each for key, each in cluster.items()}}}
        ],
        "users": [{"name": "u", "user": {"token": "t"} if user is None else user}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return authority(tmp_path_factory.mktemp("ca"))


@contextmanager
def tls_server(pair: Pair, client_ca: Path | None = None) -> Generator[ApiServer]:
    context = pair.server_context()
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    with api_server(context) as server:
        server.store["/api/v1/namespaces/ns/configmaps/a"] = CONFIG_MAP
        yield server


def connects(path: Path, secrets: Path) -> None:
    api = existing.connect(path, "test", secrets)
    try:
        assert api.get("ConfigMap", "ns", "a") is not None
    finally:
        api.close()


def test_server_with_a_certificate_of_the_ca_is_connected(tmp_path: Path, ca: Pair) -> None:
    with tls_server(signed(tmp_path, ca, "good")) as server:
        connects(kubeconfig(tmp_path, server.url, certificate_authority=str(ca.certificate)), tmp_path)
        data = base64.b64encode(ca.certificate.read_bytes()).decode()
        connects(kubeconfig(tmp_path, server.url, certificate_authority_data=data), tmp_path)


def test_ca_without_key_identifiers_is_connected_also_where_python_is_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ssl.create_default_context

    def strict(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        """As Python 3.13 does."""
        context = make(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    old = authority(tmp_path, "old", identifiers=False)
    with tls_server(signed(tmp_path, old, "leaf", rest=NO_KEY_IDENTIFIERS)) as server:
        connects(kubeconfig(tmp_path, server.url, certificate_authority=str(old.certificate)), tmp_path)


def test_insecure_server_is_connected_without_a_warning(tmp_path: Path, ca: Pair) -> None:
    with tls_server(signed(tmp_path, ca, "expired", days=-1)) as server:
        connects(kubeconfig(tmp_path, server.url, insecure_skip_tls_verify=True), tmp_path)


def test_server_of_another_name_is_connected_by_tls_server_name(tmp_path: Path, ca: Pair) -> None:
    with tls_server(signed(tmp_path, ca, "other", alternative="DNS:kubernetes")) as server:
        ca_file = str(ca.certificate)
        path = kubeconfig(tmp_path, server.url, certificate_authority=ca_file, tls_server_name="kubernetes")
        connects(path, tmp_path)


def test_client_certificate_is_sent(tmp_path: Path, ca: Pair) -> None:
    client = signed(tmp_path, ca, "client")
    user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    with tls_server(signed(tmp_path, ca, "good"), ca.certificate) as server:
        connects(kubeconfig(tmp_path, server.url, user, certificate_authority=str(ca.certificate)), tmp_path)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("expired", "certificate has expired"),
        ("name", "IP address mismatch"),
        ("stranger", "unable to get local issuer certificate"),
        ("no tls", "does not speak TLS"),
    ],
)
def test_failure_says_its_reason(tmp_path: Path, ca: Pair, trouble: str, reason: str) -> None:
    signer = authority(tmp_path, "stranger") if trouble == "stranger" else ca
    name = "DNS:elsewhere" if trouble == "name" else "IP:127.0.0.1"
    pair = signed(tmp_path, signer, "leaf", days=-1 if trouble == "expired" else 2, alternative=name)
    with api_server(None if trouble == "no tls" else pair.server_context()) as server:
        url = server.url.replace("http://", "https://")
        api = Api(kubeconfig(tmp_path, url, certificate_authority=str(ca.certificate)), "test", tmp_path)
        with pytest.raises(ApiUnavailable, match=f"API server {re.escape(url)}: TLS: .*({reason})") as caught:
            api.get("ConfigMap", "ns", "a")
        assert (caught.value.code, "(0)" in str(caught.value)) == (ExitCode.UNREACHABLE, False)
        api.close()


def test_exec_checks_the_certificate_as_well(tmp_path: Path, ca: Pair) -> None:
    with tls_server(signed(tmp_path, ca, "expired", days=-1)) as server:
        api = Api(kubeconfig(tmp_path, server.url, certificate_authority=str(ca.certificate)), "test", tmp_path)
        with pytest.raises(Exception, match="certificate has expired"):
            api.execute("ns", "a", ["true"])
        api.close()


def unusable(folder: Path, ca: Pair, trouble: str) -> Path:
    client = signed(folder, ca, "client")
    user: Json = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    cluster: Json = {"certificate_authority": str(ca.certificate)}
    if trouble == "encrypted key":
        openssl("pkey", "-aes256", "-passout", "pass:secret", "-in", client.key, "-out", folder / "encrypted")
        user["client-key"] = str(folder / "encrypted")
    elif trouble == "key of another":
        user["client-key"] = str(ca.key)
    elif trouble == "no key":
        del user["client-key"]
    elif trouble == "missing key":
        user["client-key"] = str(folder / "none")
    elif trouble == "ca of words":
        (folder / "words").write_text("no certificate")
        cluster["certificate_authority"] = str(folder / "words")
    else:
        cluster = {"certificate_authority_data": "no base64"}
    return kubeconfig(folder, "https://127.0.0.1:1", user, **cluster)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("encrypted key", "client-key .* is encrypted"),
        ("key of another", "key values mismatch"),
        ("no key", "needs both"),
        ("missing key", "client-key: no such file"),
        ("ca of words", "certificate-authority .*: "),
        ("ca of junk", "certificate-authority"),
    ],
)
def test_unusable_certificate_is_reported_in_one_line(tmp_path: Path, ca: Pair, trouble: str, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        existing.connect(unusable(tmp_path, ca, trouble), "test", tmp_path / "secrets")
    assert caught.value.code == ExitCode.KUBECONFIG
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["closed", "silent", "nobody", "no name"])
def test_failed_connection_is_told_in_words(tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    with serving(silent if end == "silent" else closing) as server:
        port = free_port() if end == "nobody" else server.port
        url = "http://no.example.invalid" if end == "no name" else f"http://127.0.0.1:{port}"
        api = Api(kubeconfig(tmp_path, url), "test", tmp_path)
        reason = {
            "closed": "the connection was closed without an answer",
            "silent": "no answer in time",
            "nobody": "connection refused",
            "no name": "its host name is not known",
        }[end]
        with pytest.raises(ApiUnavailable, match=f"API server {url}: unreachable: {reason}$"):
            api.call("GET", "/version", seconds=0.5)
        api.close()


def test_client_certificate_that_the_server_rejects_is_named(tmp_path: Path, ca: Pair) -> None:
    other = signed(tmp_path, authority(tmp_path, "other"), "client")
    user = {"client-certificate": str(other.certificate), "client-key": str(other.key)}
    with tls_server(signed(tmp_path, ca, "good"), ca.certificate) as server:
        api = Api(kubeconfig(tmp_path, server.url, user, certificate_authority=str(ca.certificate)), "test", tmp_path)
        with pytest.raises(ApiUnavailable, match="does not accept the client certificate"):
            api.get("ConfigMap", "ns", "a")
        api.close()


def test_inline_certificate_that_is_none_is_named_by_its_field(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", certificate_authority_data=base64.b64encode(b"words").decode())
    with pytest.raises(SetupError, match="cannot be used: certificate-authority-data: no certificate"):
        existing.connect(path, "test", tmp_path / "secrets")


def test_scheme_in_capitals_is_a_scheme(tmp_path: Path, ca: Pair) -> None:
    with tls_server(signed(tmp_path, ca, "good")) as server:
        url = server.url.replace("https://", "HTTPS://")
        connects(kubeconfig(tmp_path, url, certificate_authority=str(ca.certificate)), tmp_path)
