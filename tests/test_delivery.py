"""Where the result of a run goes in a cluster: a line of JSON, the message of its container, and a ConfigMap."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.cleanup import marked_objects
from kubechain.core.errors import ExitCode
from kubechain.core.run import POD
from kubechain.results import outcome
from kubechain.workload import manifests
from tests import loopback
from tests.hostile.access import plain
from tests.hostile.acts import failing, on, rule
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.exchange import Exchange
from tests.hostile.furniture import namespace
from tests.in_pods import refused, run
from tests.json_schema import problems

pytestmark = pytest.mark.whole_runs

RESULT = ("ConfigMap", "kube-system", "kubechain-result")
WORDS = ("--json-line", "--result-config-map", "kube-system/kubechain-result", "--report-url", "https://reports.example.org/1")
ONE = "CHAIN-DEPLOYMENT-010"


def told(output: str) -> dict[str, Any]:
    """Return the line of JSON, which is the last."""
    return json.loads(output.splitlines()[-1])


def stored(made: Cluster) -> dict[str, Any]:
    return made.store.required(RESULT)


@pytest.mark.parametrize("before", ["", full("a ConfigMap")])
def test_result_is_in_all_places(tmp_path: Path, before: str) -> None:
    with cluster(tmp_path, plain()) as made:
        if before:
            made.store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": RESULT[2], "namespace": RESULT[1]}})
        done = run(made, tmp_path, *WORDS, "--verdict-file", str(tmp_path / "message"), only=ONE)
        assert done.returncode == 0, done.stdout + done.stderr
        line, config_map = told(done.stdout), stored(made)
    assert problems(line, "result") == []
    assert line["verdict"].startswith("chain holds: 1 claim in ")
    assert (line["holds"], line["exitCode"], line["counts"]["passed"], line["report"]) == (True, 0, 1, WORDS[-1])
    assert (line["cluster"], line["kubernetes"]) != ("", "")
    # One claim waits for objects: they are created, read and deleted.
    assert line["requests"] > 10
    assert (tmp_path / "message").read_text() == line["verdict"]
    assert json.loads(config_map["data"]["result.json"]) == line
    assert (config_map["data"]["verdict"], config_map["data"]["link"]) == (line["verdict"], WORDS[-1])
    assert config_map["metadata"]["labels"]["kubechain/verdict"] == "holds"


def test_broken_chain_is_told_in_all_places(tmp_path: Path) -> None:
    with cluster(tmp_path, plain(), lambda made: made.off.add("Deployment")) as made:
        done = run(made, tmp_path, *WORDS, "--patience", "0.1", only=ONE)
        config_map = stored(made)
    assert done.returncode == ExitCode.CHAIN_BROKEN, done.stdout
    assert (told(done.stdout)["firstBrokenLink"], told(done.stdout)["exitCode"]) == ("DEPLOYMENT", 1)
    assert config_map["metadata"]["labels"]["kubechain/verdict"] == "broken"


def test_run_that_cannot_begin_is_told_in_all_places(tmp_path: Path) -> None:
    with cluster(tmp_path, plain(), rule(on("list", "Namespace"), failing(403))) as made:
        done = run(made, tmp_path, *WORDS, only=ONE)
        config_map = stored(made)
    assert done.returncode not in (0, 1), done.stdout
    assert told(done.stdout)["exitCode"] == done.returncode
    assert config_map["metadata"]["labels"]["kubechain/verdict"] == "undecided"


def test_config_map_that_is_refused_changes_the_exit_code_of_a_chain_that_holds(tmp_path: Path) -> None:
    with cluster(tmp_path, plain(), rule(on("patch", "ConfigMap"), failing(403))) as made:
        done = run(made, tmp_path, *WORDS, only=ONE)
    assert done.returncode == ExitCode.CLEANUP, done.stdout
    assert "after the verdict: the ConfigMap kube-system/kubechain-result has no new result: " in done.stdout
    assert (told(done.stdout)["holds"], told(done.stdout)["exitCode"]) == (True, ExitCode.CLEANUP)


def test_verdict_file_that_cannot_be_written_changes_the_exit_code_of_a_chain_that_holds(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made:
        done = run(made, tmp_path, "--json-line", "--verdict-file", str(tmp_path / "none" / "message"), only=ONE)
    assert done.returncode == ExitCode.CLEANUP, done.stdout
    assert f"after the verdict: {tmp_path}/none/message cannot be written: No such file" in done.stdout
    assert told(done.stdout)["exitCode"] == ExitCode.CLEANUP


def test_long_verdict_is_cut_between_characters() -> None:
    assert outcome.short("chain holds") == "chain holds"
    short = outcome.short("ä" * 4096)
    assert len(short.encode()) <= outcome.MOST_BYTES
    assert short.endswith("ä ...")


def leave(made: Cluster, run: str, phase: str) -> str:
    """Leave a namespace of a run whose Pod is in this phase ("": is gone); return its name."""
    uid = "u-1"
    if phase:
        pod: dict[str, Any] = {"name": f"kubechain-{run}", "namespace": "default"}
        body: dict[str, Any] = {"metadata": pod, "spec": {"nodeName": "elsewhere", "containers": []}, "status": {"phase": phase}}
        uid = made.store.create({"apiVersion": "v1", "kind": "Pod", **body})["metadata"]["uid"]
        made.store.modify(("Pod", "default", pod["name"]), lambda each: each.update(status={"phase": phase}))
    labels = {"kubechain/run": run, "kubechain/expires": str(int(made.store.now() + 3600))}
    space = namespace(f"kubechain-{run}-main-0", **labels)
    space["metadata"]["annotations"] = {POD: f"default/kubechain-{run}/{uid}"}
    made.store.create(space)
    return space["metadata"]["name"]


def test_what_a_run_left_is_removed_once_its_pod_has_ended(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made:
        spaces = {phase: leave(made, f"0000dea{number}", phase) for number, phase in enumerate(("", "Failed", "Running"))}
        done = run(made, tmp_path, only=ONE)
        left = [each["metadata"]["name"] for each in made.store.all("Namespace")]
    assert done.returncode == 0, done.stdout
    assert [phase for phase, name in spaces.items() if name in left] == ["Running"], done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--shard", "4/4"), "--shard=4/4: expected PART/PARTS"),
        (("--shard", "x"), "--shard=x: expected PART/PARTS"),
        (("--result-config-map", "x"), "--result-config-map=x: expected NAMESPACE/NAME"),
        (("--shard", "0/2", "--disruptive"), "--shard=0/2: claims that disturb Nodes disturb the other parts"),
        (("--shard", "0/2", "--namespace", "default"), "--shard=0/2: one namespace takes one run at a time"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    kubeconfig = str(loopback.kubeconfig(tmp_path, "http://127.0.0.1:1"))
    assert line in refused("run", "--context", "test", "--kubeconfig", kubeconfig, *words)


def test_what_a_run_makes_names_its_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    assert POD not in manifests.namespace("x", {})["metadata"]["annotations"]
    monkeypatch.setenv("KUBECHAIN_POD", "kubechain/kubechain-0-x/u-1")
    for made in (manifests.namespace("x", {}), marked_objects.sign({})):
        assert made["metadata"]["annotations"][POD] == "kubechain/kubechain-0-x/u-1"


def test_run_on_another_cluster_does_not_name_its_pod(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(exchange: Exchange) -> None:
        seen.append(json.dumps(exchange.request.body))
        exchange.send(exchange.answer())

    with cluster(tmp_path, plain(), rule(on("create", "Namespace"), look)) as made:
        done = run(made, tmp_path, "--pod", "a/b/c", only=ONE)
    assert done.returncode == 0, done.stdout
    assert seen
    assert not any(POD in each for each in seen)
