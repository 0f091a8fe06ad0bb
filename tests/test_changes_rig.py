"""What the rig of changes makes of a run, and that the scripts of its records are whole."""

import subprocess
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.core.errors import ExitCode
from tests.changes.judging import table, tried
from tests.changes.records import CHANGES, Change, script_of
from tests.fakes import record
from tests.finished_runs import run as finished

LINE = "change `sh x.sh`: chain holds"
GO, NO_GO = Change("a", "a", "true", go=True), Change("b", "b", "true", go=False, suffers=("DURING-DNS-010",))
NODES = ["c-control-plane", "c-worker", "c-worker2"]


def run(failed: str = "", message: str = "expected x, got y", **over: object) -> RunRecord:
    claims = [record(Link.DNS, "failed", id=failed, message=message)] if failed else [record(Link.DNS, "passed", id="X-DNS-1")]
    return finished(1, *claims).model_copy(update=over)


@pytest.mark.parametrize(
    ("change", "result", "line", "problem"),
    [
        (GO, run(), LINE, ""),
        (GO, run("DURING-DNS-010"), LINE, "said no-go"),
        (GO, run(exit_code=ExitCode.HARNESS), LINE, "said undecided"),
        (NO_GO, run("DURING-DNS-010"), LINE, ""),
        (NO_GO, run(), LINE, "said go"),
        (NO_GO, run("DURING-API-010"), LINE, "none of DURING-DNS-010 failed, but DURING-API-010"),
        (Change("c", "c", "true", go=None, suffers=("DURING-DNS-010",)), run(), LINE, ""),
        (GO, run(), "upgrade 1.36.3 -> 1.37.2: chain holds", "not called a change"),
        (NO_GO, run("DURING-DNS-010", "as before the upgrade"), LINE, "DURING-DNS-010 says upgrade"),
    ],
)
def test_change_is_judged_by_what_must_be_said_of_it(change: Change, result: RunRecord, line: str, problem: str) -> None:
    found = tried(change, result, line)
    assert bool(found.problems) == bool(problem)
    assert problem in " ".join(found.problems)
    assert f"- {change.id}: {line}" in table([found])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_scripts_run_their_commands_on_nodes_and_on_the_control_plane(tmp_path: Path, change: Change) -> None:
    docker, log = tmp_path / "docker", tmp_path / "log"
    answer = 'case "$*" in *"get daemonset"*) echo daemonset.apps/kube-proxy; echo daemonset.apps/routes;; esac'
    docker.write_text(f'#!/bin/sh\necho "$*" >> {log}\n{answer}\n')
    docker.chmod(0o755)
    log.touch()
    for script in filter(None, (change.script, change.undo)):
        quick = script.replace("sleep 60", "true").replace("sleep 10", "true").replace("sleep 5", "true")
        subprocess.run(["sh", "-c", script_of(quick, str(docker), NODES)], check=True, timeout=60, capture_output=True)
    lines = log.read_text().splitlines()
    assert all(line.startswith(tuple(f"exec -i {node} " for node in NODES)) for line in lines)
    assert bool(lines) == (change.id != "nothing")
    if change.id == "cni-restarted":
        assert any("rollout restart daemonset.apps/routes" in line for line in lines)
        assert not any("kube-proxy" in line for line in lines)
    if change.id == "containerd-restarted":
        assert [line.split()[2] for line in lines] == NODES
