"""What goes wrong around runs in a cluster: no rights, an account that is deleted, two runs at once, a Pod that is evicted.

Each ends with a clear line, never with a wrong verdict, and what it leaves is removed by the next run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.core.run import EXPIRES_LABEL, POD, RUN_LABEL
from kubechain.kube import in_cluster
from kubechain.kube.objects import Json
from tests.hostile.access import CONTEXT, plain
from tests.hostile.acts import any_request, failing, rule
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.exchange import Request
from tests.hostile.furniture import namespace
from tests.in_pods import run

pytestmark = pytest.mark.whole_runs

CONFIG_MAP = ("--json-line", "--result-config-map", "kube-system/kubechain-result")
# Each of them waits for Pods, in whatever part it is.
FEW = "CHAIN-PODS-010,CHAIN-PODS-020,CHAIN-PODS-030,CHAIN-ENDPOINTS-010"
NAMESPACE = "kubechain-"


def left(made: Cluster) -> list[str]:
    names = (each["metadata"]["name"] for each in made.store.all("Namespace"))
    return [name for name in names if name.startswith(NAMESPACE)]


@pytest.mark.hostile
def test_account_without_rights_gets_one_line_that_names_them(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made:
        made.api.allows = lambda _user, _verb, _resource: False
        done = run(made, tmp_path, *CONFIG_MAP, only=FEW)
        assert (done.returncode, left(made)) == (ExitCode.RIGHTS, []), done.stdout
    lines = done.stdout.splitlines()
    assert any(line.startswith("no verdict: ") and "create deployments" in line for line in lines), done.stdout
    assert json.loads(lines[-1])["exitCode"] == ExitCode.RIGHTS


def test_account_that_is_deleted_during_a_run_is_no_broken_chain(tmp_path: Path) -> None:
    def once_the_chain_is_there(request: Request) -> bool:
        return any(each["metadata"]["namespace"].startswith(NAMESPACE) for each in made.store.all("Pod")) and any_request(request)

    with cluster(tmp_path, plain()) as made:
        rule(once_the_chain_is_there, failing(401))(made)
        done = run(made, tmp_path, *CONFIG_MAP, only=FEW)
        line = json.loads(done.stdout.splitlines()[-1])
        assert line["exitCode"] in (ExitCode.HARNESS, ExitCode.RIGHTS), done.stdout
        assert (line["firstBrokenLink"], line["verdict"].startswith("no verdict: ")) == (None, True)
        assert "after the verdict: " in done.stdout
        # With the account again, the next run on this machine removes what is left.
        made.api.rules.clear()
        assert left(made) != []
        assert run(made, tmp_path, only=FEW).returncode == 0
        assert left(made) == []


def test_two_runs_at_once_both_hold_and_leave_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made, ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(run, made, tmp_path / name, only=FEW) for name in ("a", "b")]
        done = [each.result() for each in begun]
        assert ([each.returncode for each in done], left(made)) == ([0, 0], []), [each.stdout for each in done]


def begun(folder: Path, kubeconfig: Path, *words: str) -> subprocess.Popen[str]:
    """Begin a run of FEW claims with its files in a folder of its own, as on a Node of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
    kept |= {"KUBECHAIN_OUT": str(folder / "out"), "KUBECHAIN_CACHE": str(folder / "cache")}
    argv = [sys.executable, "-m", "kubechain", "run", "--no-html", "--only", FEW, "--kubeconfig", str(kubeconfig), *words]
    return subprocess.Popen(argv, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def await_chain(made: Cluster) -> None:
    """Wait until a run has made a Deployment."""
    for _ in range(600):
        if made.store.all("Deployment"):
            return
        made.api.closed.wait(0.1)
    raise AssertionError("no Deployment")


def in_pod(made: Cluster, name: str) -> tuple[str, ...]:
    """Create a Pod of a Job that runs; return the options of a run in it."""
    body: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}}
    body["spec"] = {"nodeName": "elsewhere", "containers": []}
    uid = made.store.create(body)["metadata"]["uid"]
    made.store.modify(("Pod", "default", name), lambda each: each.update(status={"phase": "Running"}))
    return ("--context", in_cluster.CONTEXT, "--pod", f"default/{name}/{uid}")


def as_in_cluster(made: Cluster, folder: Path) -> Path:
    """Return a kubeconfig whose context has the name of the ServiceAccount of a Pod."""
    path = folder / "in-cluster"
    path.write_text(made.kubeconfig.read_text().replace(f"name: {CONTEXT}", f"name: {in_cluster.CONTEXT}"))
    return path


def test_retry_of_an_evicted_part_removes_what_its_first_try_left_and_nothing_of_other_parts(tmp_path: Path) -> None:
    with cluster(tmp_path, plain(), lambda made: made.off.add("ReplicaSet")) as made:
        kubeconfig = as_in_cluster(made, tmp_path)
        first, other, retry = (in_pod(made, name) for name in ("kubechain-0-a", "kubechain-1-a", "kubechain-0-b"))
        with begun(tmp_path / "first", kubeconfig, "--shard", "0/2", *first) as process:
            await_chain(made)
            # The kubelet of a Node that is lost ends nothing in order.
            process.kill()
        lost = left(made)
        made.off.clear()
        labels = {RUN_LABEL: "00000002", EXPIRES_LABEL: str(int(made.store.now() + 3600))}
        living = namespace("kubechain-00000002-main-0", **labels)
        living["metadata"]["annotations"] = {POD: other[-1]}
        made.store.create(living)
        made.store.modify(("Pod", "default", "kubechain-0-a"), lambda each: each.update(status={"phase": "Failed"}))
        with begun(tmp_path / "retry", kubeconfig, "--shard", "0/2", *retry) as process:
            output = process.communicate(timeout=240)[0]
        assert (process.returncode, lost != [], left(made)) == (0, True, ["kubechain-00000002-main-0"]), output


@pytest.mark.hostile
def test_run_whose_pod_is_evicted_removes_what_it_made(tmp_path: Path) -> None:
    with cluster(tmp_path, plain(), lambda made: made.off.add("ReplicaSet")) as made:
        with begun(tmp_path, made.kubeconfig, "--json-line", "--context", CONTEXT) as process:
            await_chain(made)
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=120)[0]
        assert (process.returncode, left(made)) == (ExitCode.INTERRUPTED, []), output
    assert json.loads(output.splitlines()[-1])["firstBrokenLink"] is None
