"""Parts of a suite (--shard): together they try every claim once, and `kubechain merge` gives the verdict of the whole."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import RunRecord, SelectionRecord, ShardRecord, read_run
from kubechain.core.build_cache import key
from kubechain.core.errors import ExitCode, SetupError
from kubechain.results import merging
from tests import finished_runs
from tests.fakes import record
from tests.finished_runs import passed
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster
from tests.in_pods import CLAIMS, kubechain, run
from tests.json_schema import problems

pytestmark = pytest.mark.whole_runs

PARTS = 2


def without_endpoints(made: Cluster) -> None:
    made.off.add("EndpointSlice")


def healthy(_made: Cluster) -> None:
    pass


@pytest.mark.parametrize("make", [full(healthy), without_endpoints])
def test_parts_together_are_the_whole(tmp_path: Path, make: Callable[[Cluster], None]) -> None:
    with cluster(tmp_path, plain(), make) as made:
        whole = run(made, tmp_path, "--patience", "0.15")
        expected = read_run(tmp_path / "out" / "run.json")
        codes: list[int] = []
        for part in range(PARTS):
            folder = tmp_path / "parts" / str(part)
            words = ("--shard", f"{part}/{PARTS}", "--out", str(folder), "--result-config-map", f"kube-system/part-{part}")
            codes.append(run(made, tmp_path, "--patience", "0.15", *words).returncode)
        ended = kubechain(tmp_path, "merge", str(tmp_path / "parts"), "--out", str(tmp_path / "merged"))
        where = ("--context", CONTEXT, "--kubeconfig", str(made.kubeconfig), "--out", str(tmp_path / "fetched"))
        fetched = kubechain(tmp_path, "merge", "--result-config-map", "kube-system/part", *where)
        made.store.remove(("ConfigMap", "kube-system", "part-1"))
        lacking = kubechain(tmp_path, "merge", "--result-config-map", "kube-system/part", *where)
    content = json.loads((tmp_path / "merged" / "run.json").read_text())
    merged = read_run(tmp_path / "merged" / "run.json")
    assert (ended.returncode, merged.exit_code) == (whole.returncode, expected.exit_code), (codes, ended.stdout, whole.stdout)
    assert [claim.id for claim in merged.claims] == [claim.id for claim in expected.claims]
    assert sorted(claim.id for claim in merged.claims) == sorted(CLAIMS.split(","))
    assert merged.first_broken_link == expected.first_broken_link
    # A part does not know which links another part has found broken: it tries what the whole run blocks in passing.
    differing = [
        whole_claim.outcome
        for whole_claim, claim in zip(expected.claims, merged.claims, strict=True)
        if claim.outcome != whole_claim.outcome
    ]
    assert set(differing) <= {Outcome.BLOCKED}
    assert problems(content, "run") == []
    assert ended.stdout.splitlines()[-1] == merged.verdict
    for name in ("summary.md", "junit.xml", "metrics.txt", "chain.html"):
        assert (tmp_path / "merged" / name).stat().st_size
    assert (tmp_path / "merged" / "evidence").is_dir() == (make is without_endpoints)
    assert not list((tmp_path / "merged").glob(".runs/*"))
    assert (fetched.returncode, fetched.stdout) == (ended.returncode, ended.stdout), fetched.stderr
    assert (lacking.returncode, "ConfigMap kube-system/part-1 does not exist" in lacking.stderr) == (ExitCode.USAGE, True)


def part(number: int, *claims: Any, parts: int = 2, suite: str | None = None, day: int = 0, **over: Any) -> RunRecord:
    """Return the result of a part of the suite with these ids, by default those of PODS and DNS."""
    made = finished_runs.run(10 * day + number, *claims)
    over.setdefault("started", MADE + timedelta(minutes=10 * day + number))
    ids = over.pop("ids", (DNS.id, PODS.id))
    name = key(*ids) if suite is None else suite
    shard = ShardRecord(part=number, parts=parts, suite=name, claims=over.pop("total", len(ids)), stale=over.pop("stale", []))
    return made.model_copy(update={"shard": shard, **over})


MADE = finished_runs.START + timedelta(days=1)
PODS, DNS = passed(Link.PODS, id="CHAIN-PODS-010"), passed(Link.DNS, id="CHAIN-DNS-010")
BROKEN = record(Link.PODS, "failed", "expected 2, got 1", id="CHAIN-PODS-010")


def test_part_that_was_run_again_counts_by_its_last_result() -> None:
    again = [part(0, BROKEN), part(1, DNS), part(0, PODS, day=1)]
    assert merging.merged(again).verdict == "chain holds: 2 claims in 12.5 s"
    assert merging.merged([*again, part(0, BROKEN, day=2)]).first_broken_link == Link.PODS


def test_what_the_parts_left_out_is_said_of_the_whole() -> None:
    left = [SelectionRecord(by=["-k pods"], left_out=[name], files=[]) for name in ("CHAIN-DNS-020", "CHAIN-API-010")]
    found = merging.merged([part(0, PODS, selection=left[0]), part(1, DNS, selection=left[1])])
    assert found.verdict == "chain holds: 2 claims in 12.5 s; only a part was tried (-k): 2 claims left out"
    assert found.selection == SelectionRecord(by=["-k pods"], left_out=["CHAIN-API-010", "CHAIN-DNS-020"], files=[])


def test_part_that_could_not_begin_leaves_the_verdict_open() -> None:
    lost = part(1, suite="", total=0, verdict="no verdict: API server: refused", exit_code=ExitCode.UNREACHABLE)
    found = merging.merged([part(0, PODS), lost])
    assert (found.verdict, found.exit_code) == ("no verdict: part 1 of 2: API server: refused", ExitCode.UNREACHABLE)
    assert merging.merged([part(0, BROKEN), lost]).exit_code == ExitCode.CHAIN_BROKEN


def test_lost_claims_leave_the_verdict_open() -> None:
    found = merging.merged([part(0, PODS, total=3), part(1, DNS, total=3)])
    assert (found.verdict, found.exit_code) == ("no verdict: 2 of 3 claims are in the results of the parts", ExitCode.HARNESS)


def test_claim_that_two_parts_have_does_not_stand_for_one_that_none_has() -> None:
    found = merging.merged([part(0, PODS), part(1, PODS)])
    assert (found.holds, found.exit_code) == (False, ExitCode.HARNESS)
    assert found.verdict.startswith("no verdict: the parts have some claims twice and others not at all")


def test_part_without_claims_is_no_trouble() -> None:
    empty = part(1, ids=[PODS.id], verdict="no verdict: no claim was run", exit_code=ExitCode.NOTHING_SELECTED)
    assert merging.merged([part(0, PODS, ids=[PODS.id]), empty]).holds


def test_known_issue_that_no_longer_fails_is_told() -> None:
    found = merging.merged([part(0, PODS, stale=["known issue X no longer fails: remove it"]), part(1, DNS)])
    assert (found.exit_code, found.verdict.partition(";")[0]) == (ExitCode.WAIVERS, "known issue X no longer fails: remove it")


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([part(0, PODS)], "missing: part 1"),
        ([part(0, PODS), part(1, DNS, parts=3)], "results of different divisions: 2 parts, 3 parts"),
        ([part(0, PODS), part(1, DNS, started=finished_runs.START)], "the parts began more than 2:00:00 apart"),
        ([part(0, PODS), part(1, DNS, suite="t")], "the parts are of different suites"),
        ([part(0, PODS), part(1, DNS, versions={"server": "v1.36.0"})], "the parts are of different versions of Kubernetes"),
        ([part(0, PODS), finished_runs.run(7, DNS)], "is not a part of a suite"),
    ],
)
def test_results_that_do_not_belong_together_are_refused(runs: list[RunRecord], why: str) -> None:
    with pytest.raises(SetupError, match=why) as caught:
        merging.merged(runs)
    assert caught.value.code == ExitCode.USAGE


def test_merge_leaves_what_is_there_when_it_is_refused(tmp_path: Path) -> None:
    finished_runs.write(tmp_path / "parts", part(0, PODS))
    done = kubechain(tmp_path, "merge", str(tmp_path / "parts"), "--out", str(tmp_path / "out"))
    assert (done.returncode, "missing: part 1" in done.stderr) == (ExitCode.USAGE, True), done.stderr
    shutil.rmtree(tmp_path / "parts")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
