"""The user's kubeconfig is only read; what programs may write to is a private copy."""

import base64
import json
import os
import pwd
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
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
        credentials = api.for_sampler(tmp_path)
        api.close()
    assert Path(credentials["headers"]).read_text() == f"Authorization: Bearer {new}\n"
    assert path.read_bytes() == before
    assert len(server.requests) == 2


def test_private_copy_has_absolute_paths_and_one_context(tmp_path: Path) -> None:
    user: Json = {"tokenFile": "keys/token", "exec": {"apiVersion": "v1", "command": "./plugin"}}
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", user, certificate_authority="keys/ca.crt")
    before = path.read_bytes()
    copy = private_copy((path,), "test", tmp_path / "secrets")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.parent == tmp_path / "secrets"
    assert path.read_bytes() == before
    entry = read(copy, "test")
    assert entry.cluster["certificate-authority"] == f"{tmp_path}/keys/ca.crt"
    assert entry.user["tokenFile"] == f"{tmp_path}/keys/token"
    assert Path(entry.user["exec"]["command"]) == tmp_path / "plugin"
    assert yaml.safe_load(copy.read_text())["current-context"] == "test"


def parts(folder: Path, **sections: Json) -> Path:
    """Write a kubeconfig with some sections, each an entry of a name, into a folder of its own."""
    singular = {"clusters": "cluster", "users": "user", "contexts": "context"}
    content = {
        section: [{"name": name, singular[section]: entry} for name, entry in entries.items()]
        for section, entries in sections.items()
    }
    folder.mkdir()
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return path


def test_context_whose_parts_are_in_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [
        parts(tmp_path / "a", clusters={"c": {"server": "https://a", "certificate-authority": "ca.crt"}}),
        parts(tmp_path / "b", users={"u": {"tokenFile": "token"}}),
        parts(tmp_path / "c", contexts={"test": {"cluster": "c", "user": "u"}}, clusters={"c": {"server": "https://c"}}),
    ]
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none::{':'.join(map(str, paths))}")
    made = existing.kubeconfig("", "test", tmp_path / "secrets")
    entry = read(made, "test")
    assert entry.cluster == {"server": "https://a", "certificate-authority": f"{tmp_path}/a/ca.crt"}
    assert entry.user == {"tokenFile": f"{tmp_path}/b/token"}
    assert (made.parent, stat.S_IMODE(made.stat().st_mode)) == (tmp_path / "secrets", 0o600)
    with pytest.raises(SetupError, match=r"--context=prod: not in .*/a/config:.*/c/config, whose contexts are test"):
        existing.kubeconfig("", "prod", tmp_path / "secrets")
    assert existing.kubeconfig(str(paths[2]), "test", tmp_path / "secrets") == paths[2]


def test_entries_of_several_files_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"contexts": {"test": {"cluster": "c", "user": "u"}}, "users": {"u": {"token": "t"}}}
    first = parts(tmp_path / "a", clusters={"c": {"server": "https://a"}}, **whole)
    second = parts(tmp_path / "b", clusters={"c": {"server": "https://b", "tls-server-name": "b"}}, users={"u": {"as": "me"}})
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    entry = read(existing.kubeconfig("", "test", tmp_path / "secrets"), "test")
    assert (entry.cluster, entry.user) == ({"server": "https://a"}, {"token": "t"})


def test_a_missing_file_is_reported_if_it_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{tmp_path}/neither")
    for option in ("", f"{tmp_path}/none"):
        with pytest.raises(SetupError, match=r"/none.*: No such file") as caught:
            existing.kubeconfig(option, "test", tmp_path)
        assert caught.value.code == ExitCode.KUBECONFIG


@pytest.mark.parametrize("context", ["test", "in-cluster"])
def test_file_that_the_user_may_not_look_at_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str) -> None:
    """As one in a folder that may not be entered; the name is too long because nothing is forbidden to root."""
    unseen = tmp_path / ("x" * 300)
    monkeypatch.setenv("KUBECONFIG", f"{unseen}:{tmp_path}/none")
    for option in ("", str(unseen)):
        with pytest.raises(SetupError) as caught:
            existing.require_context(option, context)
        assert caught.value.code == ExitCode.KUBECONFIG
        assert "no kubeconfig, and no Pod" in str(caught.value) or "xxx: File name too long" in str(caught.value)


def test_kubeconfig_of_a_user_whose_home_is_not_known_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any uid of a container, without HOME."""

    def unknown(_uid: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(SetupError, match=r"kubeconfig ~/.kube/config: No such file") as caught:
        existing.require_context("", "test")
    assert caught.value.code == ExitCode.KUBECONFIG


FORMS: dict[str, Callable[[str], bytes]] = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "byte order mark": lambda text: ("\ufeff" + text).encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "two documents": lambda text: (text + "---\n{}\n").encode(),
    "JSON with tabs": lambda text: json.dumps(yaml.safe_load(text), indent="\t").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_kubeconfig_that_kubectl_reads(tmp_path: Path, form: str) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    path.write_bytes(FORMS[form](path.read_text()))
    assert read(path, "test").cluster["server"] == "https://127.0.0.1:1"


def test_name_that_looks_like_a_date_is_a_name(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    path.write_text(path.read_text().replace("name: test", "name: 2026-01-02"))
    assert read(path, "2026-01-02").user == {"token": "t"}


@pytest.mark.parametrize("section", ["clusters", "users", "contexts"])
def test_name_that_two_entries_have_is_reported(tmp_path: Path, section: str) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    content = yaml.safe_load(path.read_text())
    content[section] *= 2
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SetupError, match=f"two {section} have the name") as caught:
        existing.connect(path, "test", tmp_path)
    assert caught.value.code == ExitCode.KUBECONFIG


def test_error_in_a_kubeconfig_shows_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- name: u\n  user: {token: s3cr3t-word\n")
    with pytest.raises(SetupError, match=r"not a kubeconfig: .* \(line ") as caught:
        existing.connect(path, "test", tmp_path)
    assert "s3cr3t" not in str(caught.value)


def test_insecure_cluster_with_a_ca_is_refused_as_by_kubectl(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", insecure_skip_tls_verify=True, certificate_authority_data="eA==")
    with pytest.raises(SetupError, match="insecure-skip-tls-verify and a certificate-authority"):
        existing.connect(path, "test", tmp_path)


def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SetupError, match="it is a pipe, which can be read only once") as caught:
        existing.connect(tmp_path / "pipe", "test", tmp_path)
    assert caught.value.code == ExitCode.KUBECONFIG
