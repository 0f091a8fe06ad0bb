"""Which credentials of a docker config.json reach the cluster, and which addresses never reach a proxy."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.core import proxies
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.registries import credentials, host_of
from kubechain.kube.client import Api
from kubechain.workload.namespace import pull_secret
from tests.loopback import free_port, kubeconfig, response, serving

AUTH = {"auth": "dTpw"}


def config(folder: Path, content: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("nginx", "docker.io"),
        ("library/nginx:1", "docker.io"),
        ("ghcr.io/a/b@sha256:0", "ghcr.io"),
        ("localhost/x", "localhost"),
        ("registry:5000/x", "registry:5000"),
    ],
)
def test_registry_of_an_image(image: str, host: str) -> None:
    assert host_of(image) == host


@pytest.mark.parametrize(
    "key",
    [
        "https://index.docker.io/v1/",
        "docker.io",
        "ghcr.io",
        "https://ghcr.io",
        "ghcr.io/me",
        "*.io",
        "https://registry-1.docker.io",
    ],
)
def test_only_the_registries_in_use_go_into_the_secret(tmp_path: Path, key: str) -> None:
    path = config(tmp_path, {"auths": {key: AUTH, "private.example": {"auth": "czNjcjN0"}}, "HttpHeaders": {"X": "y"}})
    secret = pull_secret(path, "nginx:1", "ghcr.io/a/b")
    held: Any = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert held == {"auths": {key: AUTH}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"auths": {"ghcr.io": {}}, "credsStore": "desktop"}, "holds no credentials for docker.io, .* helper desktop, which"),
        ({"credHelpers": {"ghcr.io": "gcloud"}}, "kept by the credential helper gcloud"),
        ({"auths": {"ghcr.io": AUTH}}, "holds no credentials for docker.io, the registries of the images$"),
        ({"auths": {"docker.io": {"identitytoken": "x"}}}, "holds no credentials for docker.io"),
        ([1], "not a docker config.json"),
        ({"auths": {"docker.io": "x"}}, "not a docker config.json"),
    ],
)
def test_config_without_credentials_for_the_images_is_refused(tmp_path: Path, content: object, why: str) -> None:
    with pytest.raises(SetupError, match=why) as raised:
        credentials(config(tmp_path, content), ["nginx", "curl"])
    assert raised.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://p"}, "127.0.0.1,localhost,::1"),
        ({"https_proxy": "http://p", "no_proxy": "a.example, localhost"}, "a.example,localhost,127.0.0.1,::1"),
        ({"ALL_PROXY": "http://p", "NO_PROXY": "a.example"}, "a.example,127.0.0.1,localhost,::1"),
    ],
)
def test_loopback_is_added_to_no_proxy_if_there_is_a_proxy(before: dict[str, str], after: str | None) -> None:
    environment = dict(before)
    proxies.spare_loopback(environment)
    assert (environment.get("NO_PROXY"), environment.get("no_proxy")) == (after, after)
    again = dict(environment)
    proxies.spare_loopback(again)
    assert again == environment


def test_api_server_on_loopback_is_reached_past_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    environment: dict[str, str] = {"HTTP_PROXY": "http://p"}
    proxies.spare_loopback(environment)
    for name, value in environment.items():
        if name.lower() == "no_proxy":
            monkeypatch.setenv(name, value)
    with serving(response(200, '{"gitVersion": "v1"}')) as server:
        api = Api(kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
        assert api.call("GET", "/version") == '{"gitVersion": "v1"}'
        api.close()
