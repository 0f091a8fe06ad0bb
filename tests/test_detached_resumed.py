"""A run that is told to end, or is killed, in the middle of a change, and the one that goes on: real samplers on loopback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Position, latest
from kubechain.observe.clock import RealClock
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.pytest import detached, upgrade
from kubechain.pytest.state import RUN, UpgradeState
from kubechain.upgrade import cluster_watch, kept_state, phases, routes, samplers
from kubechain.upgrade.availability import kept_up
from kubechain.upgrade.cluster_watch import ClusterWatch
from kubechain.upgrade.kept_state import KeptState
from kubechain.upgrade.model import Kind, RouteSamples
from kubechain.upgrade.phases import During
from tests.changing_cluster import ChangingCluster, changing_cluster
from tests.config_maps import ConfigMaps
from tests.engine_objects import run_state
from tests.hostile.cases import full

pytestmark = pytest.mark.whole_runs

CLOCK = RealClock()
AWAY = 4.0


class Mirror:
    """A history of a run, which goes on from a position: what is fed to that of the cluster is fed to it."""

    def __init__(self, source: History, since: Position | None) -> None:
        self.source, self.history, self.taken = source, History(source.namespace, CLOCK), 0
        if since and since.versions:
            self.history.begin(since)
            self.taken = int(since.versions["log"])
        self.history.placed_by(self.position)
        self.history.proved_by(self.catch_up)
        self.catch_up()

    def position(self) -> Position:
        taken = self.taken
        bodies = tuple(each.body for each in latest(self.source.log()[:taken]).objects)
        return Position(CLOCK.wall(), {"log": str(taken)}, bodies)

    def catch_up(self) -> None:
        for entry in self.source.log(self.taken):
            self.history.record(entry.change, entry.resource)
            self.taken = entry.sequence

    @contextlib.contextmanager
    def following(self) -> Generator[History]:
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(0.1):
                self.catch_up()

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield self.history
        finally:
            ended.set()
            thread.join()


def nothing(*_: object) -> None:
    """Do nothing."""


@dataclass
class Scripted(Waiter):
    """A waiter that does something at a time after the first sample, in the thread of the run."""

    acts: list[tuple[float, Callable[[], object]]] = field(default_factory=list[tuple[float, Callable[[], object]]])
    began: float = 0.0

    def pause(self, seconds: float) -> None:
        """Do what is due, then pause."""
        self.began = self.began or CLOCK.wall()
        while self.acts and CLOCK.wall() - self.began >= self.acts[0][0]:
            self.acts.pop(0)[1]()
        super().pause(min(seconds, 0.1))


@dataclass
class Site:
    """A cluster, and the state that runs leave."""

    cluster: ChangingCluster
    folder: Path
    maps: ConfigMaps = field(default_factory=ConfigMaps)
    runs: int = 0

    def run(self, seconds: float, acts: list[tuple[float, Callable[[], object]]]) -> During:
        """Run until `seconds` from now, as a Pod with an empty disk."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        kept = KeptState(cast("Any", self.maps), "ns", "state", folder)
        kept.restore()
        earlier = kept.observed()
        witnesses = Mirror(self.cluster.objects, next(iter(earlier.positions), None))
        with witnesses.following() as objects:
            chain = replace(
                self.cluster.chain("cluster"),
                observer=cast("Any", SimpleNamespace(history=objects)),
                waiter=Scripted(CLOCK, acts=acts),
            )
            before = phases.Before(chain, cast("Any", SimpleNamespace(server="v1", warnings=[])))
            file = folder / kept_state.SAMPLES / "began"
            length = CLOCK.wall() - float(file.read_text()) + seconds if file.exists() else seconds
            settings = SimpleNamespace(ask="", ask_allowance=0.0, for_=length, load_balancer=False)
            progress = SimpleNamespace(step=self._step)
            state = cast("Any", SimpleNamespace(settings=settings, progress=progress, upgrade=UpgradeState()))
            seen = kept.observed()
            if not seen.ended:
                seen = detached.observe(state, before, kept, CLOCK, seen)
            record = detached.record_of(state, before, kept, seen)
            return During(before, record, seen.state(), seen.changes(), frozenset(seen.unseen))

    def whole(self, seconds: float) -> During:
        """Run for so long without a state that is kept."""
        with Mirror(self.cluster.objects, None).following() as objects:
            observer: Any = SimpleNamespace(history=objects)
            chain = replace(self.cluster.chain("cluster"), observer=observer, waiter=Scripted(CLOCK, acts=[]))
            before = phases.Before(chain, cast("Any", SimpleNamespace(server="v1", warnings=[])))
            state = run_state({"context": "c", "for_": seconds})
            state.run = replace(state.run, folder=self.folder)
            config: Any = SimpleNamespace(stash={RUN: state}, pluginmanager=SimpleNamespace(getplugin=nothing))
            during = upgrade.watch(config, before, None, CLOCK)
            assert state.upgrade.record is during.record
            return during

    @contextlib.contextmanager
    def _step(self, _: str) -> Generator[None]:
        yield

    @contextlib.contextmanager
    def watching(self, *_: Any) -> Generator[ClusterWatch]:
        since = next(iter(_[2:]), ())
        nodes = Mirror(self.cluster.nodes, since[0] if since else None)
        with nodes.following() as history:
            yield ClusterWatch(history, History("kube-system", CLOCK), CLOCK, [(CLOCK.wall(), "v1")], began=CLOCK.wall())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(samplers, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(samplers, "FOLLOW_SECONDS", 0.2)
    monkeypatch.setattr(samplers, "ANSWERED", replace(samplers.ANSWERED, seconds=1))
    monkeypatch.setattr(detached, "SAVE_SECONDS", 1.0)
    monkeypatch.setattr(detached, "SETTLE_SECONDS", 1.0)
    # Fewer samples than usual, on a machine that may be busy.
    monkeypatch.setattr(routes, "DATA_INTERVAL", 0.2)
    monkeypatch.setattr(detached.WitnessCare, "tend", nothing)
    with changing_cluster(tmp_path) as cluster:
        monkeypatch.setattr(routes, "url", cluster.pages)
        cluster.join("stays", "127.0.1.1")
        cluster.join("moves", "127.0.1.2")
        found = Site(cluster, tmp_path)
        monkeypatch.setattr(cluster_watch, "watching", found.watching)
        api = cluster.api

        def get(kind: str, *_: str) -> KubeObject | None:
            return cluster.owner if kind == "DaemonSet" else None

        monkeypatch.setattr(api, "get", get)
        yield found


def of(during: During, kind: Kind, name: str = "") -> list[RouteSamples]:
    found = [each for each in during.record.routes if each.route.kind == kind and not each.route.reuse]
    return [each for each in found if not name or name in (each.route.what, each.route.place)]


def end() -> None:
    raise KeyboardInterrupt


def loss(site: Site, uid: str, seconds: float) -> None:
    site.cluster.close(uid)
    threading.Event().wait(seconds)
    site.cluster.open(uid)


@pytest.mark.parametrize("killed", [full(False), True], ids=["SIGTERM", "SIGKILL"])  # noqa: FBT003  # a parameter of pytest
def test_run_goes_on_where_another_was_ended(site: Site, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:  # noqa: FBT001
    if killed:
        # It writes nothing more: what is kept is what it kept before.
        monkeypatch.setattr(detached, "leave", nothing)
    with pytest.raises(KeyboardInterrupt):
        site.run(60, [(2.0, lambda: loss(site, "uid-stays", 1.0)), (6.0, end)])
    owner = site.cluster.owner
    # While nobody watches, samplers see a loss, and a Node is cordoned for a time.
    site.cluster.change("uid-moves", "spec.unschedulable", value=True)
    loss(site, "service", 1.0)
    threading.Event().wait(AWAY)
    site.cluster.change("uid-moves", "spec.unschedulable", value=False)
    during = site.run(15, [])
    assert site.cluster.owner is owner
    record = during.record
    ((left, back),) = record.absences
    assert back - left > AWAY
    # The loss before, at the Node that stays.
    assert [bool(each.tally.lost) for each in of(during, "NodePort", "stays") if each.route.what == "stays"] == [True]
    assert not kept_up("NodePort")(record).met
    # The loss in the absence, which the sampler on the Node that stays saw; of the other, nobody knows whether it served.
    (stays,), (moves,) = (of(during, "ClusterIP", name) for name in ("stays", "moves"))
    assert any(left - 1 < sample.sent < back for sample in stays.tally.lost)
    assert (stays.unseen, moves.tally.lost) == ((), [])
    assert moves.aside["not watched"].lost
    assert record.drained == ("moves",)
    # What the run itself asks was asked by nobody.
    assert all(each.unseen_seconds > AWAY for each in of(during, "API server"))
    assert any(event.kind == "watch" and "the run was away for" in event.what for event in record.events)


def test_run_that_was_ended_says_what_one_that_was_not_says(site: Site) -> None:
    with pytest.raises(KeyboardInterrupt):
        site.run(60, [(3.0, end)])
    threading.Event().wait(AWAY)
    during = site.run(15, [])
    record = during.record
    ((left, back),) = record.absences
    kinds: tuple[Kind, ...] = ("ClusterIP", "DNS", "NodePort")
    for each in (found for kind in kinds for found in of(during, kind)):
        assert not each.tally.lost
        # Asked meanwhile, as far as a busy machine lets a sampler run.
        assert [sample for sample in each.tally.samples if left + 1 < sample.sent < back - 1]
        assert each.unseen_seconds < AWAY
    assert {span.ended for span in record.nodes} == {""}
    assert (record.drained, len(record.absences)) == ((), 1)


def test_run_with_a_kept_state_records_what_one_without_records(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "SETTLE_SECONDS", 1.0)
    monkeypatch.setattr(upgrade.WitnessCare, "tend", nothing)
    kept, whole = site.run(4, []).record, site.whole(4).record

    def of_both(name: str) -> list[Any]:
        return [getattr(record, name) for record in (kept, whole)]

    for name in ("hops", "control_planes", "upgraded_by_this_run", "change", "ask_allowance", "drained", "warnings", "absences"):
        first, second = of_both(name)
        assert first == second, name
    for name in ("routes", "versions", "nodes"):
        assert all(of_both(name)), name
    assert [{each.name for each in nodes} for nodes in of_both("nodes")] == [{"stays", "moves"}] * 2
    assert {each.route for each in kept.routes} == {each.route for each in whole.routes}
    assert [record.began < record.ended for record in (kept, whole)] == [True, True]
