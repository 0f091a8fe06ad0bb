"""A fleet: made-up histories of forty clusters on one page, and runs on clusters of which one is broken and one is not there."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClusterRecord, KnownIssue, RunRecord, ShardRecord
from kubechain.cli.fleet import place_of
from kubechain.core.errors import ExitCode
from kubechain.results import fleet, rules
from kubechain.results.rules import Gate
from reports import fleet_page
from tests import finished_runs
from tests.fakes import record
from tests.finished_runs import passed
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import cluster
from tests.in_pods import kubechain, refused
from tests.json_schema import problems
from tests.loopback import free_port

pytestmark = pytest.mark.whole_runs

MADE = datetime(2027, 1, 1, tzinfo=UTC)
PODS, DNS = passed(Link.PODS, id="CHAIN-PODS-010"), passed(Link.DNS, id="CHAIN-DNS-010")
NO_DNS = record(Link.DNS, "failed", "expected web, got <script>", id="CHAIN-DNS-010")
UNKNOWN = record(Link.DNS, "inconclusive", "API server: 503", id="CHAIN-DNS-010")
KNOWN = record(Link.DNS, "failed", "x", id="CHAIN-DNS-010").model_copy(
    update={"known": KnownIssue(reason="bug 1", owner="ann", expires=MADE.date())}
)


def on(number: int, day: int, *claims: Any, context: str = "", **over: Any) -> RunRecord:
    made = finished_runs.run(100 * day + number, *claims)
    where = ClusterRecord(name="c", context=context or f"cluster-{number:02}", uid=f"u-{number}", owned=False)
    return made.model_copy(update={"cluster": where, **over})


def forty() -> list[RunRecord]:
    """Three runs of each of forty clusters: number 7 is broken at last, 8 has no verdict, 9 a known issue, 10 was broken once."""
    runs: list[RunRecord] = []
    for number in range(40):
        last = {7: NO_DNS, 8: UNKNOWN, 9: KNOWN}.get(number, DNS)
        runs += [on(number, 0, PODS, NO_DNS if number == 10 else DNS), on(number, 1, PODS, DNS), on(number, 2, PODS, last)]
    return runs


def made_of(runs: list[RunRecord], gate: Gate | None = None) -> fleet.FleetRecord:
    return fleet.record(fleet.rows(runs, gate, last=20), MADE)


def test_forty_clusters_are_rows_of_which_those_that_need_a_person_come_first() -> None:
    found = made_of(forty())
    assert (
        found.line == "fleet: the chain holds on 38 of 40 clusters; 1 broken: cluster-07 at DNS; 1 without a verdict: cluster-08"
    )
    assert found.exit_code == ExitCode.CHAIN_BROKEN
    assert [row.name for row in found.clusters[:3]] == ["cluster-07", "cluster-08", "cluster-00"]
    rows = {row.name: row for row in found.clusters}
    assert (rows["cluster-07"].trend, rows["cluster-10"].trend) == (["holds", "holds", "broken"], ["broken", "holds", "holds"])
    assert rows["cluster-07"].links == {Link.PODS: "holds", Link.DNS: "broken"}
    assert rows["cluster-08"].links[Link.DNS] == "undecided"
    assert (rows["cluster-09"].links[Link.DNS], rows["cluster-09"].known_issues) == (
        "known",
        ["CHAIN-DNS-010 failed (known: bug 1, ann, until 2027-01-01)"],
    )
    assert problems(found.as_json(), "fleet") == []


def test_page_has_a_row_for_each_cluster_and_the_chain_as_columns() -> None:
    page = fleet_page.page(made_of(forty()))
    assert page.count("<tr>") == 41
    assert re.findall(r'<article class="card" aria-label="([^"]+)">', page) == ["cluster-07", "cluster-08"]
    assert re.findall(r'<th scope="col">([A-Z]+)</th>', page) == ["PODS", "DNS"]
    assert "expected web, got &lt;script&gt;" in page
    assert page.count('class="unknown">known issue: ') == 1
    assert not re.search(r"<script|src=|url\(|http-equiv=.refresh", page)


def test_gate_decides_where_every_chain_holds(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("knownIssues: 0\n")
    gate = rules.read(tmp_path / "gate.yaml")
    runs = [run for run in forty() if run.cluster.context not in ("cluster-07", "cluster-08")]
    assert made_of(runs).exit_code == ExitCode.HOLDS
    found = made_of(runs, gate)
    assert (found.exit_code, found.clusters[0].name) == (ExitCode.GATE, "cluster-09")
    assert found.line.endswith("; 1 not within the gate: cluster-09")


def test_chain_with_a_waiver_to_remove_holds_and_needs_a_person() -> None:
    found = made_of([on(1, 0, PODS), on(2, 0, PODS, holds=False, exit_code=ExitCode.WAIVERS)])
    assert found.line == "fleet: the chain holds on 2 of 2 clusters; 1 with a waiver to remove: cluster-02"
    assert (found.exit_code, found.clusters[0].name) == (ExitCode.WAIVERS, "cluster-02")


def test_cluster_without_a_verdict_is_never_called_broken() -> None:
    found = made_of([run for run in forty() if run.cluster.context != "cluster-07"])
    assert found.exit_code == ExitCode.HARNESS


def test_part_of_a_suite_does_not_stand_for_its_cluster() -> None:
    part = ShardRecord(part=0, parts=2, suite="s", claims=2, stale=[])
    parts = [on(1, 3, PODS, shard=part), on(2, 3, PODS, shard=part)]
    found = made_of([on(1, 0, PODS, NO_DNS), on(3, 0, PODS, DNS), *parts])
    assert {row.name: row.state for row in found.clusters} == {
        "cluster-01": "broken",
        "cluster-02": "undecided",
        "cluster-03": "holds",
    }
    assert found.clusters[1].verdict == "no verdict: parts of a suite alone: join them with `kubechain merge`"


def test_clusters_of_one_name_are_two_and_a_run_that_could_not_begin_belongs_to_its_context() -> None:
    lost = on(1, 3, context="prod", exit_code=ExitCode.UNREACHABLE, verdict="no verdict: API server: refused")
    lost = lost.model_copy(update={"cluster": ClusterRecord(context="prod")})
    assert list(fleet.by_cluster([on(1, 0, PODS, context="prod"), lost])) == ["prod"]
    assert list(fleet.by_cluster([on(1, 0, PODS, context="prod"), on(2, 0, PODS, context="prod")])) == [
        "prod (u-1)",
        "prod (u-2)",
    ]


def test_folder_of_results_is_shown_and_nothing_is_run(tmp_path: Path) -> None:
    finished_runs.write(tmp_path / "runs", *forty())
    done = kubechain(tmp_path, "fleet", str(tmp_path / "runs"))
    assert done.returncode == ExitCode.CHAIN_BROKEN, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("fleet: the chain holds on 38 of 40 clusters")
    content = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert (len(content["clusters"]), problems(content, "fleet")) == (40, [])


def test_runs_on_three_clusters_of_which_one_is_broken_and_one_is_not_there(tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    with cluster(tmp_path / "whole", plain()) as whole, cluster(tmp_path / "broken", plain(), _no_deployments) as broken:
        nobody = tmp_path / "nobody"
        nobody.write_text(whole.kubeconfig.read_text().replace(str(whole.port), str(free_port())))
        entries = [
            {"context": CONTEXT, "name": name, "kubeconfig": str(path)}
            for name, path in (("whole", whole.kubeconfig), ("broken", broken.kubeconfig), ("gone away", nobody))
        ]
        (tmp_path / "fleet.yaml").write_text(yaml.safe_dump([*entries, {"context": "none", "kubeconfig": str(nobody)}]))
        words = (
            "--only",
            "CHAIN-DEPLOYMENT-010,CHAIN-PODS-010",
            "--patience",
            "0.1",
            "--history",
            str(tmp_path / "history"),
            "--at-once",
            "2",
        )
        done = kubechain(tmp_path, "fleet", str(tmp_path / "fleet.yaml"), *words)
        rows = {row["name"]: row for row in json.loads((tmp_path / "out" / "fleet.json").read_text())["clusters"]}
        assert (tmp_path / "out" / rows["whole"]["report"]).is_file()
        again = kubechain(tmp_path, "fleet", "--contexts", CONTEXT, "--kubeconfig", str(whole.kubeconfig), *words)
        left = [*whole.left(), *broken.left()]
    assert (done.returncode, again.returncode) == (1, 0), done.stdout + done.stderr + again.stdout + again.stderr
    assert (
        "fleet: the chain holds on 1 of 4 clusters; 1 broken: broken at DEPLOYMENT; 2 without a verdict: gone away, none"
        in done.stdout
    )
    (row,) = json.loads((tmp_path / "out" / "fleet.json").read_text())["clusters"]
    assert (row["name"], row["state"], row["trend"]) == (CONTEXT, "holds", ["holds", "holds"])
    assert (rows["whole"]["trend"], rows["broken"]["trend"]) == (["holds"], ["broken"])
    assert (rows["gone away"]["exitCode"], rows["gone away"]["verdict"].startswith("no verdict: ")) == (17, True)
    assert (rows["none"]["exitCode"], "none" in rows["none"]["verdict"]) == (4, True)
    assert rows["none"]["verdict"].startswith("no verdict: --context=none: not in ")
    assert not [each for each in left if "watches" not in each]


def _no_deployments(made: Any) -> None:
    made.off.add("Deployment")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "name the clusters with --contexts, or SOURCE"),
        (("x.yaml", "--contexts", "a"), "name the clusters with --contexts, or SOURCE"),
        (("none.yaml",), "cannot be read"),
        (("--contexts", ","), "--contexts=,: names no context"),
        (("--contexts", "a", "--waivers", "none.yaml"), "--waivers=none.yaml: cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_makes_no_folder(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    assert line in refused("fleet", "--out", str(tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a: 1\n", "line 1: expected a list of clusters"),
        ("- name: x\n", "context: is missing"),
        (
            "- {context: a}\n- {context: a}\n",
            "the results of a and a would be in one folder; give each cluster a name of its own",
        ),
        (
            "- context: a\n  options: {KUBECHAIN_NODE: a=b}\n",
            "line 2: KUBECHAIN_NODE: no setting of a run (did you mean KUBECHAIN_NODES?)",
        ),
        ("- {context: ''}\n", "line 1: context: expected a value"),
        ("- 1\n", "line 1: expected a mapping (NAME: VALUE), got 1"),
    ],
)
def test_bad_file_is_one_line(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "f.yaml").write_text(content)
    assert why in refused("fleet", "--out", str(tmp_path), str(tmp_path / "f.yaml"))


@pytest.mark.parametrize(
    ("title", "place"), [("eu", "eu"), ("..", "cluster"), ("../x", "-x"), (".hidden", "hidden"), ("a b", "a-b")]
)
def test_results_of_a_cluster_are_below_the_folder_of_all(title: str, place: str) -> None:
    assert place_of(title) == place


def test_every_outcome_has_a_state() -> None:
    for outcome in Outcome:
        assert fleet.links([record(Link.PODS, outcome.value, "x")])[Link.PODS] in fleet.ORDER
