"""Whole runs in one namespace, of a user who has no right outside of it, on an API server on loopback."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.cleanup import run_locks
from kubechain.cleanup.marked_objects import RUN, SECRET
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.core.run import RUN_LABEL
from kubechain.kube.objects import Json
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.records import CLAIMS
from tests.hostile.records_terrain import TERRAIN
from tests.one_namespace import (
    FOREIGN,
    SHOP,
    TEAM,
    claims,
    marked,
    outside,
    pods_of,
    prepare,
    run,
    start,
    store,
    there,
)  # fmt: skip

pytestmark = pytest.mark.whole_runs


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, with_token(tmp_path), prepare) as made:
        yield made


# Claims on the chain that all share, claims with a chain of their own (of which some share theirs), and claims that need two.
SHARING = ("CHAIN-DEPLOYMENT-010", "CHAIN-ENDPOINTS-010", "LIFE-DELETION-050")
OWNING = (
    "CHAIN-DEPLOYMENT-100", "CHAIN-ENDPOINTS-080", "CHAIN-DELETION-010", "CHAIN-DELETION-020", "CHAIN-DELETION-070",
    "LIFE-HEALING-020",
)  # fmt: skip
SAME_CHAIN = 1
# What a run has made when it has begun.
MADE = {"Deployment web", "Service web", "Pod client", f"ConfigMap {RUN}"}
ALONE = ("CHAIN-REPLICASET-090", "CHAIN-ENV-030", "LIFE-DELETION-060")


def test_every_link_of_the_chain_is_judged_in_one_namespace_and_nothing_of_others_is_touched(
    server: Cluster, tmp_path: Path
) -> None:
    shop = pods_of(server, SHOP)
    code, output = run(server, tmp_path, "--no-html", *TERRAIN[2:])
    assert code == ExitCode.HOLDS, output
    found = claims(tmp_path)
    passed = {each["link"] for each in found.values() if each["outcome"] == "passed"}
    core = list(Link)[list(Link).index(Link.DEPLOYMENT) : list(Link).index(Link.DELETION) + 1]
    assert {str(link) for link in core} - passed <= {"NODEPORT", "SCALE", "ROLLOUT", "HEALING", "NODES"}, output
    reasons = {name: each["message"] for name, each in found.items() if each["outcome"] == "skipped"}
    assert reasons["CHAIN-DNS-140"] == "needs a namespace of its own (--namespace NAME)"
    assert reasons["CHAIN-DNS-170"].startswith("needs the rights to list endpointslices in all namespaces, list ")
    assert reasons["CHAIN-NODEPORT-010"].startswith("needs the right to list nodes")
    assert outside(server) == []
    assert marked(server) == []
    assert there(server) == FOREIGN
    assert pods_of(server, SHOP) >= shop != set()


def started(server: Cluster, folder: Path) -> subprocess.Popen[str]:
    """Start a run, and return when its chain is made."""
    process = start(server, folder, "--no-html", "--only", CLAIMS)
    deadline = time.monotonic() + 60
    with server.store.changed:
        while not (len(pods_of(server, "web")) == 2 and set(marked(server)) >= MADE) and time.monotonic() < deadline:
            server.store.changed.wait(1)
    return process


def test_run_that_a_signal_ends_leaves_nothing_in_the_namespace(server: Cluster, tmp_path: Path) -> None:
    process = started(server, tmp_path)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=100)[0]
    assert process.returncode == ExitCode.INTERRUPTED, output
    assert (marked(server), there(server)) == ([], FOREIGN)


def test_clean_without_the_namespace_says_which_command_cleans_it(server: Cluster, tmp_path: Path) -> None:
    run_locks.mark_visited(tmp_path / "cache", "kubechain-0badcafe", CONTEXT, "u-1", TEAM)
    argv = [sys.executable, "-m", "kubechain", "clean", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert f"clean up: kubechain clean --context {CONTEXT} --namespace {TEAM}" in done.stdout
    assert server.api.requests == []


@pytest.mark.parametrize("then", ["clean", full("run")])
def test_what_a_killed_run_left_is_removed_and_nothing_else(server: Cluster, tmp_path: Path, then: str) -> None:
    shop = pods_of(server, SHOP)
    process = started(server, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert set(marked(server)) >= MADE
    words = ["--no-html", "--only", "CHAIN-PODS-010"] if then == "run" else []
    code, output = run(server, tmp_path, *words, name=then)
    assert code == ExitCode.HOLDS, output
    assert "removing the objects of the run" in output
    assert (marked(server), there(server)) == ([], FOREIGN)
    assert pods_of(server, SHOP) >= shop != set()
    assert outside(server) == []
    code, output = run(server, tmp_path, name="clean")
    assert "nothing to clean" in output


@pytest.mark.hostile
def test_chain_is_broken_at_deletion_without_a_garbage_collector_and_nothing_is_left(server: Cluster, tmp_path: Path) -> None:
    server.off.add("garbage collector")
    code, output = run(server, tmp_path, "--no-html", "--patience", "0.6", "--only", CLAIMS)
    assert code == ExitCode.CHAIN_BROKEN, output
    assert "chain broken at DELETION: " in output, output
    assert there(server) == FOREIGN


def test_chains_of_claims_come_after_the_one_that_all_share_one_at_a_time(server: Cluster, tmp_path: Path) -> None:
    code, output = run(server, tmp_path, "--no-html", "--only", ",".join([*SHARING, *OWNING, *ALONE]))
    assert code == ExitCode.HOLDS, output
    outcomes = {name: each["outcome"] for name, each in claims(tmp_path).items()}
    passed, skipped = dict.fromkeys([*SHARING, *OWNING], "passed"), dict.fromkeys(ALONE, "skipped")
    assert outcomes == {**passed, **skipped}, output
    made = [
        each.method
        for each in server.api.requests
        if each.method == "POST" and each.path.endswith("/deployments") and not each.query
    ]
    assert len(made) == 1 + len(OWNING) - SAME_CHAIN
    assert outside(server) == []
    assert (marked(server), there(server)) == ([], FOREIGN)


def test_traffic_is_allowed_for_its_own_pods_alone_and_its_secret_is_removed(server: Cluster, tmp_path: Path) -> None:
    spec: Json = {"podSelector": {}, "policyTypes": ["Ingress"]}
    deny: Json = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}, "spec": spec}
    store(server, deny)
    secret = tmp_path / "config.json"
    secret.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}}}))
    images = ["--nginx-image", "n", "--client-image", "c", "--pull-secret", str(secret)]
    code, output = run(server, tmp_path, "--no-html", "--only", "CHAIN-PODS-010", *images)
    assert code == ExitCode.HOLDS, output
    made = [each.body for each in server.api.requests if each.method == "POST" and "dryRun" not in each.query]
    (allow,) = [body for body in made if body["kind"] == "NetworkPolicy"]
    assert set(allow["spec"]["podSelector"]["matchLabels"]) == {RUN_LABEL}
    assert [body["metadata"]["name"] for body in made if body["kind"] == "Secret"] == [SECRET]
    assert (marked(server), there(server)) == ([], {*FOREIGN, ("NetworkPolicy", "deny")})
