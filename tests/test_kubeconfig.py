"""The user's kubeconfig is only read; what programs may write to is a private copy."""

import base64
import json
import socket
import stat
import threading
from pathlib import Path

import pytest
import yaml

from kubechain.cluster import existing
from kubechain.kube.kubeconfig import private_copy, read
from kubechain.kube.objects import Json
from tests.loopback import response, serving
from tests.test_tls import kubeconfig


def jwt(expires: int) -> str:
    parts = [json.dumps({"alg": "none"}), json.dumps({"exp": expires})]
    return ".".join([*(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), "signature"])


def test_new_token_of_an_auth_provider_is_used_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    new = jwt(4_000_000_000)

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        if ".well-known" in server.requests[-1]:
            body: Json = {"token_endpoint": f"{server.url}/token"}
        else:
            body = {"access_token": "a", "token_type": "bearer", "id_token": new, "refresh_token": "r2"}
        response(200, json.dumps(body), "Content-Type: application/json")(connection, ended)

    with serving(answer) as server:
        provider = {"idp-issuer-url": server.url, "client-id": "c", "client-secret": "s", "refresh-token": "r1"}
        user = {"auth-provider": {"name": "oidc", "config": {**provider, "id-token": jwt(1)}}}
        path = kubeconfig(tmp_path, "https://127.0.0.1:1", user)
        path.write_text("# A comment that must stay.\n" + path.read_text())
        before = path.read_bytes()
        api = existing.connect(path, "test", tmp_path / "secrets")
        credentials = api.credentials(tmp_path)
        api.close()
    assert Path(credentials["token"]).read_text() == new
    assert path.read_bytes() == before
    assert len(server.requests) == 2


def test_private_copy_has_absolute_paths_and_one_context(tmp_path: Path) -> None:
    user: Json = {"tokenFile": "keys/token", "exec": {"apiVersion": "v1", "command": "./plugin"}}
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", user, certificate_authority="keys/ca.crt")
    before = path.read_bytes()
    copy = private_copy(path, "test", tmp_path / "secrets")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.parent == tmp_path / "secrets"
    assert path.read_bytes() == before
    entry = read(copy, "test")
    assert entry.cluster["certificate-authority"] == f"{tmp_path}/keys/ca.crt"
    assert entry.user["tokenFile"] == f"{tmp_path}/keys/token"
    assert Path(entry.user["exec"]["command"]) == tmp_path / "plugin"
    assert yaml.safe_load(copy.read_text())["current-context"] == "test"
