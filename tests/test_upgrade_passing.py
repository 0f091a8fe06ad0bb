from dataclasses import replace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json
from kubechain.probes.load import Sample, State, Tally
from kubechain.upgrade import routes as paths
from kubechain.upgrade.allowances import ALLOWANCES, allowed
from kubechain.upgrade.availability import (
    kept_up,
    known_seconds,
    kubelets_as_wanted,
    longest_unknown,
    proxies_as_wanted,
    skew_allowed,
    skewed,
    too_old,
)
from kubechain.upgrade.model import Kind, Route, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After
from kubechain.upgrade.versions import next_minor

BEGAN, ENDED = 1000.0, 1600.0
DATA: list[Kind] = ["NodePort", "ClusterIP", "DNS"]
# Paths with an allowance.
SOME: list[tuple[Kind, bool]] = [key for key, (alone, _) in ALLOWANCES.items() if alone.seconds]
HOP = ("1.36.3", "1.37.2")


def seen(
    kind: Kind, *stretches: tuple[State, float, float], place: str = "", every: float = 0.1, reuse: bool = False
) -> RouteSamples:
    """Return a path that is up but for these stretches."""

    def state(at: float) -> State:
        found: list[State] = [state for state, start, end in stretches if start <= at < end]
        return found[0] if found else "up"

    times = [BEGAN + number * every for number in range(round((ENDED - BEGAN) / every))]
    samples = tuple(Sample(at, at + 0.01, state(at), "" if state(at) == "up" else "refused") for at in times)
    return RouteSamples(Route(kind, "", place, reuse=reuse), Tally("the path", samples))


def record(*paths: RouteSamples, **over: Any) -> UpgradeRecord:
    given: Json = {"hops": HOP, "events": (), "versions": (), "relists": 0, "lost": 0, "control_planes": 1, "asked": True}
    return UpgradeRecord(began=BEGAN, ended=ENDED, routes=paths, **{**given, **over})


def judged(kind: Kind, *paths: RouteSamples, **over: Any) -> str | None:
    """Return None if the paths kept up, else why not."""
    result = kept_up(kind)(record(*paths, **over))
    return None if result.met else str(result)


def down(start: float, seconds: float) -> tuple[State, float, float]:
    return "down", BEGAN + start, BEGAN + start + seconds


def unknown(start: float, seconds: float) -> tuple[State, float, float]:
    return "unknown", BEGAN + start, BEGAN + start + seconds


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("planes", [0, 1, 3])
@pytest.mark.parametrize("hops", [HOP, ("1", "2", "3", "4")])
def test_one_lost_request_is_too_many_for_what_forwards(kind: Kind, planes: int, hops: tuple[str, ...]) -> None:
    assert judged(kind, seen(kind), control_planes=planes, hops=hops) is None
    for reuse in [False] if kind == "DNS" else [False, True]:
        found = judged(kind, seen(kind), seen(kind, down(50, 0.1), reuse=reuse), control_planes=planes, hops=hops)
        assert found is not None
        assert "got 1 of 6,000 lost (1 connection refused); down for 0.1 s (+-0.1 s)" in found
        assert f"no request lost on {seen(kind, reuse=reuse).route.name} ({ALLOWANCES[kind, reuse][0].reason})" in found


@pytest.mark.parametrize(("kind", "reuse"), SOME)
@pytest.mark.parametrize("planes", [0, 1, 3])
def test_path_may_be_away_for_as_long_as_is_allowed_in_each_hop(kind: Kind, planes: int, *, reuse: bool) -> None:
    seconds = allowed(kind, planes, reuse=reuse).seconds

    def found(*stretches: tuple[State, float, float], hops: tuple[str, ...] = HOP) -> str | None:
        return judged(kind, seen(kind), seen(kind, *stretches, reuse=reuse), control_planes=planes, hops=hops)

    assert found(down(10, seconds)) is None
    assert found(down(10, seconds), hops=("1",)) is None
    assert f"at most {seconds:g} s down on" in (found(down(10, seconds + 1)) or "")
    twice = (down(10, seconds), down(300, seconds))
    assert found(*twice) is not None
    assert found(*twice, hops=("1", "2", "3")) is None
    assert f"at most {2 * seconds:g} s down on" in (found(*twice, down(280, 2), hops=("1", "2", "3")) or "")


def test_paths_of_other_kinds_do_not_matter() -> None:
    assert judged("DNS", seen("DNS"), seen("NodePort", down(0, 100)), seen("ClusterIP", unknown(0, 100))) is None


def test_kind_that_was_not_asked_cannot_be_told() -> None:
    with pytest.raises(HarnessError, match="no DNS was asked"):
        judged("DNS", seen("NodePort"))
    with pytest.raises(HarnessError, match="cannot decide: expected DNS, new connections to be up; "):
        judged("DNS", seen("DNS", unknown(0, 600)))
    nothing = RouteSamples(Route("DNS", "", "", reuse=False), Tally("the path", ()))
    for ended in (ENDED, BEGAN + 0.5):
        with pytest.raises(HarnessError, match="cannot decide"):
            kept_up("DNS")(replace(record(nothing), ended=ended))


@pytest.mark.parametrize("start", [0, 50, 598])
def test_path_that_was_unknown_for_too_long_cannot_be_told(start: float) -> None:
    assert judged("DNS", seen("DNS", unknown(start, 1.7))) is None
    with pytest.raises(HarnessError, match=r"no known sample for \d\.\d s"):
        judged("DNS", seen("DNS"), seen("DNS", unknown(start - 0.4, 2.7)))


def test_what_was_lost_stands_whatever_is_unknown() -> None:
    assert judged("DNS", seen("DNS", unknown(50, 20)), seen("DNS", down(50, 5)))
    assert judged("DNS", seen("DNS", unknown(50, 20), down(100, 5)))
    with pytest.raises(HarnessError):
        judged("API server", seen("API server", unknown(50, 190), down(300, 5)))
    # Had it been away all the while, it would have been away for no longer than it may be.
    assert judged("API server", seen("API server", unknown(50, 20), down(100, 5))) is None


def test_longest_unknown_is_looked_for_at_the_edges_too() -> None:
    states: list[tuple[float, State]] = [(12.0, "up"), (13.0, "unknown"), (15.0, "up"), (16.0, "up")]
    samples = tuple(Sample(at, at, state) for at, state in states)
    path = RouteSamples(Route("DNS", "", "", reuse=False), Tally("", samples))
    assert longest_unknown(path, 12.0, 16.0) == 3
    assert longest_unknown(path, 7.0, 16.0) == 5
    assert longest_unknown(path, 12.0, 22.0) == 6
    assert longest_unknown(replace(path, tally=Tally("", ())), 1.0, 11.0) == 10
    # What lies beside an outage widens its bounds instead.
    beside = (*samples, Sample(20.0, 20.0, "down"), Sample(30.0, 30.0, "up"), Sample(32.0, 32.0, "up"))
    assert longest_unknown(replace(path, tally=Tally("", beside)), 12.0, 32.0) == 3


def test_outage_whose_end_is_unknown_may_have_been_too_long() -> None:
    for kind, reuse in SOME:
        limit = allowed(kind, 1, reuse=reuse).seconds
        for stretches in (
            (down(10, 1), unknown(11, limit + 10)),
            (unknown(10, limit + 10), down(20 + limit, 1)),
            (down(10, limit - 5), unknown(5 + limit, 20)),
        ):
            with pytest.raises(HarnessError, match=r"its outages are known to \+-\d+\.\d s"):
                judged(kind, seen(kind, *stretches, reuse=reuse))
        assert judged(kind, seen(kind, down(10, 1), unknown(11, 3), reuse=reuse)) is None


def test_bound_of_the_unknown_grows_as_the_paths_of_many_nodes_are_asked_less_often() -> None:
    many = [seen("ClusterIP", place=f"node-{number}", every=4.0) for number in range(400)]
    assert judged("ClusterIP", *many) is None
    beside = seen("NodePort")
    assert known_seconds(record(beside, *many), beside) == 2
    assert known_seconds(record(beside, *many), many[0]) == 80
    assert known_seconds(record(*many[:10]), many[0]) == 2
    assert known_seconds(record(*many[:15], *many[:15]), many[0]) == 3
    with pytest.raises(HarnessError):
        judged("ClusterIP", *many[:10])
    spaced = paths.plan([], paths.DATA_INTERVAL, nodes=400)["interval"]
    assert known_seconds(record(*many), many[0]) == pytest.approx(40 * spaced)


OLD, NEW = "v1.36.3", "v1.37.2"


@pytest.mark.parametrize(
    ("server", "kubelet", "proxy", "wrong"),
    [
        (NEW, NEW, NEW, ""),
        (NEW, "v1.37.9", NEW, ""),
        (NEW, "v1.34.0", "v1.34.0", ""),
        (NEW, "v1.33.9", NEW, "kubelet of n v1.33.9"),
        (NEW, NEW, "v1.33.9", "kube-proxy of n v1.33.9"),
        (OLD, NEW, OLD, "kubelet of n v1.37.2, API server v1.36.3"),
        (OLD, OLD, NEW, "kube-proxy of n v1.37.2"),
        (OLD, OLD, "", ""),
        ("", NEW, NEW, ""),
        (NEW, "garbage", "latest", ""),
    ],
)
def test_skew_is_within_the_policy(server: str, kubelet: str, proxy: str, wrong: str) -> None:
    found = skewed(Versions(1.0, server, {"n": kubelet}, {"n": proxy}))
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_skew_counts_at_every_moment_and_on_every_node() -> None:
    fine = Versions(1.0, NEW, {"a": OLD, "b": OLD}, {"a": "", "b": OLD})
    assert skew_allowed()(record(versions=(fine, fine))).met
    bad = replace(fine, kubelets={"a": OLD, "b": "v1.38.0"})
    assert "kubelet of b v1.38.0" in skew_allowed()(record(versions=(fine, bad, fine))).got


@pytest.mark.parametrize("versions", [(), (Versions(1.0, "", {"a": OLD}, {}),), (Versions(1.0, NEW, {}, {}),)])
def test_versions_that_were_not_seen_cannot_be_told(versions: tuple[Versions, ...]) -> None:
    with pytest.raises(HarnessError, match="no version"):
        skew_allowed()(record(versions=versions))


def test_kubelets_that_the_next_version_would_not_support_are_told() -> None:
    kubelets = {"a": "v1.34.0", "b": "v1.33.9", "c": NEW}
    assert too_old(kubelets, NEW) == {"b": "v1.33.9"}
    assert too_old(kubelets, next_minor(NEW)) == {"a": "v1.34.0", "b": "v1.33.9"}


def test_next_minor_version_is_one_more() -> None:
    assert next_minor("v1.9.3") == "v1.10"


def after(**over: Any) -> After:
    given: Json = {"wanted": NEW, "server": NEW, "kubelets": {"a": NEW, "b": NEW}, "proxies": {"a": "v1.37.0", "b": NEW}}
    return After(cast("Any", None), None, state=cast("Any", None), configuration={}, **{**given, **over})


def test_api_server_and_kubelets_must_be_exactly_as_wanted() -> None:
    assert kubelets_as_wanted()(after()).met
    assert kubelets_as_wanted()(after(server=OLD)).got == "API server v1.36.3"
    for other in (OLD, "v1.37.1", "None"):
        assert f"kubelet of b {other}" in kubelets_as_wanted()(after(kubelets={"a": NEW, "b": other})).got
    with pytest.raises(HarnessError, match="no Node"):
        kubelets_as_wanted()(after(kubelets={}))


def test_where_no_version_was_named_all_must_be_of_one_minor() -> None:
    assert kubelets_as_wanted()(after(wanted="", kubelets={"a": NEW, "b": "v1.37.1-cloud.5"})).met
    for other in (OLD, "v1.38.0", "None"):
        assert f"kubelet of b {other}" in kubelets_as_wanted()(after(wanted="", kubelets={"a": NEW, "b": other})).got


def test_kube_proxies_must_be_of_the_minor_version_where_there_are_any() -> None:
    assert proxies_as_wanted()(after()).met
    assert proxies_as_wanted()(after(proxies={})).met
    for other in (OLD, "", "latest"):
        assert proxies_as_wanted()(after(proxies={"a": NEW, "b": other})).got == f"{other or 'no version'} on b"
