"""What the rig of upgrades makes of a run: a loss counts as reported only on its path, for its seconds, with its claim."""

import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.core.progress import Progress
from kubechain.kube.objects import KubeObject
from kubechain.probes.load import Sample, Tally
from kubechain.upgrade.availability import kept_up
from kubechain.upgrade.documents import UpgradeDocument
from kubechain.upgrade.model import Kind, Route, RouteSamples, UpgradeRecord
from reports.upgrade_json import document
from tests.fakes import record as claim_record
from tests.fakes import thing
from tests.finished_runs import run as finished
from tests.test_upgrade_kubeadm import World
from tests.test_upgrade_report import BEGAN, record
from tests.upgrades.__main__ import busy_in
from tests.upgrades.judging import judged, strays
from tests.upgrades.losses import PATHS, Scene, script, staying
from tests.upgrades.records import Loss, UpgradeRun, table

NODE, AT, COUNT = "c-worker2", 50.0, 5200


@cache
def samples(
    kind: Kind, name: str, start: float = 0.0, seconds: float = 0.0, *, reuse: bool = False, count: int = COUNT
) -> RouteSamples:
    """Return a route with 20 samples a second, all lost for some seconds."""
    what, place = (name, "") if kind == "NodePort" else ("", name)
    route = Route(kind, what, place, reuse=reuse)

    def sample(number: int) -> Sample:
        at = number / 20
        lost = start <= at < start + seconds
        return Sample(BEGAN + at, BEGAN + at, "down" if lost else "up", "timeout" if lost else "")

    return RouteSamples(route, Tally(route.name, tuple(map(sample, range(count)))))


def both(kind: Kind, name: str, *lost: float) -> list[RouteSamples]:
    return [samples(kind, name, *lost, reuse=reuse) for reuse in (False, True)]


def upgraded(*routes: RouteSamples) -> UpgradeRecord:
    api = samples("API server", "", 10.0, 100.0)
    return record(*routes, api, ended=min(each.tally.samples[-1].sent for each in routes))


def run_of(made: UpgradeRecord, *, silent: bool = False) -> RunRecord:
    """Return a run whose claims on paths say what they say of such an upgrade."""
    claims: list[ClaimRecord] = []
    kinds: dict[Kind, Link] = {"NodePort": Link.NODEPORT, "ClusterIP": Link.CLUSTERIP, "DNS": Link.DNS}
    for kind, link in kinds.items():
        result = kept_up(kind)(made)
        failed = not result.met and not silent
        over: dict[str, Any] = {"message": str(result)} if failed else {}
        claims.append(claim_record(link, "failed" if failed else "passed", id=PATHS[kind].claim, **over))
    return finished(1, *claims)


def loss(kind: Kind, seconds: float = 3.0, at: float = AT) -> Loss:
    path = PATHS[kind]
    routes, also = ([name.format(node=NODE) for name in group] for group in (path.routes, path.also))
    return Loss(path=kind, node=NODE, routes=routes, also=also, claim=path.claim, start=BEGAN + at, seconds=seconds)


def judge(*routes: RouteSamples, losses: list[Loss], silent: bool = False) -> UpgradeRun:
    whole = [*routes, *(each for each in plane() if each.route not in {other.route for other in routes})]
    made = upgraded(*whole)
    read_again = UpgradeDocument.model_validate_json(document(made, "no-go").model_dump_json(by_alias=True))
    return judged(1, "in place", read_again, run_of(made, silent=silent), losses)


def plane() -> list[RouteSamples]:
    kinds: tuple[Kind, ...] = ("NodePort", "ClusterIP", "DNS")
    return [each for kind in kinds for node in ("c-worker", NODE) for each in both(kind, node)]


@pytest.mark.parametrize("kind", ["NodePort", "DNS", "ClusterIP"])
def test_loss_on_its_path_for_its_seconds_is_as_it_should_be(kind: Kind) -> None:
    routes = [samples(kind, NODE, AT, 3.0)] if kind == "ClusterIP" else both(kind, NODE, AT, 3.0)
    run = judge(*routes, losses=[loss(kind)])
    assert run.succeeded, table([run])
    assert (run.samples, run.lost, run.away) == (COUNT, 0, "100.0 s (+-0.1)")
    assert run.losses[0].reported == [pytest.approx(3.0, abs=0.05)]
    assert f"| 1 | {kind} {NODE} | 3.00 | 3.00 | 0.05 | {PATHS[kind].claim} failed |" in table([run])


def test_path_of_a_node_that_came_later_may_have_fewer_samples() -> None:
    there, (began, ended) = samples("DNS", "c-worker3"), (BEGAN + COUNT / 40, BEGAN + COUNT / 20)
    came = replace(there, tally=there.tally.between(began, ended), windows=((began, ended),))
    run = judge(came, *both("DNS", NODE, AT, 3.0), losses=[loss("DNS")])
    assert run.succeeded, table([run])


def test_three_losses_in_one_upgrade_are_told_apart() -> None:
    routes = [*both("NodePort", NODE, 50.0, 3.0), samples("ClusterIP", NODE, 60.0, 3.0), *both("DNS", NODE, 70.0, 3.0)]
    run = judge(*routes, losses=[loss("NodePort"), loss("ClusterIP", at=60.0), loss("DNS", at=70.0)])
    assert run.succeeded, table([run])


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        (both("NodePort", NODE, AT, 3.3), "3.30 s, expected 3.00 s"),
        (both("NodePort", NODE, AT, 2.7), "2.70 s, expected 3.00 s"),
        (both("NodePort", "c-worker", AT, 3.0), "0 outages, expected one of 3.00 s"),
        (both("NodePort", NODE, AT + 20, 3.0), "0 outages, expected one of 3.00 s"),
        ([samples("NodePort", NODE, AT, 3.0)], "kept connections: 0 outages"),
    ],
)
def test_other_seconds_and_other_paths_are_problems(routes: list[RouteSamples], why: str) -> None:
    run = judge(*routes, losses=[loss("NodePort")])
    assert not run.succeeded
    assert why in table([run])


def test_loss_on_a_second_path_is_a_problem() -> None:
    run = judge(*both("NodePort", NODE, AT, 3.0), *both("NodePort", "c-worker", AT, 0.3), losses=[loss("NodePort")])
    assert [text for text in run.problems if text.startswith("NodePort c-worker, new connections: 6 lost at 50.0 s")]
    assert run.lost == 12


def test_claim_that_does_not_fail_is_a_problem() -> None:
    run = judge(*both("NodePort", NODE, AT, 3.0), losses=[loss("NodePort")], silent=True)
    assert "DURING-NODEPORT-010 is passed" in table([run])
    assert "exit code 0 with 1 losses" in table([run])


def test_upgrade_without_a_loss_loses_nothing() -> None:
    assert judge(losses=[]).succeeded
    run = judge(*both("DNS", "c-worker", AT, 0.1), losses=[])
    assert {"DNS from c-worker, new connections: 2 lost at 50.0 s without a loss"} <= set(run.problems)
    assert any(text.startswith("DURING-DNS-010 failed: expected no request lost") for text in run.problems)
    # What has an allowance may use it.
    allowed = upgraded(*plane(), samples("DNS", "c-worker3", AT, 0.1, reuse=True))
    assert strays(document(allowed, ""), []) == []


def test_too_few_samples_are_a_problem() -> None:
    assert judge(samples("DNS", "c-worker", count=4999), losses=[]).problems == [
        "a path has 4,999 samples, expected at least 5,000"
    ]


def scene() -> Scene:
    service = thing("Service", "web", spec={"clusterIP": "10.96.0.9", "ports": [{"nodePort": 30080}]})
    return Scene(NODE, service, KubeObject({"kind": "Pod", "status": {"podIP": "10.244.2.7"}}))


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("NodePort", "-p tcp --dport 30080"),
        ("ClusterIP", "-s 10.244.2.7 -d 10.96.0.9 -p tcp --sport 10000:19499 --dport 80"),
        ("DNS", "-s 10.244.2.7 -p udp --dport 53"),
    ],
)
def test_rules_match_one_path_alone(kind: Kind, rule: str) -> None:
    assert PATHS[kind].rule(scene()) == rule


def test_rule_lasts_for_its_seconds(tmp_path: Path) -> None:
    program, log = tmp_path / "iptables", tmp_path / "log"
    program.write_text(f'#!/bin/sh\necho "$*" >> {log}\n')
    program.chmod(0o755)
    words = ["sh", "-c", script("-p tcp --dport 1", 0.3)]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    start, end = map(float, done.stdout.split())
    assert 0.3 <= end - start < 3
    lines = log.read_text().splitlines()
    assert [line.split()[3] for line in lines[:2]] == ["-I", "-D"]
    assert lines[0].replace("-I", "-D") == lines[1] == "-w -t raw -D PREROUTING -p tcp --dport 1 -j DROP"


def test_node_that_stays_is_another_worker_than_the_busy_one() -> None:
    nodes = ["c-control-plane", "c-external-load-balancer", "c-worker", "c-worker2"]
    assert staying(nodes, "c-worker") == "c-worker2"
    assert staying(nodes, "c-worker2") == "c-worker"
    assert staying(["c-control-plane", "c-worker"], "c-worker") == "c-control-plane"


def test_hop_of_a_worker_is_seen_in_the_output_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path, way="restarted")
    object.__setattr__(world.hop, "progress", Progress())
    world.hop.run()
    lines = capsys.readouterr().err.splitlines()
    assert list(filter(None, (busy_in(line, "restarted") for line in lines))) == ["c-worker", "c-worker2"]


def test_paths_are_lost_in_a_hop_that_takes_longer_than_the_losses() -> None:
    line = "  .. upgrade to 1.37.2: control plane\n"
    assert busy_in(line, "in place") == "control plane"
    assert busy_in(line.replace("..", "ok"), "in place") == busy_in(line, "replaced") == ""
