"""Which faults `make terrains FAULTS=1` injects on which terrain, how it judges the runs, and what it undoes after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from kubechain.conditions.condition import Result, expect
from kubechain.core.errors import ExitCode, SetupError, Unmet
from kubechain.faults import trial
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod
from kubechain.faults.testbed import MANIFESTS
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from tests.terrains import faults, runner
from tests.terrains.catalogue import TERRAINS
from tests.terrains.ground import Ground
from tests.terrains.terrain import Ended, Skip, Terrain, Unfit

(DNS_GONE,) = (fault for fault in faults.FAULTS if fault.id == "dns-gone")
FOUND = Ended(1, "chain broken at DNS: expected web -> 10.96.0.9, got timeout", 40.0, {}, "DNS")


@pytest.mark.parametrize("terrain", faults.HEALTHY, ids=lambda terrain: terrain.id)
def test_three_faults_of_different_links_fit_every_terrain_that_must_hold(terrain: Terrain) -> None:
    chosen = faults.chosen(terrain)
    assert len({fault.at for fault in chosen}) == len(chosen) == faults.COUNT
    skipped = {claim for skip in terrain.skips for claim in skip.claims}
    assert all(set(fault.claims) - skipped for fault in chosen)
    assert not {fault.id for fault in chosen} & {each for unfit in terrain.unfit for each in unfit.faults}
    assert chosen == faults.chosen(terrain)


def test_all_terrains_together_have_every_fault_and_others_have_none() -> None:
    assert {fault.id for terrain in TERRAINS for fault in faults.chosen(terrain)} == set(faults.IDS)
    assert len({fault.at for fault in faults.FAULTS}) >= 10
    assert not any(faults.chosen(terrain) for terrain in TERRAINS if terrain.code != ExitCode.HOLDS)


def test_faults_have_a_link_and_end_with_their_healing() -> None:
    for fault in faults.FAULTS:
        assert fault.at not in (None, "unreachable", "refused")
        assert fault.symptom
        assert fault.lasting
        assert fault.midway is None


def test_no_fault_needs_a_static_pod_which_some_terrains_do_not_have() -> None:
    parts = [part for fault in faults.FAULTS for part in getattr(fault.injection, "parts", [fault.injection])]
    assert not [part for part in parts if isinstance(part, StaticPod) or MANIFESTS in repr(part)]


def test_records_leave_out_faults_that_exist_with_a_reason() -> None:
    for terrain, left_out in faults.left_out():
        assert left_out.why
        assert set(left_out.faults) <= set(faults.IDS), terrain.id


def test_fault_whose_claims_are_skipped_does_not_fit() -> None:
    terrain = Terrain("a", "plain", "is", skips=(Skip("why", ("CHAIN-DNS-010",)),))
    assert faults.unfit(terrain, DNS_GONE) == "CHAIN-DNS-010 skipped"
    assert faults.unfit(Terrain("a", "plain", "is", unfit=(Unfit("it has none", ("dns-gone",)),)), DNS_GONE) == "it has none"
    assert not faults.unfit(Terrain("a", "plain", "is"), DNS_GONE)


def test_right_link_with_the_symptom_in_time_is_right() -> None:
    assert faults.problems(DNS_GONE, FOUND, 300) == []


@pytest.mark.parametrize(
    ("ended", "wrong"),
    [
        (Ended(0, "chain holds: 90 claims in 50.0 s", 50.0), "expected DNS to be called broken, got no link (exit code 0): "),
        (Ended(1, "chain broken at ENV: x", 9.0, {}, "ENV"), "expected DNS to be called broken, got ENV (exit code 1): chain "),
        (Ended(3, "no verdict: x", 9.0, {}, "DNS"), "expected DNS to be called broken, got DNS (exit code 3): no verdict"),
        (Ended(1, "chain broken at DNS: got 10.0.0.1", 9.0, {}, "DNS"), "expected 'got timeout' in the verdict, got chain "),
        (Ended(1, FOUND.verdict, 301.0, {}, "DNS"), "expected a verdict within 300 s, got it after 301.0 s"),
    ],
)
def test_run_that_finds_another_link_or_no_symptom_or_too_late_is_wrong(ended: Ended, wrong: str) -> None:
    (line,) = faults.problems(DNS_GONE, ended, 300)
    assert line.startswith(wrong)


def test_other_link_without_fail_fast_is_wrong() -> None:
    assert faults.differing(FOUND, FOUND) == []
    (line,) = faults.differing(FOUND, Ended(1, "chain broken at ENV: x", 60.0, {}, "ENV"))
    assert line == "expected the same link with and without --fail-fast, got DNS and ENV: chain broken at ENV: x"


class Kept:
    """A cluster that stays while the commands on it end, one way or another; it keeps what they write."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.made: list[str] = []
        self.ground = Ground.__new__(Ground)
        self.ground.api = cast("Api", self)
        self.ground.until = self.until

    def until(self, what: str, check: Callable[[Ground], Result]) -> None:
        if not check(self.ground).met:
            raise Unmet(what)

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        body = self.objects.get(f"{kind} {namespace} {name}")
        return KubeObject(body) if body else None

    def create(self, manifest: Json, namespace: str) -> None:
        self.objects[f"{manifest['kind']} {namespace} {manifest['metadata']['name']}"] = manifest

    def patch(self, kind: str, namespace: str, name: str, patch: Json) -> None:
        self.objects[f"{kind} {namespace} {name}"].update(patch)


@dataclass
class Mark:
    """A difference of a kept cluster; `dies` says that the command is killed while it is made."""

    cluster: Kept
    name: str
    dies: bool = False

    def inject(self, _ground: Ground, /) -> None:
        self.cluster.made.append(self.name)

    def in_effect(self, _ground: Ground, /) -> Result:
        return expect(self.name in self.cluster.made, "no mark")

    def heal(self, _ground: Ground, /) -> None:
        if self.dies:
            raise Killed
        if self.name in self.cluster.made:
            self.cluster.made.remove(self.name)


class Killed(BaseException):
    """The end of a process without its last words."""


@dataclass
class Faults:
    """Stands in for the trial of faults; `stays` says that none can be healed."""

    made: list[str] = field(default_factory=list[str])
    stays: bool = False

    def inject(self, _bench: object, fault: Fault) -> None:
        self.made.append(fault.id)

    def heal(self, _bench: object, fault: Fault) -> str:
        if self.stays:
            return "still there"
        if fault.id in self.made:
            self.made.remove(fault.id)
        return ""


def nothing(*_arguments: object) -> None:
    """Stand in for what makes a testbed."""


def nothing_wrong(*_arguments: object) -> list[str]:
    """Stand in for what judges a run without a fault."""
    return []


def dns_gone(_terrain: Terrain) -> tuple[Fault]:
    """Stand in for the choice of faults."""
    return (DNS_GONE,)


def killed(*_arguments: object) -> str:
    """Stand in for the healing that a killed command does not do."""
    raise Killed


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The faults of all clusters of a test."""
    stand_in = Faults()
    monkeypatch.setattr(trial, "inject", stand_in.inject)
    monkeypatch.setattr(trial, "heal", stand_in.heal)
    monkeypatch.setattr(runner, "bench", nothing)
    return stand_in


def made_by(monkeypatch: pytest.MonkeyPatch, *ends: Ended) -> list[tuple[str, ...]]:
    """Let the runs of the suite end so, in turn; return what they are given besides, as it comes."""
    left, given = list(ends), list[tuple[str, ...]]()

    def run(_ground: Ground, _terrain: Terrain, _out: Path, *more: str) -> Ended:
        given.append(more)
        return left.pop(0)

    monkeypatch.setattr(runner, "run", run)
    return given


def broken(fault: Fault) -> Ended:
    """Return the end of a run that finds a fault of a known symptom."""
    said = {"target-port-changed": "targetPort 80, got 8081", "endpointslice-rights-lost": "got no ready address"}
    return Ended(1, f"chain broken at {fault.at}: {said.get(fault.id, 'got timeout')}", 20.0, {}, str(fault.at))


PLAIN = TERRAINS[0]
HOLDS = Ended(0, "chain holds: 90 claims in 50.0 s", 50.0)


def test_three_faults_are_tried_after_the_run_that_holds(trials: Faults, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runner, "problems", nothing_wrong)
    cluster = Kept()
    runs = [each for fault in faults.chosen(PLAIN) for each in [broken(fault)] * 2]
    given = made_by(monkeypatch, HOLDS, *runs)
    judged = runner.judged(cluster.ground, PLAIN, tmp_path / "plain", with_faults=True)
    assert [(tried.fault, tried.ended.link, tried.wrong) for tried in judged.tried] == [
        ("target-port-changed", "SERVICE", []),
        ("endpointslice-rights-lost", "ENDPOINTS", []),
        ("dns-gone", "DNS", []),
    ]
    assert given == [(), ("--fail-fast",), (), ("--fail-fast",), (), ("--fail-fast",), ()]
    assert (trials.made, judged.wrong, cluster.ground.noted()) == ([], [], ("", ""))


def test_no_fault_follows_one_that_is_not_healed_and_the_cluster_says_which(
    trials: Faults, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "problems", nothing_wrong)
    cluster, trials.stays = Kept(), True
    made_by(monkeypatch, HOLDS, *[broken(faults.chosen(PLAIN)[0])] * 2)
    judged = runner.judged(cluster.ground, PLAIN, tmp_path / "plain", with_faults=True)
    assert judged.troubles == ["fault target-port-changed: not healed: still there"]
    assert not judged.undone
    assert cluster.ground.noted() == ("plain", "target-port-changed")


def test_no_fault_is_injected_where_the_run_before_is_wrong(
    trials: Faults, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made_by(monkeypatch, Ended(1, "chain broken at DNS: x", 50.0, {}, "DNS"))
    judged = runner.judged(Kept().ground, PLAIN, tmp_path / "plain", with_faults=True)
    assert judged.wrong
    assert (judged.tried, trials.made) == ([], [])


def test_next_command_undoes_the_terrain_and_the_fault_of_a_killed_one(
    trials: Faults, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = Kept()
    mark = Mark(cluster, "policy", dies=True)
    terrain = Terrain("marked", "plain", "is marked", (mark,))
    monkeypatch.setattr(runner, "TERRAINS", (*TERRAINS, terrain))
    monkeypatch.setattr(runner, "problems", nothing_wrong)
    monkeypatch.setattr(faults, "chosen", dns_gone)
    monkeypatch.setattr(trial, "heal", killed)
    made_by(monkeypatch, HOLDS, FOUND)
    with pytest.raises(Killed):
        runner.judged(cluster.ground, terrain, tmp_path / "marked", with_faults=True)
    assert (cluster.made, trials.made) == (["policy"], ["dns-gone"])
    assert cluster.ground.noted() == ("marked", "dns-gone")

    mark.dies = False
    monkeypatch.setattr(trial, "heal", trials.heal)
    assert runner.undo_left(cluster.ground) == "terrain marked and fault dns-gone"
    assert (cluster.made, trials.made, cluster.ground.noted()) == ([], [], ("", ""))
    assert runner.undo_left(cluster.ground) == ""


def test_what_cannot_be_undone_stops_the_next_command(trials: Faults) -> None:
    cluster, trials.stays = Kept(), True
    cluster.ground.note("plain", "dns-gone")
    with pytest.raises(SetupError, match="has terrain plain and fault dns-gone of a killed command: still there; remove it"):
        runner.undo_left(cluster.ground)
    cluster.ground.note("of-another-version")
    with pytest.raises(SetupError, match="no record of it"):
        runner.undo_left(cluster.ground)
