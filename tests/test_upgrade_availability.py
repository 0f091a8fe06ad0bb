from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest

from kubechain.conditions.target_version import old_kubelets
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json
from kubechain.probes.load import Sample, State, Tally
from kubechain.upgrade import routes
from kubechain.upgrade.allowances import ALLOWANCES, allowed
from kubechain.upgrade.availability import (
    kept_up,
    known_seconds,
    kubelets_as_wanted,
    longest_unknown,
    nodes_ready,
    proxies_as_wanted,
    skew_allowed,
    skewed,
)
from kubechain.upgrade.model import Kind, Route, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After
from kubechain.upgrade.versions import next_minor
from suites.upgrade import test_3_after as after_a_change

BEGAN, ENDED = 1000.0, 1600.0
DATA: list[Kind] = ["NodePort", "ClusterIP", "DNS"]
# Routes with an allowance.
ALLOWED: list[tuple[Kind, bool]] = [key for key, (alone, _) in ALLOWANCES.items() if alone.seconds]
HOP = ("1.36.3", "1.37.2")


@cache
def seen(
    kind: Kind, *stretches: tuple[State, float, float], place: str = "", every: float = 0.1, reuse: bool = False
) -> RouteSamples:
    """Return a route that is up except in these stretches (state, start, end)."""

    def state(at: float) -> State:
        states: list[State] = [state for state, start, end in stretches if start <= at < end]
        return states[0] if states else "up"

    times = [BEGAN + number * every for number in range(round((ENDED - BEGAN) / every))]
    samples = tuple(Sample(at, at + 0.01, state(at), "" if state(at) == "up" else "refused") for at in times)
    return RouteSamples(Route(kind, "", place, reuse=reuse), Tally("the route", samples))


def record(*routes: RouteSamples, **over: Any) -> UpgradeRecord:
    given: Json = {
        "hops": HOP,
        "events": (),
        "versions": (),
        "relists": 0,
        "lost": 0,
        "control_planes": 1,
        "upgraded_by_this_run": True,
    }
    return UpgradeRecord(began=BEGAN, ended=ENDED, routes=routes, **{**given, **over})


def failure(kind: Kind, *routes: RouteSamples, **over: Any) -> str | None:
    """Return None if the routes kept up, else the message."""
    result = kept_up(kind)(record(*routes, **over))
    return None if result.met else str(result)


def down(start: float, seconds: float) -> tuple[State, float, float]:
    return "down", BEGAN + start, BEGAN + start + seconds


def unknown(start: float, seconds: float) -> tuple[State, float, float]:
    return "unknown", BEGAN + start, BEGAN + start + seconds


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("planes", [0, 1, 3])
@pytest.mark.parametrize("hops", [HOP, ("1", "2", "3", "4")])
def test_a_lost_request_of_the_data_plane_is_unmet(kind: Kind, planes: int, hops: tuple[str, ...]) -> None:
    assert failure(kind, seen(kind), control_planes=planes, hops=hops) is None
    for reuse in [False] if kind == "DNS" else [False, True]:
        message = failure(kind, seen(kind), seen(kind, down(50, 0.1), reuse=reuse), control_planes=planes, hops=hops)
        assert message is not None
        assert "got 1 of 6,000 lost (1 connection refused); down for 0.1 s (+-0.1 s)" in message
        assert f"no request lost on {seen(kind, reuse=reuse).route.name} ({ALLOWANCES[kind, reuse][0].reason})" in message


@pytest.mark.parametrize(("kind", "reuse"), ALLOWED)
@pytest.mark.parametrize("planes", [0, 1, 3])
def test_route_may_be_down_for_its_allowance_in_each_hop(kind: Kind, planes: int, *, reuse: bool) -> None:
    seconds = allowed(kind, planes, reuse=reuse).seconds

    def of(*stretches: tuple[State, float, float], hops: tuple[str, ...] = HOP) -> str | None:
        return failure(kind, seen(kind), seen(kind, *stretches, reuse=reuse), control_planes=planes, hops=hops)

    assert of(down(10, seconds)) is None
    assert of(down(10, seconds), hops=("1",)) is None
    assert f"at most {seconds:g} s down on" in (of(down(10, seconds + 1)) or "")
    twice = (down(10, seconds), down(300, seconds))
    assert of(*twice) is not None
    assert of(*twice, hops=("1", "2", "3")) is None
    assert f"at most {2 * seconds:g} s down on" in (of(*twice, down(280, 2), hops=("1", "2", "3")) or "")


def test_routes_of_other_kinds_do_not_matter() -> None:
    assert failure("DNS", seen("DNS"), seen("NodePort", down(0, 100)), seen("ClusterIP", unknown(0, 100))) is None


def test_kind_without_samples_is_undecided() -> None:
    with pytest.raises(HarnessError, match="no DNS route was sampled"):
        failure("DNS", seen("NodePort"))
    with pytest.raises(HarnessError, match="cannot decide: expected DNS, new connections to be up; "):
        failure("DNS", seen("DNS", unknown(0, 600)))
    nothing = RouteSamples(Route("DNS", "", "", reuse=False), Tally("the route", ()))
    for ended in (ENDED, BEGAN + 0.5):
        with pytest.raises(HarnessError, match="cannot decide"):
            kept_up("DNS")(replace(record(nothing), ended=ended))


@pytest.mark.parametrize("start", [0, 50, 598])
def test_route_that_is_unknown_for_too_long_is_undecided(start: float) -> None:
    assert failure("DNS", seen("DNS", unknown(start, 1.7))) is None
    with pytest.raises(HarnessError, match=r"no known sample for \d\.\d s"):
        failure("DNS", seen("DNS"), seen("DNS", unknown(start - 0.4, 2.7)))


def test_lost_requests_count_even_if_others_are_unknown() -> None:
    assert failure("DNS", seen("DNS", unknown(50, 20)), seen("DNS", down(50, 5)))
    assert failure("DNS", seen("DNS", unknown(50, 20), down(100, 5)))
    with pytest.raises(HarnessError):
        failure("API server", seen("API server", unknown(50, 190), down(300, 5)))
    # Even if the route was down for all of the unknown time, it was down for less than its allowance.
    assert failure("API server", seen("API server", unknown(50, 20), down(100, 5))) is None


def test_longest_unknown_time_includes_the_edges() -> None:
    states: list[tuple[float, State]] = [(12.0, "up"), (13.0, "unknown"), (15.0, "up"), (16.0, "up")]
    samples = tuple(Sample(at, at, state) for at, state in states)
    route = RouteSamples(Route("DNS", "", "", reuse=False), Tally("", samples))
    assert longest_unknown(route, 12.0, 16.0) == 3
    assert longest_unknown(route, 7.0, 16.0) == 5
    assert longest_unknown(route, 12.0, 22.0) == 6
    assert longest_unknown(replace(route, tally=Tally("", ())), 1.0, 11.0) == 10
    # Unknown time next to an outage widens its error bound instead.
    beside = (*samples, Sample(20.0, 20.0, "down"), Sample(30.0, 30.0, "up"), Sample(32.0, 32.0, "up"))
    assert longest_unknown(replace(route, tally=Tally("", beside)), 12.0, 32.0) == 3


def test_outage_with_an_unknown_edge_is_undecided_if_it_may_be_too_long() -> None:
    for kind, reuse in ALLOWED:
        limit = allowed(kind, 1, reuse=reuse).seconds
        for stretches in (
            (down(10, 1), unknown(11, limit + 10)),
            (unknown(10, limit + 10), down(20 + limit, 1)),
            (down(10, limit - 5), unknown(5 + limit, 20)),
        ):
            with pytest.raises(HarnessError, match=r"its outages are known to \+-\d+\.\d s"):
                failure(kind, seen(kind, *stretches, reuse=reuse))
        assert failure(kind, seen(kind, down(10, 1), unknown(11, 3), reuse=reuse)) is None


def test_unknown_bound_grows_with_the_interval_of_many_nodes() -> None:
    many = [seen("ClusterIP", place=f"node-{number}", every=4.0) for number in range(400)]
    assert failure("ClusterIP", *many) is None
    beside = seen("NodePort")
    assert known_seconds(record(beside, *many), beside) == 2
    assert known_seconds(record(beside, *many), many[0]) == 80
    assert known_seconds(record(*many[:10]), many[0]) == 2
    assert known_seconds(record(*many[:15], *many[:15]), many[0]) == 3
    with pytest.raises(HarnessError):
        failure("ClusterIP", *many[:10])
    interval = routes.plan([], routes.DATA_INTERVAL, nodes=400)["interval"]
    assert known_seconds(record(*many), many[0]) == pytest.approx(40 * interval)


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
    component = skewed(Versions(1.0, server, {"n": kubelet}, {"n": proxy}))
    assert component.startswith(wrong)
    assert bool(component) == bool(wrong)


def test_skew_is_checked_at_every_time_and_on_every_node() -> None:
    fine = Versions(1.0, NEW, {"a": OLD, "b": OLD}, {"a": "", "b": OLD})
    assert skew_allowed()(record(versions=(fine, fine))).met
    bad = replace(fine, kubelets={"a": OLD, "b": "v1.38.0"})
    assert "kubelet of b v1.38.0" in skew_allowed()(record(versions=(fine, bad, fine))).got


@pytest.mark.parametrize("versions", [(), (Versions(1.0, "", {"a": OLD}, {}),), (Versions(1.0, NEW, {}, {}),)])
def test_unknown_versions_are_undecided(versions: tuple[Versions, ...]) -> None:
    with pytest.raises(HarnessError, match="no version"):
        skew_allowed()(record(versions=versions))


def test_kubelets_too_old_for_the_next_version_are_found() -> None:
    kubelets = {"a": "v1.34.0", "b": "v1.33.9", "c": NEW}
    assert [each.name for each in old_kubelets(kubelets, NEW)] == ["Node b"]
    assert [each.name for each in old_kubelets(kubelets, next_minor(NEW))] == ["Node a", "Node b"]


def test_next_minor_version_is_one_more() -> None:
    assert next_minor("v1.9.3") == "v1.10"


def after(**over: Any) -> After:
    given: Json = {
        "unready": [],
        "wanted": NEW,
        "server": NEW,
        "kubelets": {"a": NEW, "b": NEW},
        "proxies": {"a": "v1.37.0", "b": NEW},
    }
    return After(cast("Any", None), None, state=cast("Any", None), configuration={}, **{**given, **over})


def test_api_server_and_kubelets_must_have_the_wanted_version() -> None:
    assert kubelets_as_wanted()(after()).met
    assert kubelets_as_wanted()(after(server=OLD)).got == "API server v1.36.3"
    for other in (OLD, "v1.37.1", "None"):
        assert f"kubelet of b {other}" in kubelets_as_wanted()(after(kubelets={"a": NEW, "b": other})).got
    with pytest.raises(HarnessError, match="no Node"):
        kubelets_as_wanted()(after(kubelets={}))


def test_nodes_must_be_ready_again() -> None:
    assert nodes_ready()(after()).met
    assert nodes_ready()(after(unready=["b"])).got == "b not Ready"


def test_without_a_wanted_version_all_must_have_one_minor() -> None:
    assert kubelets_as_wanted()(after(wanted="", kubelets={"a": NEW, "b": "v1.37.1-cloud.5"})).met
    for other in (OLD, "v1.38.0", "None"):
        assert f"kubelet of b {other}" in kubelets_as_wanted()(after(wanted="", kubelets={"a": NEW, "b": other})).got


def test_kube_proxies_must_have_the_minor_version_of_the_api_server() -> None:
    assert proxies_as_wanted()(after()).met
    assert proxies_as_wanted()(after(proxies={})).met
    for other in (OLD, "", "latest"):
        assert proxies_as_wanted()(after(proxies={"a": NEW, "b": other})).got == f"{other or 'no version'} on b"


def test_no_kube_proxy_that_can_be_seen_is_not_known_to_be_right() -> None:
    upgraded = after(proxies={})
    with pytest.raises(pytest.skip.Exception, match="a Pod with the label k8s-app=kube-proxy"):
        after_a_change.test_all_kube_proxies_are_upgraded(upgraded)
    after_a_change.test_all_kube_proxies_are_upgraded(after())
