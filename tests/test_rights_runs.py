"""Whole runs of a user who lacks a right, on a cluster that exists: an API server on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.cluster.access import REVIEWS
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests.hostile.access import CONTEXT, plain
from tests.hostile.acts import failing, on, rule
from tests.hostile.cluster import Cluster, cluster

pytestmark = pytest.mark.whole_runs

# Claim -> the right that its user lacks.
LACKING = {
    "CHAIN-API-010": "get services/proxy",
    "CHAIN-API-020": "get pods/proxy",
    "CHAIN-API-040": "create pods/portforward",
    "CHAIN-DNS-010": "get pods/exec",
    "CHAIN-DELETION-050": "list nodes",
    "CHAIN-NODEPORT-040": "list nodes",
    "CHAIN-PODS-120": "watch events",
    "CHAIN-PODS-160": "get serviceaccounts",
    "LIFE-HEALING-030": "create poddisruptionbudgets",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, plain()) as found:
        yield found


def deny(server: Cluster, *rights: str) -> None:
    """Take rights, such as "get pods/proxy", from every user of the cluster."""
    server.api.allows = lambda _user, verb, resource: f"{verb} {resource}" not in rights


def run(server: Cluster, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    options = [
        "--context",
        CONTEXT,
        "--kubeconfig",
        str(server.kubeconfig),
        "--no-html",
        "--out",
        str(folder / "out"),
    ]
    images = ["--nginx-image", "n", "--client-image", "c", "--cache", str(folder / "cache")]
    command = [sys.executable, "-m", "kubechain", "run", *options, *images, *words]
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=60, check=False)


def changes(server: Cluster) -> list[str]:
    """Return the requests that change something, without access reviews."""
    return [each.path for each in server.api.requests if each.method != "GET" and REVIEWS not in each.path]


def test_claims_without_their_rights_are_skipped_with_the_reason_before_anything_is_made(server: Cluster, tmp_path: Path) -> None:
    deny(server, *LACKING.values())
    done = run(server, tmp_path, "--only", ",".join(LACKING))
    assert done.returncode == ExitCode.NOTHING_SELECTED, done.stdout + done.stderr
    claims = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["claims"]
    assert {each["id"]: each["outcome"] for each in claims} == dict.fromkeys(LACKING, "skipped")
    reasons = {each["id"]: each["message"] for each in claims}
    assert {name: right in reasons[name] for name, right in LACKING.items()} == dict.fromkeys(LACKING, True)
    assert "needs the right to get pods/proxy" in reasons["CHAIN-API-020"]
    assert changes(server) == []


def test_run_without_a_right_of_every_claim_ends_and_names_all_in_one_line(server: Cluster, tmp_path: Path) -> None:
    deny(server, "create pods", "delete namespaces", "get pods/proxy")
    done = run(server, tmp_path, "--only", "CHAIN-PODS-010")
    assert done.returncode == ExitCode.RIGHTS, done.stdout + done.stderr
    what = (
        f"no verdict: the user of context {CONTEXT} lacks the rights to delete namespaces, create pods (core); `kubechain rights "
    )
    assert what in done.stdout
    assert changes(server) == []


def test_refused_first_request_does_not_hide_the_other_missing_rights(server: Cluster, tmp_path: Path) -> None:
    deny(server, "get namespaces", "watch services")
    rule(on("get", "Namespace"), failing(403))(server)
    done = run(server, tmp_path, "--only", "CHAIN-PODS-010")
    assert done.returncode == ExitCode.RIGHTS, done.stdout + done.stderr
    assert "lacks the rights to get namespaces, watch services (core); " in done.stdout


@pytest.mark.hostile
def test_pull_secret_needs_a_right_more(server: Cluster, tmp_path: Path) -> None:
    deny(server, "create secrets")
    secret = tmp_path / "config.json"
    secret.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}}}))
    done = run(server, tmp_path, "--only", "CHAIN-PODS-010", "--pull-secret", str(secret))
    assert done.returncode == ExitCode.RIGHTS, done.stdout + done.stderr
    assert "lacks the rights to create secrets (core); " in done.stdout
