"""What one run leaves to the next: condensed samples, what was watched, and what nobody saw."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.listing import Listing
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import ObjectChange, Position
from kubechain.observe.history import History
from kubechain.observe.reflector import Reflector
from kubechain.probes.load import Sample, State, Tally
from kubechain.pytest import detached
from kubechain.upgrade import kept_state, observed
from kubechain.upgrade.availability import kept_up
from kubechain.upgrade.condensed import CLOSE_SECONDS, condensed, run_of, samples_of
from kubechain.upgrade.figures import line
from kubechain.upgrade.model import NodeSpan, Route, RouteSamples, UpgradeRecord
from kubechain.upgrade.observed import OBSERVED, Observed
from kubechain.upgrade.outages import outages
from kubechain.upgrade.presence import counted
from kubechain.upgrade.sample_store import SampleStore
from tests.config_maps import ConfigMaps, Spaces, kept
from tests.fakes import FakeClock, changed, conditions, pod, thing
from tests.in_pods import refused

HEADER = '{"sampler":1,"started":0,"interval":0.05,"paths":1}\n'


def up(*times: float, state: State = "up", error: str = "") -> list[Sample]:
    return [Sample(at, at + 0.01, state, error) for at in times]


def every(start: float, end: float, state: State = "up", interval: float = 0.05) -> list[Sample]:
    return up(*(start + number * interval for number in range(round((end - start) / interval))), state=state)


def through(samples: list[Sample]) -> Tally:
    runs = condensed(map(run_of, samples))
    return Tally("x", tuple(each for run in runs for each in samples_of(run)))


def test_condensed_samples_have_the_same_outages_and_numbers() -> None:
    samples = [*every(0, 100), *every(100, 103, "down"), *every(103, 200)]
    whole, short = Tally("x", tuple(samples)), through(samples)
    assert (short.requests, short.up, short.down) == (whole.requests, whole.up, whole.down) == (4000, 3940, 60)
    assert outages(short) == outages(whole)
    assert len(short.samples) < 1300
    assert 3600 <= len(through(every(0, 3600)).samples) <= 3601
    assert short.gap <= CLOSE_SECONDS
    assert str(short) == str(whole)


def test_condensed_samples_keep_a_time_in_which_nobody_asked() -> None:
    short = through([*every(0, 10), *every(15, 20)])
    assert short.gap == pytest.approx(5.05)
    assert short.requests == 300


def test_late_results_are_joined_where_they_were_sent() -> None:
    late = [*up(0.0, 0.1, 0.3, 0.4), *up(0.2, state="down")]
    (outage,) = outages(through(late))
    assert (outage.start, outage.end, outage.lost) == (0.2, 0.3, 1)


def written(samples: list[Sample]) -> str:
    return "".join(json.dumps([0, each.sent, each.done, each.state, each.error]) + "\n" for each in samples)


@pytest.mark.parametrize("again", [False, True])
def test_folded_samples_are_those_of_the_file(tmp_path: Path, again: bool) -> None:  # noqa: FBT001  # both ways
    store, route = SampleStore(tmp_path), Route("DNS", "", "a", reuse=False, nodes=("uid",))
    store.describe("sampler-x", [route])
    stream = HEADER + written([*every(0, 50), *every(50, 52, "down"), *every(52, 100)])
    for end in range(0, len(stream), 9000):
        # As fetched: from where the store is.
        have = store.have("sampler-x")
        with store.file("sampler-x").open("a") as file:
            file.write(stream[have : end + 9000])
        store.fold("sampler-x", again=again)
    ((found, tally),) = store.tallies()
    assert (found, tally.requests, tally.down) == (route, 2000, 40)
    assert [(outage.start, outage.end) for outage in outages(tally)] == [(50.0, 52.0)]
    assert sum(file.stat().st_size for file in tmp_path.glob("*.kept.json")) < 20_000
    assert again != (tmp_path / "sampler-x.jsonl").exists()


def test_state_is_what_the_next_run_finds(tmp_path: Path) -> None:
    api = ConfigMaps()
    first, second = kept(api, tmp_path / "1"), kept(api, tmp_path / "2")
    assert not first.restore()
    span = NodeSpan("uid", "a", 1.0, 2.0)
    Observed(at=5.0, positions=(Position(4.0, {"Pod": "7"}, (pod(0).body,)),), spans=(span,)).write(first.folder)
    SampleStore(first.folder / kept_state.SAMPLES).describe("x", [])
    (first.folder / kept_state.SAMPLES / "x.jsonl").write_text("as the sampler wrote it")
    first.save()
    first.save()
    assert api.writes == 1
    assert second.restore()
    seen = second.observed()
    assert (seen.at, seen.spans, seen.positions[0].versions) == (5.0, (span,), {"Pod": "7"})
    assert [file.name for file in (second.folder / kept_state.SAMPLES).iterdir()] == ["x.routes.json"]
    second.clear()
    assert not kept(api, tmp_path / "3").restore()


def test_state_that_is_none_or_does_not_fit_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = ConfigMaps()
    api.found["state"] = {"binaryData": {kept_state.ENTRY: "bm9uZQ=="}}
    with pytest.raises(SetupError, match="not the state of a run") as raised:
        kept(api, tmp_path / "1").restore()
    assert raised.value.code == ExitCode.SNAPSHOT
    other = kept(api, tmp_path / "3")
    (other.folder / kept_state.SAMPLES).mkdir(parents=True)
    (other.folder / OBSERVED).write_text('{"at": "as another version wrote it"}')
    other.save()
    with pytest.raises(SetupError, match="not the state of a run; delete the ConfigMap"):
        kept(api, tmp_path / "4").restore()
    monkeypatch.setattr(kept_state, "MOST_BYTES", 10)
    state = kept(ConfigMaps(), tmp_path / "2")
    state.restore()
    Observed(at=5.0).write(state.folder)
    with pytest.raises(HarnessError, match="of 10 that fit"):
        state.save()


class Restarting(ConfigMaps):
    """An API server that is away for some requests, and then does not know the roles yet."""

    def __init__(self, away: int) -> None:
        super().__init__()
        unavailable, forbidden = ApiUnavailable("refused", ExitCode.UNREACHABLE), ApiRefused(403, "Forbidden", "no roles")
        self.errors: list[Exception] = [*[unavailable] * away, forbidden]

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return a ConfigMap, once the server has started."""
        if self.errors:
            raise self.errors.pop(0)
        return super().get(kind, namespace, name)


def test_run_that_goes_on_waits_for_an_api_server_that_is_replaced(tmp_path: Path) -> None:
    first = kept(ConfigMaps(), tmp_path / "1")
    first.restore()
    Observed(at=5.0).write(first.folder)
    first.save()
    api = Restarting(60)
    api.found = cast("ConfigMaps", first.api).found
    second = kept(api, tmp_path / "2")
    assert detached.restored(second, FakeClock())
    assert second.observed().at == 5.0


def test_api_server_that_stays_away_or_refuses_ends_the_run(tmp_path: Path) -> None:
    clock = FakeClock()
    with pytest.raises(ApiUnavailable):
        detached.restored(kept(Restarting(1000), tmp_path / "1"), clock)
    assert detached.BACK_SECONDS <= clock.time - FakeClock().time <= detached.BACK_SECONDS + 2
    # Without an absence, a right that is missing is missing.
    with pytest.raises(ApiRefused):
        detached.restored(kept(Restarting(0), tmp_path / "2"), FakeClock())


ROUTE = Route("ClusterIP", "", "a", reuse=False, nodes=("uid",))
HERE = Route("API server", "get", "", reuse=True)


def of(route: Route, samples: list[Sample], spans: list[NodeSpan], *absences: tuple[float, float]) -> RouteSamples:
    found = counted(route, Tally(route.name, tuple(samples)), spans, 0.0, 100.0, absences)
    assert found
    return found


def record(*routes: RouteSamples) -> UpgradeRecord:
    return UpgradeRecord(("1", "2"), 0.0, 100.0, routes, (), (), 0, 0, 3, upgraded_by_this_run=False)


def test_absence_is_neither_loss_nor_held_and_is_said() -> None:
    found = of(HERE, [*every(0, 40), *every(60, 100)], [], (41.0, 58.0))
    assert (found.windows[0][0], found.windows[1][1], found.tally.down) == (0.0, 100.0, 0)
    assert found.unseen_seconds == pytest.approx(20.05)
    assert kept_up("API server")(record(found)).met
    assert "not observed for 20.0 s" in line(record(found), "chain holds")
    # Without an absence, nobody knows why.
    with pytest.raises(HarnessError, match="no known sample for"):
        kept_up("API server")(record(of(HERE, [*every(0, 40), *every(60, 100)], [])))


def test_loss_before_an_absence_and_one_in_it_that_a_sampler_saw_are_lost() -> None:
    spans = [NodeSpan("uid", "a", 0.0, 100.0)]
    before = of(HERE, [*every(0, 25), *every(25, 40, "down"), *every(60, 100)], [], (41.0, 58.0))
    assert (before.tally.down, kept_up("API server")(record(before)).met) == (300, False)
    within = of(ROUTE, [*every(0, 50), *every(50, 51, "down"), *every(51, 100)], spans, (41.0, 58.0))
    assert (within.tally.down, within.unseen) == (20, ())
    assert not kept_up("ClusterIP")(record(within)).met


def test_node_that_served_before_and_after_served_in_the_absence_if_it_did_not_change() -> None:
    before = [NodeSpan("calm", "a", 0.0, 40.0), NodeSpan("moved", "b", 0.0, 40.0), NodeSpan("left", "c", 0.0, 10.0, "deleted")]
    after = [NodeSpan("calm", "a", 60.0, 99.0), NodeSpan("moved", "b", 60.0, 99.0)]
    spans = observed.joined(before, after, (40.0, 60.0), frozenset({"calm"}))
    assert spans == (
        NodeSpan("calm", "a", 0.0, 99.0),
        NodeSpan("moved", "b", 0.0, 40.0, "not watched"),
        NodeSpan("left", "c", 0.0, 10.0, "deleted"),
        NodeSpan("moved", "b", 60.0, 99.0),
    )
    # What such a Node lost meanwhile stands aside.
    route = Route("ClusterIP", "", "b", reuse=False, nodes=("moved",))
    found = of(route, [*every(0, 45), *every(45, 55, "down"), *every(55, 99)], list(spans), (40.0, 60.0))
    assert (found.tally.down, found.aside["not watched"].lost) == (0, 200)


def versions(*objects: KubeObject) -> list[ObjectChange]:
    return [ObjectChange(number, 0.0, 0.0, "MODIFIED", each) for number, each in enumerate(objects, 1)]


def test_node_is_calm_if_no_version_of_it_does_not_serve() -> None:
    ready = thing("Node", "a", status={"conditions": conditions(Ready="True"), "nodeInfo": {"bootID": "1"}})
    assert observed.steady(versions(ready, ready)) == {ready.uid}
    for path, value in (("spec", {"unschedulable": True}), ("status.nodeInfo.bootID", "2")):
        assert observed.steady(versions(ready, changed(ready, path, value), ready)) == set()


def at(seconds: int, resource: KubeObject) -> KubeObject:
    return changed(resource, "metadata.managedFields", [{"time": f"1970-01-01T00:00:{seconds:02}Z"}])


def test_changes_in_an_absence_have_the_time_at_which_they_were_written() -> None:
    log = versions(at(30, pod(0)), at(20, pod(1)), pod(2), at(59, pod(0)), at(5, pod(3)))
    found = observed.timed(log, (10.0, 50.0))
    assert [(each.wall, each.resource.name) for each in found] == [
        (10.0, pod(3).name),
        (20.0, pod(1).name),
        (30.0, pod(0).name),
        (50.0, pod(2).name),
        (50.0, pod(0).name),
    ]


def numbered(number: str) -> KubeObject:
    return changed(pod(0), "metadata.resourceVersion", number)


class Feed:
    """A watch that delivers one change, or says that its version is too old."""

    def __init__(self, *, old: bool = False) -> None:
        self.old, self.asked = old, list[str]()

    def list(self, kind: str, *_: Any) -> Any:
        self.asked.append(f"list {kind}")
        return Listing([numbered("9")], "9")

    def watch(self, kind: str, _namespace: str, version: str, _seconds: float) -> Any:
        self.asked.append(f"watch {kind} {version}")
        if self.old and version == "7":
            raise ApiRefused(410, "Expired", "too old resource version")
        return iter([("MODIFIED", numbered("8").body)])


@pytest.mark.parametrize("old", [False, True])
def test_watch_goes_on_where_an_earlier_one_ended_or_says_that_versions_were_missed(old: bool) -> None:  # noqa: FBT001
    history, feed = History("ns", FakeClock()), Feed(old=old)
    history.begin(Position(3.0, {"Pod": "7"}, (numbered("7").body,)))
    reflector = Reflector(cast("Any", feed), "Pod", history, "7")
    reflector.list_and_watch()
    if old:
        assert not reflector.synced.is_set()
        reflector.list_and_watch()
        assert feed.asked == ["watch Pod 7", "list Pod", "watch Pod 9"]
        assert history.unseen == {"Pod"}
        return
    assert (feed.asked, reflector.synced.is_set(), history.unseen) == (["watch Pod 7"], True, set())
    assert next((entry.wall, entry.resource.version) for entry in history.log()) == (3.0, "7")
    assert history.log()[-1].resource.version == "8"
    assert reflector.version == "8"


def test_command_cannot_be_continued() -> None:
    said = refused("during", "--context", "in-cluster", "--state", "ns/state", "--", "true")
    assert "--state=ns/state: a run that is continued cannot continue a command" in said


def test_witnesses_that_were_not_finished_are_removed(tmp_path: Path) -> None:
    api = Spaces()
    for number, (run, error) in enumerate((("first", KeyboardInterrupt), ("second", HarnessError("no room")))):
        state = kept(api, tmp_path / str(number))
        state.restore()
        with pytest.raises((KeyboardInterrupt, HarnessError)):
            api.make(state, run, error)
        # Those of a run that was told to end are removed by the next, and those that fail at once.
        assert api.runs == (["first"] if not number else [])
    assert not kept(api, tmp_path / "3").restore()
