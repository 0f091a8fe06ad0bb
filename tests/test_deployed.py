"""The Jobs of deploy/ as processes, each with what its manifest gives its Pod and no other right: the result in all places."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubechain.core.errors import ExitCode
from tests.deployed import Deployed, expanded
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster
from tests.in_pods import kubechain
from tests.json_schema import problems
from tests.test_deploy import of_kubectl
from tests.test_trouble_in_pods import FEW, await_chain, left

pytestmark = pytest.mark.whole_runs

FAST = {"KUBECHAIN_ONLY": FEW, "KUBECHAIN_PATIENCE": "0.1"}
MOST_SECONDS = 300


def healthy(_made: Cluster) -> None:
    pass


@contextmanager
def deployed(folder: Path, variant: str, prepare: Callable[[Cluster], object]) -> Generator[Deployed]:
    """Apply a folder of deploy/ to a cluster on loopback."""
    with cluster(folder, with_token(folder), prepare) as made:
        found = Deployed(made, of_kubectl(variant), folder)
        found.apply()
        yield found


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Wait for the end of a process; return its exit code and the line of JSON, which is the last of its log."""
    output = process.communicate(timeout=MOST_SECONDS)[0]
    return process.returncode, json.loads(output.splitlines()[-1])


def result(found: Deployed, name: str = "kubechain-result") -> dict[str, Any]:
    """Return the ConfigMap of the result."""
    return found.made.store.required(("ConfigMap", found.space, name))


def without_endpoints(made: Cluster) -> None:
    made.off.add("EndpointSlice")


@pytest.mark.parametrize(
    ("variant", "make", "code", "link"),
    [
        ("", without_endpoints, ExitCode.CHAIN_BROKEN, "ENDPOINTS"),
        full("", healthy, 0, None),
        ("namespace", healthy, 0, None),
    ],
)
def test_result_of_the_job_is_where_its_manifest_says(
    tmp_path: Path, variant: str, make: Any, code: int, link: str | None
) -> None:
    with deployed(tmp_path, variant, make) as found:
        returned, line = ended(found.begin("kubechain-0-a", FAST))
        assert (returned, left(found.made)) == (code, []), line
        config_map = result(found)
    assert problems(line, "result") == []
    assert (line["exitCode"], line["firstBrokenLink"], line["counts"]["inconclusive"]) == (code, link, 0), line
    assert json.loads(config_map["data"]["result.json"]) == line
    assert (tmp_path / "kubechain-0-a" / "message").read_text() == line["verdict"] == config_map["data"]["verdict"]
    names = {path.name for path in (tmp_path / "kubechain-0-a" / "results" / "out").iterdir()}
    assert {"run.json", "chain.html", "junit.xml", "metrics.txt", "summary.md"} <= names


# The verdict is that of the whole, in the test above.
@pytest.mark.parametrize(
    ("make", "code", "link"), [full(healthy, 0, None), (without_endpoints, ExitCode.CHAIN_BROKEN, "ENDPOINTS")]
)
def test_parts_of_the_sharded_job_are_merged_to_the_verdict_of_the_whole(
    tmp_path: Path, make: Any, code: int, link: str | None
) -> None:
    with deployed(tmp_path, "sharded", make) as sharded:
        parts = sharded.of_kind("Job")["spec"]["completions"]
        begun = [sharded.begin(f"kubechain-{index}-b", FAST, index) for index in range(parts)]
        codes = [ended(process)[0] for process in begun]
        assert len({result(sharded, f"kubechain-result-{index}")["metadata"]["uid"] for index in range(parts)}) == parts
        where = ("--context", CONTEXT, "--kubeconfig", str(sharded.made.kubeconfig), "--out", str(tmp_path / "merged"))
        done = kubechain(tmp_path, "merge", "--result-config-map", f"{sharded.space}/kubechain-result", *where)
        assert left(sharded.made) == []
    merged = json.loads((tmp_path / "merged" / "run.json").read_text())
    assert (done.returncode, merged["firstBrokenLink"]) == (code, link), (codes, done.stdout + done.stderr)
    assert sorted(claim["id"] for claim in merged["claims"]) == sorted(FEW.split(","))


def test_evicted_pod_tells_that_there_is_no_verdict_and_leaves_nothing(tmp_path: Path) -> None:
    with deployed(tmp_path, "", lambda made: made.off.add("ReplicaSet")) as found:
        # So patient that no claim ends before the eviction.
        process = found.begin("kubechain-0-a", {"KUBECHAIN_ONLY": FEW, "KUBECHAIN_PATIENCE": "20"})
        await_chain(found.made)
        process.send_signal(signal.SIGTERM)
        code, line = ended(process)
        assert (code, left(found.made)) == (ExitCode.INTERRUPTED, []), line
        labels = result(found)["metadata"]["labels"]
    assert (labels["kubechain/verdict"], line["firstBrokenLink"]) == ("undecided", None)
    assert (tmp_path / "kubechain-0-a" / "message").read_text() == line["verdict"]


def test_right_that_the_role_lacks_is_named(tmp_path: Path) -> None:
    objects = deepcopy(of_kubectl(""))
    (role,) = [each for each in objects if each["kind"] == "ClusterRole"]
    role["rules"] = [rule for rule in role["rules"] if rule["resources"] != ["deployments"]]
    with cluster(tmp_path, with_token(tmp_path)) as made:
        found = Deployed(made, objects, tmp_path)
        found.apply()
        code, line = ended(found.begin("kubechain-0-a", FAST))
    assert (code, "create deployments" in line["verdict"]) == (ExitCode.RIGHTS, True), line


def test_variable_that_is_not_known_stays() -> None:
    assert expanded("$(A)/$(B)-$C", {"A": "x"}) == "x/$(B)-$C"
