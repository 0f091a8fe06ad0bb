"""The proxy before an API server passes on requests, answers and watches, and refuses the requests whose turn it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import requests
import yaml

from kubechain.core.bundle import ROOT
from kubechain.kube.client import Api
from tests.conftest import NEEDS_KUBECTL
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.furniture import SYSTEM
from tests.soak import refusing, way
from tests.terrains.runner import environment


@pytest.fixture
def server(tmp_path: Path) -> Generator[Cluster]:
    with cluster(tmp_path, plain()) as found:
        yield found


@pytest.mark.parametrize("name", way.NAMES)
def test_every_way_leads_to_the_cluster(tmp_path: Path, server: Cluster, name: str) -> None:
    with way.to(server.kubeconfig, CONTEXT, name, tmp_path) as (kubeconfig, _):
        api = Api(kubeconfig, CONTEXT, tmp_path / "secrets")
        assert {space.name for space in api.list("Namespace").items} >= set(SYSTEM)


@pytest.mark.parametrize(("name", "status", "retry"), [("throttled", 429, "1"), ("unavailable", 503, None)])
def test_every_so_many_th_request_is_refused(tmp_path: Path, server: Cluster, name: str, status: int, retry: str | None) -> None:
    every = refusing.modes()[name].every
    with way.to(server.kubeconfig, CONTEXT, name, tmp_path) as (kubeconfig, met):
        url = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        answers = [asked(f"{url}/version") for _ in range(2 * every)]
    assert [number for number, (code, _) in enumerate(answers, 1) if code == status] == [every, 2 * every]
    assert {wait for code, wait in answers if code == status} == {retry}
    assert met() == 2


def asked(url: str) -> tuple[int, str | None]:
    """Return the status and the value of Retry-After."""
    response = requests.get(url, timeout=10)
    return response.status_code, response.headers.get("Retry-After")


@NEEDS_KUBECTL
def test_kubectl_proxy_holds_behind_a_path(tmp_path: Path, server: Cluster) -> None:
    with way.to(server.kubeconfig, CONTEXT, "prefixed", tmp_path) as (kubeconfig, _):
        words = ["run", "--context", CONTEXT, "--kubeconfig", str(kubeconfig), "--only", "CHAIN-API-030", "--no-html"]
        command = [sys.executable, "-m", "kubechain", *words, "--out", str(tmp_path / "out")]
        done = subprocess.run(command, cwd=ROOT, env=environment(), check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1].startswith("chain holds: 1 claim"), done.stdout
