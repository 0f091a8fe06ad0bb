"""Credentials of a kubeconfig: fetched once, renewed when they expire or are rejected, and never silently missing."""

import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.rights import CORE
from kubechain.cluster import existing
from kubechain.cluster.access import Access
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube import exec_plugin
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from tests.api_server import ApiServer, Fault, Request, always, api_server
from tests.test_tls import kubeconfig

VERSION = "client.authentication.k8s.io/v1"
CONFIG_MAP = "/api/v1/namespaces/ns/configmaps/a"
UNAUTHORIZED = Fault(401, body='{"reason": "Unauthorized", "message": "Unauthorized"}')


def plugin(folder: Path, body: str, **more: Any) -> Json:
    """Write a plugin whose Python code prints; its runs are counted in the file "runs". Return the user."""
    path = folder / "plugin.py"
    count = f"import json, os, sys, time; open({str(folder / 'runs')!r}, 'a').write('x')\n"
    path.write_text(count + body)
    return {"exec": {"apiVersion": VERSION, "command": sys.executable, "args": [str(path)], "interactiveMode": "Never", **more}}


def printing(folder: Path, status: str, **more: Any) -> Json:
    return plugin(
        folder, f"print(json.dumps({{'apiVersion': {VERSION!r}, 'kind': 'ExecCredential', 'status': {status}}}))", **more
    )


def runs(folder: Path) -> int:
    path = folder / "runs"
    return len(path.read_text()) if path.exists() else 0


@contextmanager
def serving() -> Generator[ApiServer]:
    with api_server() as server:
        server.store[CONFIG_MAP] = {"kind": "ConfigMap", "metadata": {"name": "a"}}
        yield server


def accepting(token: Callable[[], str]) -> Callable[[Request], Fault | None]:
    return lambda request: None if request.headers.get("authorization") == f"Bearer {token()}" else UNAUTHORIZED


def read(api: Api) -> None:
    assert api.get("ConfigMap", "ns", "a") is not None


def test_plugin_runs_once_for_all_connections_and_threads(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", printing(tmp_path, "{'token': 't'}"))
    with serving() as server:
        path.write_text(path.read_text().replace("http://127.0.0.1:1", server.url))
        server.faults = accepting(lambda: "t")
        apis = [existing.connect(path, "test", tmp_path / "secrets")]
        apis += [apis[0].twin() for _ in range(3)]
        threads = [threading.Thread(target=read, args=(api,)) for api in apis]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert runs(tmp_path) == 1
        assert len(server.requests) == len(apis)
        for api in apis:
            api.close()


def test_plugin_runs_again_when_its_token_has_expired(tmp_path: Path) -> None:
    ends = (
        "time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 1 if os.path.getsize(sys.path[0] + '/runs') < 2 else 2e9))"
    )
    user = printing(tmp_path, f"{{'token': 't', 'expirationTimestamp': {ends}}}")
    with serving() as server:
        api = existing.connect(kubeconfig(tmp_path, server.url, user), "test", tmp_path / "secrets")
        threading.Event().wait(1.1)
        for _ in range(3):
            read(api)
        assert runs(tmp_path) == 2
        api.close()


def test_rejected_token_of_a_plugin_is_renewed_once_and_the_request_repeated(tmp_path: Path) -> None:
    user = printing(tmp_path, "{'token': 't%d' % os.path.getsize(sys.path[0] + '/runs')}")
    with serving() as server:
        server.faults = accepting(lambda: "t2")
        api = existing.connect(kubeconfig(tmp_path, server.url, user), "test", tmp_path / "secrets")
        twin = api.twin()
        read(api)
        read(twin)
        assert runs(tmp_path) == 2
        server.faults = always(UNAUTHORIZED, method="GET")
        before = len(server.requests)
        with pytest.raises(ApiRefused, match="401"):
            read(api)
        assert len(server.requests) - before == 2
        api.close()
        twin.close()


def test_rejected_token_of_a_file_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    with serving() as server:
        server.faults = accepting(lambda: "new")
        api = existing.connect(kubeconfig(tmp_path, server.url, {"tokenFile": "token"}), "test", tmp_path / "secrets")
        token.write_text("new\n")
        read(api)
        api.close()


def test_exec_renews_a_rejected_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    with serving() as server:
        server.faults = accepting(lambda: "new")
        api = existing.connect(kubeconfig(tmp_path, server.url, {"tokenFile": "token"}), "test", tmp_path / "secrets")
        (tmp_path / "token").write_text("new")
        with pytest.raises(HarnessError, match="404"):
            api.execute("ns", "a", ["true"])
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]
        api.close()


def test_fixed_token_that_is_rejected_is_not_sent_twice(tmp_path: Path) -> None:
    with serving() as server:
        server.faults = always(UNAUTHORIZED, method="GET")
        api = existing.connect(kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
        with pytest.raises(ApiRefused, match="401"):
            read(api)
        assert len(server.requests) == 1
        api.close()


def test_username_and_password_are_sent(tmp_path: Path) -> None:
    with serving() as server:
        user = {"username": "me", "password": "pass"}
        api = existing.connect(kubeconfig(tmp_path, server.url, user), "test", tmp_path / "secrets")
        read(api)
        assert server.requests[0].headers["authorization"] == "Basic bWU6cGFzcw=="
        api.close()


def test_plugin_reads_its_environment_and_the_cluster(tmp_path: Path) -> None:
    user = printing(
        tmp_path,
        "{'token': json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['server'][:4] + os.environ['WORD']}",
        env=[{"name": "WORD", "value": "-word"}],
        provideClusterInfo=True,
    )
    with serving() as server:
        server.faults = accepting(lambda: "http-word")
        api = existing.connect(kubeconfig(tmp_path, server.url, user), "test", tmp_path / "secrets")
        read(api)
        api.close()


BROKEN: dict[str, tuple[str, str]] = {
    "fails": ("sys.exit('sso session has expired, log in again')", "exit status 1: sso session has expired, log in again"),
    "is silent": ("", "it printed no ExecCredential"),
    "prints junk": ("print('<html>')", "it printed no ExecCredential"),
    "prints a list": ("print('[]')", "it printed no ExecCredential"),
    "prints null": ("print(json.dumps({'apiVersion': 'v1', 'status': None}))", "it printed no ExecCredential"),
    "other version": ("print(json.dumps({'apiVersion': 'v9', 'status': {'token': 't'}}))", "it printed apiVersion v9, expected"),
    "no token": (f"print(json.dumps({{'apiVersion': {VERSION!r}, 'status': {{}}}}))", "neither a token nor a client certificate"),
    "half a pair": (f"print(json.dumps({{'apiVersion': {VERSION!r}, 'status': {{'clientKeyData': 'k'}}}}))", "neither a token"),
    "hangs": ("time.sleep(60)", "took more than"),
}


@pytest.mark.parametrize("trouble", BROKEN)
def test_plugin_that_fails_is_reported_with_its_words_and_its_hint(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugin, "PLUGIN_SECONDS", 0.5 if trouble == "hangs" else 30.0)
    code, words = BROKEN[trouble]
    user = plugin(tmp_path, code, installHint="Install it\nfrom here.")
    began = time.monotonic()
    with pytest.raises(SetupError, match=f"credential plugin {sys.executable}: .*{words}.*Install it from here") as caught:
        existing.connect(kubeconfig(tmp_path, "https://127.0.0.1:1", user), "test", tmp_path / "secrets")
    assert caught.value.code == ExitCode.KUBECONFIG
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("command", ["no-such-plugin", "./no-such-plugin"])
def test_missing_plugin_is_reported_with_its_hint(tmp_path: Path, command: str) -> None:
    user = {
        "exec": {"apiVersion": VERSION, "command": command, "interactiveMode": "Never", "installHint": "Install it from here."}
    }
    with pytest.raises(SetupError, match=r"no-such-plugin: No such file or directory\. Install it from here") as caught:
        existing.connect(kubeconfig(tmp_path, "https://127.0.0.1:1", user), "test", tmp_path / "secrets")
    assert caught.value.code == ExitCode.KUBECONFIG


def test_plugin_is_found_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    answer = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": {"token": "t"}})
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    user = {"exec": {"apiVersion": VERSION, "command": "./plugin", "interactiveMode": "Never"}}
    existing.connect(kubeconfig(tmp_path, "https://127.0.0.1:1", user), "test", tmp_path / "secrets").close()


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({}, "user u without credentials"),
        ({"as": "somebody"}, "user u without credentials"),
        ({"tokenFile": "none"}, "tokenFile .*none: No such file"),
        ({"tokenFile": "/dev/null"}, "tokenFile /dev/null: it is a device or a socket; write its content to a file"),
        ({"token": "two words"}, "holds no token"),
        ({"exec": {"command": "x"}}, "needs command and apiVersion"),
        ({"exec": {"command": "x", "apiVersion": VERSION, "interactiveMode": "Always"}}, "asks questions"),
        ({"exec": {"command": "x", "apiVersion": VERSION}}, "has no interactiveMode"),
        ({"exec": {"command": "x", "apiVersion": f"{VERSION}alpha1"}}, "apiVersion .*v1alpha1; kubectl supports"),
        ({"exec": {"command": "x"}, "auth-provider": {"name": "gcp"}}, "has exec and auth-provider"),
        ({"token": "t", "username": "me"}, "has token and username"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider gcp .* is not known to kubectl any more"),
        ({"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}}, "auth-provider oidc gives no token"),
    ],
)
def test_user_without_credentials_is_reported_and_nothing_is_sent_anonymously(tmp_path: Path, user: Json, words: str) -> None:
    with serving() as server:
        path = kubeconfig(tmp_path, server.url.replace("http:", "https:"), user)
        with pytest.raises(SetupError, match=words) as caught:
            existing.connect(path, "test", tmp_path / "secrets")
        assert caught.value.code == ExitCode.KUBECONFIG
        assert server.requests == []


def test_missing_user_is_reported(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    path.write_text(path.read_text().replace("name: u\n", "name: another\n"))
    with pytest.raises(SetupError, match="user u is not in the file"):
        existing.connect(path, "test", tmp_path / "secrets")


def test_local_proxy_needs_no_credentials(tmp_path: Path) -> None:
    with serving() as server:
        api = existing.connect(kubeconfig(tmp_path, server.url, {}), "test", tmp_path / "secrets")
        read(api)
        assert "authorization" not in server.requests[0].headers
        api.close()


def test_token_stands_in_for_a_token_file_that_does_not_exist(tmp_path: Path) -> None:
    with serving() as server:
        server.faults = accepting(lambda: "t")
        user = {"tokenFile": "none", "token": "t"}
        api = existing.connect(kubeconfig(tmp_path, server.url, user), "test", tmp_path / "secrets")
        read(api)
        api.close()


def test_rejected_credentials_are_no_missing_right(tmp_path: Path) -> None:
    with serving() as server:
        server.faults = always(UNAUTHORIZED, method="POST")
        api = existing.connect(kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
        with pytest.raises(
            SetupError, match=f"{server.url}: .*401 .*does not accept the credentials in the kubeconfig"
        ) as caught:
            Access(api).require(CORE.rights)
        assert caught.value.code == ExitCode.RIGHTS
        api.close()
