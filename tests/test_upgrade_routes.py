import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.change_settings import SAMPLER_SECONDS
from kubechain.core.errors import HarnessError
from kubechain.observe.history import History
from kubechain.upgrade import routes, samplers
from kubechain.upgrade.pod_samplers import ready
from kubechain.upgrade.routes import HERE, Place, RouteRequest
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WELCOME
from tests.fakes import FakeApi, FakeClock, changed, conditions, no_answer, not_ready, owned_by, pod, service, thing


def chain(*, address: str = "10.96.0.9", node: str = "172.18.0.2", server: str = "https://127.0.0.1:6443") -> Chain:
    history = History("ns", FakeClock())
    history.record("ADDED", service(spec={"clusterIP": address, "ports": [{"nodePort": 30080}]}))
    addresses = [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": node}]
    status = {"addresses": addresses, "conditions": conditions(Ready="True")}
    nodes = tuple(thing("Node", name, status=status) for name in ("a", "b"))
    observer, waiter = cast("Any", SimpleNamespace(history=history)), cast("Any", None)
    return Chain(FakeApi(no_answer, server), "ns", observer, waiter, nodes, "host", "nginx", frozenset(), "client", 4)


def everything(**over: Any) -> list[RouteRequest]:
    witnesses = chain(**over)
    places = [Place(name, f"uid-Node-{name}") for name in ("a", "b")]
    in_pods = [each for node in places for each in routes.from_pod(witnesses, node, "cluster.local", "10.96.0.10")]
    address = witnesses.asked["a"]
    node_ports = [each for at in (HERE, places[0]) for node in places for each in routes.node_port(witnesses, node, address, at)]
    return [*node_ports, *routes.api_server(witnesses), *in_pods]


def test_every_route_has_new_and_kept_connections_and_a_unique_name() -> None:
    all_requests = everything()
    assert len({each.route.name for each in all_requests}) == len(all_requests) == 2 * (2 + 2 + 4 + 2 * 2)
    for new, kept in zip(all_requests[::2], all_requests[1::2], strict=True):
        assert (new.route.kind, new.route.what, new.route.place) == (kept.route.kind, kept.route.what, kept.route.place)
        assert (new.route.reuse, kept.route.reuse) == (False, True)
        assert (new.request["reuse"], kept.request["reuse"]) == (False, True)
        assert {**new.request, "reuse": True} == kept.request


def test_routes_are_named_by_destination_and_source() -> None:
    names = [each.route.name for each in everything()]
    assert "NodePort a, new connections" in names
    assert "NodePort b from a, kept connections" in names
    assert "API server write, new connections" in names
    assert "API proxy, kept connections" in names
    assert "DNS from b, new connections" in names


def test_every_route_has_an_expected_answer() -> None:
    expected = {(each.route.kind, each.route.what): each.request["expect"] for each in everything()}
    assert {kind: text for (kind, what), text in expected.items() if what != "readyz"} == {
        "NodePort": WELCOME,
        "API server": '"ConfigMap"',
        "API proxy": WELCOME,
        "ClusterIP": WELCOME,
        "DNS": WELCOME,
    }
    assert expected["API server", "readyz"] == "ok"


def requests(kind: str, **over: Any) -> list[Any]:
    return [each.request for each in everything(**over) if each.route.kind == kind and not each.route.reuse]


def test_urls_match_the_names_of_routes() -> None:
    assert {each["url"] for each in requests("NodePort")} == {"http://172.18.0.2:30080/"}
    assert {each["url"] for each in requests("ClusterIP")} == {"http://10.96.0.9:80/"}
    server = "https://127.0.0.1:6443"
    scratch = f"{server}/api/v1/namespaces/ns/configmaps/scratch"
    assert [each["url"] for each in requests("API server")] == [f"{server}/readyz", scratch, scratch]
    assert [each["url"] for each in requests("API proxy")] == [f"{server}/api/v1/namespaces/ns/services/web:80/proxy/"]


def test_every_write_changes_the_object() -> None:
    (write,) = [each for each in requests("API server") if "method" in each]
    assert (write["method"], write["content"]) == ("PATCH", "application/merge-patch+json")
    assert json.loads(write["body"].replace("{n}", "7")) == {"data": {"n": "7"}}


def test_dns_route_looks_up_the_name_and_requests_the_cluster_ip() -> None:
    lookup = {"server": "10.96.0.10", "name": "web.ns.svc.cluster.local.", "address": "10.96.0.9"}
    assert [(each["url"], each["lookup"]) for each in requests("DNS")] == [("http://10.96.0.9:80/", lookup)] * 2


def test_ipv6_addresses_have_brackets_in_urls_only() -> None:
    over = {"address": "fd00::9", "node": "fc00::2", "server": "https://[::1]:6443"}
    assert {each["url"] for each in requests("NodePort", **over)} == {"http://[fc00::2]:30080/"}
    assert {each["url"] for each in requests("ClusterIP", **over)} == {"http://[fd00::9]:80/"}
    assert requests("DNS", **over)[0]["lookup"]["address"] == "fd00::9"
    assert requests("API server", **over)[0]["url"] == "https://[::1]:6443/readyz"


@pytest.mark.parametrize("interval", [routes.DATA_INTERVAL, routes.API_INTERVAL])
@pytest.mark.parametrize("nodes", [1, 10, 11, 13, 17, 100, 5000])
def test_plan_is_bounded_by_number_and_duration(interval: float, nodes: int) -> None:
    plan = routes.plan(everything(), interval, nodes=nodes)
    assert plan["interval"] == pytest.approx(interval * max(1, nodes / 10))
    assert SAMPLER_SECONDS - plan["interval"] < plan["limit"] * plan["interval"] <= SAMPLER_SECONDS
    assert plan["seconds"] == SAMPLER_SECONDS
    # The total rate is not higher than that of ten Nodes.
    assert nodes / plan["interval"] <= 10 / interval + 1e-9


def test_plan_has_every_field_and_is_json() -> None:
    requests = everything()
    plan = routes.plan(requests, 0.1, tls={"verify": True})
    assert json.loads(json.dumps(plan)) == plan
    assert plan["tls"] == {"verify": True}
    fields = {"url", "expect", "reuse", "method", "body", "content", "lookup", "ports"}
    assert [set(each) for each in plan["paths"]] == [fields] * len(requests)
    assert plan["paths"][0]["method"] == "GET"
    assert [each["url"] for each in plan["paths"]] == [each.request["url"] for each in requests]
    assert "PATCH" in {each["method"] for each in plan["paths"]}


def test_only_new_connections_have_source_ports_and_each_route_its_own() -> None:
    requests = everything()
    spread = routes.with_source_ports(requests)
    assert [each.route for each in spread] == [each.route for each in requests]
    ranges = [each.request["ports"] for each in spread if not each.route.reuse]
    taken = [port for first, count in ranges for port in range(first, first + count)]
    assert len(taken) == len(set(taken))
    # Not privileged, and below nodePorts and ephemeral ports.
    assert min(taken) > 1024
    assert max(taken) < 30_000
    # With the two routes of a Pod, no port repeats within the 2 minutes for which a Node tracks a connection.
    few = routes.with_source_ports(routes.from_pod(chain(), Place("a", "u"), "cluster.local", "10.96.0.10"))
    assert all(each.request["ports"][1] * routes.DATA_INTERVAL > 120 for each in few if not each.route.reuse)
    assert all(each.request["ports"] is None for each in spread if each.route.reuse)
    assert routes.with_source_ports([]) == []


def test_source_ports_of_a_route_stay_when_more_are_added_and_are_shared_beyond_the_room() -> None:
    requests = [
        each for number in range(8) for each in routes.node_port(chain(), Place(f"n{number}", f"u{number}"), "172.18.0.9")
    ]
    few, more = (routes.with_source_ports(requests[:count], room=6) for count in (6, 16))
    assert [each.request["ports"] for each in more[:6]] == [each.request["ports"] for each in few]
    assert more[12].request["ports"] == more[0].request["ports"]
    assert all(each.request["ports"][1] * routes.DATA_INTERVAL > 120 for each in more if not each.route.reuse)


def test_route_names_the_uids_of_its_nodes() -> None:
    found = {each.route.name: each.route.nodes for each in everything() if not each.route.reuse}
    assert found["NodePort b from a, new connections"] == ("uid-Node-b", "uid-Node-a")
    assert found["ClusterIP from b, new connections"] == ("uid-Node-b",)
    assert found["API proxy, new connections"] == ()


def test_ended_routes_keep_their_places_in_the_plan() -> None:
    requests = everything()
    plan = routes.plan(requests, 0.1, ended={requests[1].route})
    assert [number for number, each in enumerate(plan["paths"]) if each is None] == [1]
    assert len(plan["paths"]) == len(requests)


def test_folder_of_samples_is_locked_by_a_run(tmp_path: Path) -> None:
    with (
        samplers.locked(tmp_path),
        pytest.raises(HarnessError, match=f"^{tmp_path}: another run samples into this folder"),
        samplers.locked(tmp_path),
    ):
        pass
    with samplers.locked(tmp_path):
        pass


def test_pods_of_an_earlier_sampler_are_not_ready() -> None:
    before, now = thing("DaemonSet", "sampler", uid="before"), thing("DaemonSet", "sampler", uid="now")
    ours = pod(0, ownerReferences=owned_by(now))
    existing = [
        ours,
        pod(1, ownerReferences=owned_by(before)),
        pod(2, ownerReferences=owned_by(now), deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    existing.append(not_ready(pod(3, ownerReferences=owned_by(now))))
    others = [pod(4, labels={"app": "web"}, ownerReferences=owned_by(now))]
    sampled = [changed(each, "metadata.labels", {"app": "sampler"}) for each in existing]
    assert [each.name for each in ready([*sampled, *others], now)] == [ours.name]
