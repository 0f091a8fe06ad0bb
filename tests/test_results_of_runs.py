"""Whole runs of the command against the cluster on loopback, with known issues, a history and a gate; and their comparison."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord, read_run
from kubechain.core.bundle import ROOT
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.cluster import Cluster, cluster

pytestmark = pytest.mark.whole_runs
CLAIMS = "CHAIN-DEPLOYMENT-010,CHAIN-PODS-010,CHAIN-SERVICE-010,CHAIN-ENDPOINTS-010,CHAIN-CLUSTERIP-010"
WAIVERS = "- {claim: CHAIN-ENDPOINTS-010, cluster: %s, reason: slices bug 7, owner: ann, expires: 2999-12-31}\n"
STRICT, LENIENT = "failed: 0\npassed: 5\nskips: []\n", "knownIssues: 1\npassed: 3\n"


@dataclass
class Ended:
    """A command that ended."""

    code: int
    lines: list[str]


def kubechain(*words: str) -> Ended:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
    command = [sys.executable, "-m", "kubechain", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    return Ended(done.returncode, done.stdout.strip().splitlines())


def run(folder: Path, make: Callable[[Cluster], object], waivers: str = "", gate: str = STRICT) -> Ended:
    """Run a few claims, with a history and a gate, on a cluster that is made as `make` says."""
    folder.mkdir()
    (folder / "known.yaml").write_text(waivers or "[]\n")
    (folder / "gate.yaml").write_text(gate)
    with cluster(folder, with_token(folder), make) as made:
        words = ["--context", CONTEXT, "--kubeconfig", str(made.kubeconfig), "--out", str(folder / "out")]
        words += ["--cache", str(folder / "cache"), "--no-html", "--only", CLAIMS, "--patience", "0.2"]
        words += ["--waivers", str(folder / "known.yaml"), "--gate", str(folder / "gate.yaml")]
        return kubechain("run", *words, "--history", str(folder.parent / "history"))


def without_slices(made: Cluster) -> None:
    """Let nobody make EndpointSlices."""
    made.off.add("EndpointSlice")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the history of two runs: one holds, and in one a link does not come up, which is known."""
    folder = tmp_path_factory.mktemp("results")
    green = run(folder / "green", lambda _: None)
    assert green.code == 0, green.lines
    assert green.lines[-1].startswith("gate: 5 rules kept (complete: only a part was tried (--only): "), green.lines
    assert green.lines[-2].startswith("chain holds: 5 claims in "), green.lines
    known = run(folder / "known", without_slices, WAIVERS % CONTEXT, LENIENT)
    assert known.code == 0, known.lines
    assert known.lines[-1].startswith("gate: 4 rules kept (complete: "), known.lines
    assert known.lines[-2].startswith(
        "chain holds with 1 known issue: CHAIN-ENDPOINTS-010 failed (known: slices bug 7, ann, until 2999-12-31); "
        "1 claim blocked by ENDPOINTS; else 3 claims in "
    ), known.lines
    return folder / "history"


def kept(history: Path) -> list[RunRecord]:
    return [read_run(path) for path in sorted(history.iterdir())]


def test_history_has_each_run(history: Path) -> None:
    green, known = kept(history)
    assert (green.holds, green.counts[Outcome.PASSED]) == (True, 5)
    assert (known.holds, known.counts[Outcome.FAILED], known.counts[Outcome.BLOCKED]) == (True, 1, 1)
    shown = kubechain("history", str(history))
    assert [green.run in line or known.run in line for line in shown.lines].count(True) == 2, shown.lines


def test_comparison_of_the_runs_shows_the_known_issue_and_what_it_blocks(history: Path) -> None:
    before, after = sorted(history.iterdir())
    worse = kubechain("compare", str(before), str(after))
    assert (worse.code, worse.lines[-1]) == (0, "nothing broke: 2 newly a known issue"), worse.lines
    healed = kubechain("compare", str(after), str(before))
    assert (healed.code, healed.lines[-1]) == (0, "nothing broke: 2 healed"), healed.lines


def test_gate_checks_a_finished_run_again(history: Path) -> None:
    _, known = sorted(history.iterdir())
    strict = history.parent / "green" / "gate.yaml"
    ended = kubechain("gate", str(known), "--gate", str(strict))
    assert (ended.code, len(ended.lines)) == (24, 1)
    kept_not = "gate: 2 of 5 rules not kept: failed: expected at most 0, got 1; passed: expected at least 5, got 3 (complete: "
    assert ended.lines[0].startswith(kept_not)


@pytest.mark.hostile
def test_waiver_of_another_cluster_leaves_the_chain_broken_and_the_gate_shut(tmp_path: Path) -> None:
    ended = run(tmp_path / "broken", without_slices, WAIVERS % "another", LENIENT)
    assert ended.code == 1, ended.lines
    assert ended.lines[-2].startswith("chain broken at ENDPOINTS: "), ended.lines
    assert ended.lines[-1].startswith("gate: 1 of 4 rules not kept: holds: exit code 1: chain broken at ENDPOINTS"), ended.lines


@pytest.mark.hostile
def test_unknown_claim_in_the_waivers_is_one_line(tmp_path: Path) -> None:
    ended = run(tmp_path / "unknown", lambda _: None, WAIVERS.replace("ENDPOINTS-010", "ENDPOINTS-999") % CONTEXT)
    assert ended.code == 4, ended.lines
    (line,) = [line for line in ended.lines if "no such claim" in line]
    assert line.endswith("known.yaml, line 1: no such claim: CHAIN-ENDPOINTS-999; `kubechain list` shows all")
