"""The cluster on which roles are proved."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kubechain.core.errors import ExitCode, SetupError
from tests.rights import own_cluster
from tests.rights.account import Admin
from tests.rights.own_cluster import AUDITED, LOGS, admin_of
from tests.terrains import make as makes
from tests.terrains.make import FILES, Make


def test_own_cluster_logs_what_the_users_of_roles_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(makes, "STATE", tmp_path / "state")
    config = yaml.safe_load(makes.write(AUDITED, tmp_path).read_text())
    (mount,) = config["nodes"][0]["extraMounts"]
    patches = [each for each in map(yaml.safe_load, config["kubeadmConfigPatches"]) if "apiServer" in each]
    arguments = {each["name"]: each["value"] for each in patches[-1]["apiServer"]["extraArgs"]}
    assert mount["containerPath"] == FILES
    assert arguments["audit-log-path"] == f"{LOGS}/audit.log"
    policy = yaml.safe_load((Path(mount["hostPath"]) / Path(arguments["audit-policy-file"]).name).read_text())
    silent: list[str] = [group for rule in policy["rules"][:-1] for group in rule.get("userGroups", [])]
    assert "system:serviceaccounts" not in silent
    assert policy["rules"][-1] == {"level": "Metadata"}


def test_own_cluster_is_there_for_the_proofs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    @contextmanager
    def ground_of(make: Make, name: str, *, keep: bool) -> Generator[Any]:
        assert (make, keep) == (AUDITED, False)
        yield SimpleNamespace(kubeconfig=Path("k"), context=f"kind-{name}", nginx="n", client="i")
        events.append("removed")

    monkeypatch.setattr(own_cluster, "ground_of", ground_of)
    with admin_of("", "", "c") as (admin, images):
        assert (admin, events) == (Admin(Path("k"), "kind-c"), [])
        assert images == ["--nginx-image", "n", "--client-image", "i"]
    assert events == ["removed"]


@pytest.mark.parametrize("named", [("", "", ""), ("a", "", "b")])
def test_one_cluster_must_be_named(named: tuple[str, str, str]) -> None:
    with pytest.raises(SetupError, match=r"^rights: name CONTEXT, .* or CLUSTER") as raised, admin_of(*named):
        pass
    assert raised.value.code == ExitCode.USAGE
