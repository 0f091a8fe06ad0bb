"""A kubeconfig that says `as` acts as that user: with every request, watch and exec."""

from pathlib import Path

import pytest

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.objects import Json
from tests import loopback
from tests.loopback import response, serving
from tests.test_tls import kubeconfig

USER: Json = {
    "token": "t",
    "as": "jane",
    "as-uid": "u-1",
    "as-groups": ["dev", "ops"],
    "as-user-extra": {"Scopes": ["view", "edit"], "acme.com/project": ["a b"]},
}
HEADERS = [
    "Impersonate-User: jane",
    "Impersonate-Uid: u-1",
    "Impersonate-Group: dev",
    "Impersonate-Group: ops",
    "Impersonate-Extra-scopes: view",
    "Impersonate-Extra-scopes: edit",
    "Impersonate-Extra-acme.com%2Fproject: a b",
]


def test_every_request_watch_and_exec_is_sent_as_the_user(tmp_path: Path) -> None:
    with serving(response(404, "{}")) as server:
        api = existing.connect(kubeconfig(tmp_path, server.url, USER), "test", tmp_path / "secrets")
        assert api.get("Pod", "ns", "a") is None
        api.status("POST", "/eviction")
        for call in (
            lambda: api.create({"kind": "Pod", "metadata": {"name": "a"}}, "ns"),
            lambda: list(api.watch("Pod", "ns", "7", 5)),
            lambda: api.execute("ns", "a", ["true"]),
        ):
            with pytest.raises(HarnessError, match="404"):
                call()
        api.close()
    assert len(server.requests) == 5
    for request in server.requests:
        lines = [line for line in request.splitlines() if line.lower().startswith("impersonate")]
        assert sorted(lines) == sorted(HEADERS)
        assert "authorization: bearer t" in request.lower()


def test_nobody_is_impersonated_without_as(tmp_path: Path) -> None:
    with serving(response(404, "{}")) as server:
        api = existing.connect(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
        assert api.get("Pod", "ns", "a") is None
        api.close()
    assert "impersonate" not in server.requests[0].lower()


@pytest.mark.parametrize("field", ["as-uid", "as-groups", "as-user-extra"])
def test_impersonation_without_a_name_is_reported(tmp_path: Path, field: str) -> None:
    user = {"token": "t", field: USER[field]}
    with pytest.raises(SetupError, match="without `as`") as caught:
        existing.connect(kubeconfig(tmp_path, "https://127.0.0.1:1", user), "test", tmp_path / "secrets")
    assert caught.value.code == ExitCode.KUBECONFIG
