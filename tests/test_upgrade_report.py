import json
from typing import Any

import pytest

from kubechain.probes.load import Sample, State, Tally
from kubechain.upgrade.figures import figures, line
from kubechain.upgrade.model import Kind, Route, RouteSamples, UpgradeEvent, UpgradeRecord, Versions
from reports.upgrade_json import document

BEGAN, SECONDS = 1_790_000_000.0, 200.0
Stretch = tuple[float, float]


def seen(
    kind: Kind,
    what: str = "",
    *,
    down: Stretch = (0, 0),
    unknown: Stretch = (0, 0),
    end: float = SECONDS,
    reuse: bool = False,
) -> RouteSamples:
    """Return a route with ten samples per second until `end`, which are down and unknown in these stretches."""

    def state(at: float) -> State:
        return "down" if down[0] <= at < down[1] else "unknown" if unknown[0] <= at < unknown[1] else "up"

    def sample(at: float) -> Sample:
        return Sample(BEGAN + at, BEGAN + at, state(at), "" if state(at) == "up" else "refused <&>")

    route = Route(kind, what, "", reuse=reuse)
    return RouteSamples(route, Tally(route.name, tuple(sample(number / 10) for number in range(round(end * 10)))))


def record(*routes: RouteSamples, **over: Any) -> UpgradeRecord:
    given: dict[str, Any] = {
        "hops": ("1.36.3", "1.37.2"),
        "began": BEGAN,
        "ended": BEGAN + SECONDS,
        "routes": routes,
        "events": (
            UpgradeEvent(BEGAN + 5, "step", "kubelet of <b> & co"),
            UpgradeEvent(BEGAN + 6.25, "restart", "etcd of cp started"),
        ),
        "versions": (
            Versions(BEGAN, "v1.36.3", {"cp": "v1.36.3"}, {"cp": "v1.36.3"}),
            Versions(BEGAN + 50, "v1.37.2", {"cp": "v1.36.3"}, {"cp": ""}),
        ),
        "relists": 1,
        "lost": 4,
        "control_planes": 1,
        "upgraded_by_this_run": True,
        "drained": ("cp",),
        "warnings": ("policy/v1beta1 is deprecated",),
    }
    return UpgradeRecord(**{**given, **over})


def within(each: RouteSamples, **over: Any) -> bool | None:
    return figures(record(each, **over), each).within


def entry(each: RouteSamples, **over: Any) -> dict[str, Any]:
    return json.loads(json.dumps(document(record(each, **over), "chain holds").as_json()))["routes"][0]


def test_document_has_the_figures_of_a_route() -> None:
    found = entry(seen("API server", "get", down=(10, 21), unknown=(30, 30.5)))
    assert (found["name"], found["kind"], found["what"]) == ("API server get, new connections", "API server", "get")
    assert (found["probeFrom"], found["connections"]) == ("", "new")
    assert (found["samples"], found["up"], found["lost"], found["unknown"]) == (2000, 1885, 110, 5)
    assert found["largestGap"] == pytest.approx(0.6)
    (outage,) = found["outages"]
    assert (outage["start"], outage["end"], outage["seconds"], outage["lost"]) == (10, 21, 11, 110)
    assert outage["errors"] == {"refused <&>": 110}
    assert found["unavailable"] == {"seconds": 11, "error": pytest.approx(0.1)}
    assert (found["allowed"]["seconds"], found["within"]) == (180, True)


def test_document_has_events_and_versions_with_their_times() -> None:
    found = json.loads(json.dumps(document(record(), "chain holds: 9 claims").as_json()))
    assert (found["schema"], found["verdict"], found["hops"]) == (2, "chain holds: 9 claims", ["1.36.3", "1.37.2"])
    assert (found["began"], found["ended"]) == ("2026-09-21T14:13:20Z", "2026-09-21T14:16:40Z")
    assert found["seconds"] == 200
    assert found["events"][1] == {"at": 6.25, "kind": "restart", "what": "etcd of cp started"}
    assert found["versions"][1] == {"at": 50, "server": "v1.37.2", "kubelets": {"cp": "v1.36.3"}, "proxies": {"cp": ""}}
    assert (found["relists"], found["lostWatches"], found["drained"]) == (1, 4, ["cp"])
    assert found["warnings"] == ["policy/v1beta1 is deprecated"]


def test_route_down_for_longer_than_allowed_is_not_within() -> None:
    assert within(seen("API server", down=(10, 189))) is True
    assert within(seen("API server", down=(10, 191))) is False
    assert within(seen("API server", down=(10, 191)), control_planes=3) is False
    assert within(seen("API server", down=(10, 21)), control_planes=3) is False
    assert within(seen("API server", down=(10, 21)), control_planes=0) is False


def test_allowance_is_per_hop() -> None:
    route = seen("API proxy", down=(10, 195))
    assert within(route) is False
    assert within(route, hops=("1.35.4", "1.36.3", "1.37.2")) is True
    assert entry(route, hops=("1.35.4", "1.36.3", "1.37.2"))["allowed"]["seconds"] == 360


def test_the_data_plane_may_not_lose_a_single_request() -> None:
    kinds: tuple[Kind, ...] = ("NodePort", "ClusterIP", "DNS")
    assert [within(seen(kind, down=(10, 10.1))) for kind in kinds] == [False] * 3
    assert [within(seen(kind)) for kind in kinds] == [True] * 3


def test_of_dns_only_kept_sockets_have_an_allowance() -> None:
    kept = entry(seen("DNS", down=(10, 24), reuse=True))
    assert (kept["connections"], kept["allowed"]["seconds"], kept["within"]) == ("kept", 15, True)
    new = entry(seen("DNS", down=(10, 24)))
    assert (new["connections"], new["allowed"]["seconds"], new["within"]) == ("new", 0, False)
    assert kept["allowed"]["reason"] != new["allowed"]["reason"]
    for planes in (0, 1, 3):
        assert within(seen("DNS", down=(10, 26), reuse=True), control_planes=planes) is False
    assert within(seen("DNS", down=(10, 26), reuse=True), hops=("1.35.4", "1.36.3", "1.37.2")) is True
    kinds: tuple[Kind, ...] = ("NodePort", "ClusterIP")
    assert [within(seen(kind, down=(10, 10.1), reuse=True)) for kind in kinds] == [False] * 2


def test_unknown_time_next_to_an_outage_widens_its_error_bound() -> None:
    for unknown, down in (((20, 25), (10, 20)), ((5, 10), (10, 20))):
        found = entry(seen("API server", down=down, unknown=unknown))
        assert found["largestGap"] == pytest.approx(0.1)
        assert found["unavailable"]["error"] == pytest.approx(5.1)
    # Longer than the allowance only with the error bound.
    assert within(seen("DNS", down=(10, 17), unknown=(17, 23), reuse=True)) is None
    assert within(seen("DNS", down=(10, 14), unknown=(14, 18), reuse=True)) is True


def test_route_with_too_long_unknown_time_is_undecided() -> None:
    assert within(seen("NodePort", unknown=(10, 15))) is None
    assert within(seen("NodePort", end=150)) is None
    assert within(seen("API server", unknown=(0, SECONDS))) is None
    # It may have been down for all of the unknown time.
    assert within(seen("API server", down=(5, 6), unknown=(6, 199))) is None
    assert within(seen("API server", down=(5, 6), unknown=(6, 20))) is True
    # An outage counts even if other times are unknown.
    assert within(seen("NodePort", down=(10, 11), unknown=(20, 25))) is False


def test_line_of_an_upgrade() -> None:
    routes = (
        seen("NodePort", "a"),
        seen("NodePort", "b"),
        seen("ClusterIP"),
        seen("DNS"),
        seen("API server", "get", down=(10, 12)),
        seen("API server", "write", down=(10, 21.2)),
        seen("API proxy", down=(10, 21.4)),
    )
    assert line(record(*routes), "chain holds") == (
        "upgrade 1.36.3 -> 1.37.2: chain holds; NodePort 0 of 4,000 lost; ClusterIP 0 of 2,000 lost; DNS 0 of 2,000 lost; "
        "API server unreachable 11.2 s (+-0.1), allowed 180 s; API proxy unreachable 11.4 s (+-0.1), allowed 180 s"
    )


def test_line_has_a_text_of_its_own_for_kept_sockets_of_dns() -> None:
    new, kept = seen("DNS", "a"), seen("DNS", "a", down=(10, 11.2), reuse=True)
    also = seen("DNS", "b", unknown=(20, 20.5), reuse=True)
    hops = ("1.35.4", "1.36.3", "1.37.2")
    assert (
        "; ClusterIP not sampled; DNS 0 of 2,000 lost; DNS, kept sockets unreachable 1.2 s (+-0.1), allowed 15 s; API server not"
    ) in line(record(new, kept), "x")
    assert "; DNS 0 of 2,000 lost; DNS, kept sockets unreachable 1.2 s (+-0.1), allowed 30 s, 5 unknown; API" in line(
        record(also, kept, new, hops=hops), "x"
    )
    assert "; DNS 10 of 2,000 lost, longest on a route 1.0 s (+-0.1); DNS, kept sockets unreachable 0.0 s (+-0.0)," in line(
        record(seen("DNS", down=(10, 11)), seen("DNS", reuse=True)), "x"
    )
    # For other kinds, new and kept connections have the same allowance.
    text = line(record(*(seen(kind, reuse=reuse) for kind in ("NodePort", "API proxy") for reuse in (False, True))), "x")
    assert "; NodePort 0 of 4,000 lost; " in text
    assert text.endswith("; API proxy unreachable 0.0 s (+-0.0), allowed 180 s")


def test_line_has_losses_unknown_samples_gaps_and_kinds_without_samples() -> None:
    routes = (seen("NodePort", "a", down=(10, 13)), seen("NodePort", "b", down=(10, 11), unknown=(20, 20.5)))
    text = line(record(*routes, hops=("v1.34.4", "v1.35.4", "v1.36.3")), "chain broken at NODEPORT: x")
    assert text.startswith(
        "upgrade 1.34.4 -> 1.35.4 -> 1.36.3: chain broken at NODEPORT: x; "
        "NodePort 40 of 4,000 lost, longest on a route 3.0 s (+-0.1), 5 unknown; ClusterIP not sampled; "
    )
    assert "; DNS 0 of 1,500 lost, no known sample for 50.1 s; " in line(record(seen("DNS", end=150)), "x")
    assert "API server unreachable 0.0 s (+-0.0), allowed 360 s, 2,000 unknown" in line(
        record(seen("API server", unknown=(0, SECONDS)), hops=("1", "2", "3")), "x"
    )
