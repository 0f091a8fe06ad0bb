"""Credentials that the API client writes for other programs, and the Warning headers that it reads."""

import base64
import stat
from pathlib import Path

import pytest

from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from tests import loopback
from tests.loopback import response, serving
from tests.test_api import speaking

PAGE = '{"metadata": {"resourceVersion": "1"}, "items": []}'


def test_token_is_written_readable_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    with speaking(tmp_path, response(200, "{}")) as (api, _):
        credentials = api.credentials(folder)
    path = folder / "token"
    assert credentials == {"ca": "", "certificate": "", "key": "", "token": str(path), "verify": True}
    assert path.read_text() == "kubeconfig-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["token"]
    assert "kubeconfig-token" not in str(credentials)


def test_older_token_file_is_replaced_and_readable_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "token").write_text("an older and longer token than this one")
    (folder / "token").chmod(0o644)
    with speaking(tmp_path, response(200, "{}")) as (api, _):
        api.credentials(folder)
    assert (folder / "token").read_text() == "kubeconfig-token"
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600


def test_cluster_with_certificates_has_paths_and_no_token(tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "https://127.0.0.1:1")
    for name in ("ca", "certificate", "key"):
        (tmp_path / name).write_text(name)
    user = f"{{client-certificate: {tmp_path}/certificate, client-key: {tmp_path}/key}}"
    text = kubeconfig.read_text().replace("{token: kubeconfig-token}", user)
    text = text.replace('server: "https', f'certificate-authority: {tmp_path}/ca, server: "https')
    kubeconfig.write_text(text)
    folder = tmp_path / "api"
    folder.mkdir()
    # A token of another cluster.
    (folder / "token").write_text("stale")
    api = unsafe(kubeconfig, folder)
    credentials = api.credentials(folder)
    files = {name: str(tmp_path / name) for name in ("ca", "certificate", "key")}
    assert credentials == {**files, "token": "", "verify": True}
    assert list(folder.iterdir()) == []


def test_keys_in_a_kubeconfig_are_written_to_the_folder_of_secrets(tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "https://127.0.0.1:1")
    data = {name: base64.b64encode(f"{tmp_path}/{name}".encode()).decode() for name in ("certificate", "key")}
    user = f"{{client-certificate-data: {data['certificate']}, client-key-data: {data['key']}}}"
    kubeconfig.write_text(kubeconfig.read_text().replace("{token: kubeconfig-token}", user))
    secrets = tmp_path / "run" / "secrets"
    credentials = unsafe(kubeconfig, secrets).credentials(tmp_path)
    assert {Path(credentials["certificate"]), Path(credentials["key"])} == set(secrets.iterdir())
    assert Path(credentials["key"]).read_text() == f"{tmp_path}/key"
    assert secrets.stat().st_mode & 0o777 == 0o700


def unsafe(kubeconfig: Path, secrets: Path) -> Api:
    """Return an API without reading its certificate files, which hold no certificates."""

    def nothing(*_: object, **__: object) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssl.SSLContext.load_cert_chain", nothing)
        patch.setattr("ssl.SSLContext.load_verify_locations", nothing)
        return Api(kubeconfig, "test", secrets)


@pytest.mark.parametrize(
    ("headers", "texts"),
    [
        ((), []),
        (('Warning: 299 - "v1 Endpoints is deprecated"',), ["v1 Endpoints is deprecated"]),
        (('Warning: 299 - "a - b"', 'warning: 299 - "c"'), ["a - b", "c"]),
        (('Warning: 299 - "one, two", 299 kube "three"',), ["one, two", "three"]),
        ((r'Warning: 299 - "say \"no\" to a\\b"',), ['say "no" to a\\b']),
        (('Warning: 299 - "dated" "Wed, 21 Oct 2026 07:28:00 GMT"',), ["dated"]),
        (("Warning: nonsense",), []),
    ],
)
def test_warnings_are_the_quoted_texts_of_warning_headers(tmp_path: Path, headers: tuple[str, ...], texts: list[str]) -> None:
    with speaking(tmp_path, response(200, PAGE, *headers)) as (api, server):
        assert api.warnings("PodDisruptionBudget", "ns") == texts
        assert server.lines == ["GET /apis/policy/v1/namespaces/ns/poddisruptionbudgets"]


def test_warnings_of_a_refused_list_are_an_error(tmp_path: Path) -> None:
    with serving(response(404, "{}", 'Warning: 299 - "gone"')) as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        with pytest.raises(ApiRefused):
            api.warnings("Pod", "ns")
        api.close()


@pytest.mark.parametrize("body", [PAGE, '{"rows": []}', '{"columnDefinitions": null, "rows": null}'])
def test_answer_that_is_no_table_is_trouble(tmp_path: Path, body: str) -> None:
    with speaking(tmp_path, response(200, body)) as (api, _), pytest.raises(ApiUnavailable, match="has no columns or no rows"):
        api.table("Deployment", "ns")
