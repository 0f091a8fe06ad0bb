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


def test_credentials_are_written_readable_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    given = Api(loopback.kubeconfig(tmp_path, "https://127.0.0.1:1"), "test", folder).for_sampler(folder)
    path = folder / "headers"
    rest = {"ca": "", "client": "", "verify": True, "server_name": "", "proxy": None}
    assert given == {**rest, "headers": str(path)}
    assert path.read_text() == "Authorization: Bearer kubeconfig-token\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["headers"]
    assert "kubeconfig-token" not in str(given)


def test_older_credentials_are_replaced_and_readable_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "headers").write_text("an older and longer token than this one")
    (folder / "headers").chmod(0o644)
    Api(loopback.kubeconfig(tmp_path, "https://127.0.0.1:1"), "test", folder).for_sampler(folder)
    assert (folder / "headers").read_text() == "Authorization: Bearer kubeconfig-token\n"
    assert stat.S_IMODE((folder / "headers").stat().st_mode) == 0o600


def test_cluster_with_certificates_has_one_file_with_both_and_no_headers(tmp_path: Path) -> None:
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
    (folder / "headers").write_text("stale")
    given = unsafe(kubeconfig, folder).for_sampler(folder)
    assert (given["ca"], given["headers"], given["client"]) == (str(tmp_path / "ca"), "", str(folder / "client"))
    assert (folder / "client").read_text() == "certificate\nkey"
    assert [file.name for file in folder.iterdir()] == ["client"]


def test_keys_in_a_kubeconfig_are_written_to_the_folder_of_secrets(tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "https://127.0.0.1:1")
    data = {name: base64.b64encode(f"{tmp_path}/{name}".encode()).decode() for name in ("certificate", "key")}
    user = f"{{client-certificate-data: {data['certificate']}, client-key-data: {data['key']}}}"
    kubeconfig.write_text(kubeconfig.read_text().replace("{token: kubeconfig-token}", user))
    secrets = tmp_path / "run" / "secrets"
    unsafe(kubeconfig, secrets)
    assert {path.read_text() for path in secrets.iterdir()} == {f"{tmp_path}/certificate", f"{tmp_path}/key"}
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
