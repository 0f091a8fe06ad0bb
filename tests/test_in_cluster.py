"""The ServiceAccount of a Pod as a context: chosen by its name alone, and never in place of a kubeconfig's."""

from pathlib import Path

import pytest

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import in_cluster
from kubechain.kube.client import Api
from kubechain.kube.kubeconfig import read
from tests.test_credentials import accepting, serving
from tests.test_credentials import read as get
from tests.test_tls import kubeconfig


@pytest.fixture(autouse=True)
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a Pod without a kubeconfig; return the folder of its ServiceAccount."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("t")
    (account / "ca.crt").write_text("ca")
    monkeypatch.setattr(in_cluster, "FOLDER", account)
    monkeypatch.setenv(in_cluster.HOST, "10.96.0.1")
    monkeypatch.setenv(in_cluster.PORT, "443")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return account


def test_service_account_is_a_context(tmp_path: Path, pod: Path) -> None:
    existing.require_context("", in_cluster.CONTEXT)
    path = existing.kubeconfig("", in_cluster.CONTEXT, tmp_path / "secrets")
    entry = read(path, in_cluster.CONTEXT)
    assert entry.cluster == {"server": "https://10.96.0.1:443", "certificate-authority": str(pod / "ca.crt")}
    assert entry.user == {"tokenFile": str(pod / "token")}
    assert path.parent == tmp_path / "secrets"


def test_address_is_bracketed_and_the_ca_is_that_of_the_system_without_one(
    tmp_path: Path, pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(in_cluster.HOST, "fd00::1")
    (pod / "ca.crt").unlink()
    entry = read(existing.kubeconfig("", in_cluster.CONTEXT, tmp_path), in_cluster.CONTEXT)
    assert entry.cluster == {"server": "https://[fd00::1]:443"}


def test_replaced_token_is_used(tmp_path: Path, pod: Path) -> None:
    path = existing.kubeconfig("", in_cluster.CONTEXT, tmp_path)
    with serving() as server:
        path.write_text(path.read_text().replace("https://10.96.0.1:443", server.url))
        api = Api(path, in_cluster.CONTEXT, tmp_path)
        (pod / "token").write_text("new")
        server.faults = accepting(lambda: "new")
        get(api)
        api.close()


def test_context_of_a_kubeconfig_comes_first(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    path.write_text(path.read_text().replace("name: test", f"name: {in_cluster.CONTEXT}"))
    assert existing.kubeconfig("", in_cluster.CONTEXT, tmp_path) == path


def test_kubeconfig_with_other_contexts_does_not_hide_it(tmp_path: Path) -> None:
    kubeconfig(tmp_path, "https://127.0.0.1:1")
    assert read(existing.kubeconfig("", in_cluster.CONTEXT, tmp_path), in_cluster.CONTEXT).user["tokenFile"]
    assert existing.kubeconfig("", "test", tmp_path) == tmp_path / "kubeconfig"


def test_kubeconfig_of_the_option_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file") as caught:
        existing.kubeconfig(str(tmp_path / "none"), in_cluster.CONTEXT, tmp_path)
    assert caught.value.code == ExitCode.KUBECONFIG


def test_other_context_without_a_kubeconfig_names_it(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"No such file.*--context=in-cluster uses the ServiceAccount of this Pod"):
        existing.kubeconfig("", "prod", tmp_path)


@pytest.mark.parametrize("lacking", [in_cluster.HOST, in_cluster.PORT, "token"])
def test_what_a_pod_lacks_is_named(tmp_path: Path, pod: Path, lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking == "token":
        (pod / "token").unlink()
    else:
        monkeypatch.delenv(lacking)
    with pytest.raises(SetupError, match=f"--context=in-cluster: there is no kubeconfig, and no Pod .*{lacking}") as caught:
        existing.kubeconfig("", in_cluster.CONTEXT, tmp_path)
    assert (caught.value.code, "\n" in str(caught.value)) == (ExitCode.KUBECONFIG, False)
    with pytest.raises(SetupError, match="No such file") as caught:
        existing.kubeconfig("", "prod", tmp_path)
    assert "in-cluster" not in str(caught.value)
    kubeconfig(tmp_path, "https://127.0.0.1:1")
    with pytest.raises(SetupError, match="whose contexts are test"):
        existing.kubeconfig("", in_cluster.CONTEXT, tmp_path)
