"""Credentials in files that are replaced while a run goes on: read again, and the last good ones kept, as in client-go."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.core.errors import SetupError
from kubechain.kube import credentials
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from tests.certificates import Pair, authority, signed
from tests.test_credentials import UNAUTHORIZED, accepting, read, serving
from tests.test_tls import kubeconfig, tls_server

pytestmark = pytest.mark.usefixtures("pauses")


@dataclass(frozen=True)
class Keys:
    """A certificate of the server, two clients of its CA, and one of a CA that it does not know."""

    ca: Pair
    server: Pair
    client: Pair
    next: Pair
    stranger: Pair


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    ca = authority(folder)
    stranger = signed(folder, authority(folder, "other"), "stranger")
    return Keys(ca, signed(folder, ca, "server"), signed(folder, ca, "client"), signed(folder, ca, "next"), stranger)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read again for every request."""
    monkeypatch.setattr(credentials, "FILE_SECONDS", 0.0)


class Client:
    """A client whose certificate and key are the files "crt" and "key" of a folder."""

    def __init__(self, folder: Path, keys: Keys, url: str, first: Pair) -> None:
        self.folder = folder
        self.use(first)
        user = {"client-certificate": "crt", "client-key": "key"}
        path = kubeconfig(folder, url, user, certificate_authority=str(keys.ca.certificate))
        self.api = Api(path, "test", folder / "secrets")

    def use(self, pair: Pair, *, half: bool = False) -> None:
        """Replace the files, or the first of them only."""
        shutil.copy(pair.certificate, self.folder / "crt")
        if not half:
            shutil.copy(pair.key, self.folder / "key")


@pytest.mark.usefixtures("at_once")
def test_client_certificate_that_is_replaced_is_used(tmp_path: Path, keys: Keys) -> None:
    with tls_server(keys.server, keys.ca.certificate) as server:
        client = Client(tmp_path, keys, server.url, keys.stranger)
        with pytest.raises(ApiUnavailable, match="client certificate"):
            read(client.api)
        client.use(keys.client)
        read(client.api)
        client.api.close()


@pytest.mark.usefixtures("at_once")
def test_client_certificate_that_is_replaced_in_part_or_removed_remains_in_use(tmp_path: Path, keys: Keys) -> None:
    with tls_server(keys.server, keys.ca.certificate) as server:
        client = Client(tmp_path, keys, server.url, keys.client)
        read(client.api)
        client.use(keys.next, half=True)
        read(client.api)
        (tmp_path / "key").unlink()
        read(client.api)
        client.use(keys.next)
        read(client.api)
        client.api.close()


def test_rejected_client_certificate_is_read_again_and_the_request_repeated(tmp_path: Path, keys: Keys) -> None:
    with tls_server(keys.server, keys.ca.certificate) as server:
        client = Client(tmp_path, keys, server.url, keys.client)
        server.faults = lambda _: UNAUTHORIZED if len(server.requests) == 1 else None
        client.use(keys.next)
        read(client.api)
        assert len(server.requests) == 2
        server.faults = lambda _: UNAUTHORIZED
        with pytest.raises(ApiRefused, match="401"):
            read(client.api)
        # There is no other to try.
        assert len(server.requests) == 3
        client.api.close()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("content", [None, "", "two\nlines\n"])
def test_token_whose_file_cannot_be_read_any_more_remains_in_use(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    with serving() as server:
        server.faults = accepting(lambda: "one")
        api = Api(kubeconfig(tmp_path, server.url, {"tokenFile": "token"}), "test", tmp_path / "secrets")
        read(api)
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        read(api)
        file.write_text("two\n")
        server.faults = accepting(lambda: "two")
        read(api)
        api.close()


def test_token_file_that_is_never_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        Api(kubeconfig(tmp_path, "http://127.0.0.1:1", {"tokenFile": "none"}), "test", tmp_path / "secrets")
