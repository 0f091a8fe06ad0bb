"""Which Nodes are asked at their nodePorts: those that should serve by what they say of themselves."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims import premises
from kubechain.conditions import pods as on_pods
from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page
from kubechain.core.errors import HarnessError, NotApplicable
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.kube.shape import Shape
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.workload import cluster_nodes
from kubechain.workload.asked_nodes import AskedNodes
from kubechain.workload.chain import Chain
from kubechain.workload.cluster_nodes import ClusterNodes, why_unable
from kubechain.workload.manifests import LABELS
from kubechain.workload.node_addresses import NodeAddresses
from kubechain.workload.sources import answers, at_nodes
from tests.fakes import FakeApi, FakeClock, changed, conditions, pod, service, state, thing

ADDRESSES = [{"type": "InternalIP", "address": "fd00::2"}, {"type": "InternalIP", "address": "172.18.0.2"}]
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"


def tainted(key: str) -> dict[str, str]:
    return {"key": key, "effect": "NoSchedule"}


def node(name: str = "n1") -> KubeObject:
    status = {"addresses": ADDRESSES, "conditions": conditions(Ready="True")}
    return thing("Node", name, labels={"kubernetes.io/os": "linux"}, spec={}, status=status)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (
            "status.conditions",
            [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}],
            "not ready (NodeStatusUnknown)",
        ),
        ("status.conditions", [], "not ready (no condition)"),
        ("status.conditions", conditions(Ready="True", NetworkUnavailable="True"), "network unavailable"),
        ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z", "being deleted"),
        ("spec.taints", [{"key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}], "virtual"),
        ("metadata.labels", {"eks.amazonaws.com/compute-type": "fargate"}, "virtual"),
        ("metadata.labels", {"type": "kwok"}, "virtual"),
        ("metadata.labels", {"liqo.io/type": "virtual-node"}, "virtual"),
        ("spec.taints", [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}], "virtual"),
        ("spec.taints", [tainted("ToBeDeletedByClusterAutoscaler")], "has the taint ToBeDeletedByClusterAutoscaler"),
        ("spec.taints", [tainted("karpenter.sh/disrupted")], "has the taint karpenter.sh/disrupted"),
        ("spec.taints", [tainted(UNINITIALIZED)], f"has the taint {UNINITIALIZED}"),
        ("spec.taints", [tainted("node.cilium.io/agent-not-ready")], "has the taint node.cilium.io/agent-not-ready"),
        ("metadata.labels", {"kubernetes.io/os": "windows"}, "runs windows"),
        ("status.addresses", [{"type": "ExternalIP", "address": "203.0.113.9"}], "no InternalIP of IPv4"),
        ("status.addresses", ADDRESSES[:1], "no InternalIP of IPv4"),
        ("spec.taints", [{"key": "dedicated", "effect": "NoSchedule"}], ""),
        ("spec.unschedulable", True, ""),
    ],
)
def test_node_that_cannot_serve_says_why(path: str, value: object, why: str) -> None:
    assert why_unable(changed(node(), path, value), "10.96.0.9") == why


def test_family_of_the_service_decides_which_address_is_asked() -> None:
    assert cluster_nodes.serving_address(node(), "10.96.0.9") == "172.18.0.2"
    assert cluster_nodes.serving_address(node(), "fd00:10::9") == "fd00::2"


def test_machine_of_a_cluster_of_our_own_must_serve_and_a_stranger_there_may_be_down() -> None:
    down = [changed(node(name), "status.conditions", []) for name in ("kind-worker", "stranger")]
    assert list(cluster_nodes.unable(down, "10.96.0.9", "kind")) == ["stranger"]
    assert list(cluster_nodes.unable(down, "10.96.0.9")) == ["kind-worker", "stranger"]
    leaving = changed(node("kind-worker"), "spec.taints", [tainted("ToBeDeletedByClusterAutoscaler")])
    assert why_unable(leaving, "10.96.0.9", own=True) == ""


def test_pod_on_a_node_that_has_just_joined_is_on_a_node_of_the_cluster() -> None:
    asked: list[str] = []

    def listed(_method: str, path: str, query: Any) -> str:
        asked.append(path)
        return json.dumps({"items": [node("new").body] if "new" in str(query) else []})

    class Listing(FakeApi):
        def call(self, method: str, path: str, query: Any = None, *_: Any, **__: Any) -> str:
            return listed(method, path, query)

    cluster = ClusterNodes(Listing(listed), FakeClock(), (node("old"),))
    addresses = NodeAddresses((node("old"),), cluster)
    on_nodes = on_pods.on_nodes(LABELS, addresses)

    def bound(name: str) -> bool:
        placed = changed(changed(pod(0), "spec.nodeName", name), "status.hostIP", "172.18.0.2")
        return on_nodes(state(placed)).met

    assert bound("old")
    assert asked == []
    assert bound("new")
    assert not bound("stranger")
    assert not bound("")
    assert len(asked) == 2
    assert dict(addresses) == {"old": ["fd00::2", "172.18.0.2"]}
    assert "new" not in NodeAddresses((node("old"),))


def test_nodes_are_read_again_when_they_are_needed_later() -> None:
    listed, clock = [[node("a")], [node("a"), node("b")]], FakeClock()

    def answer(*_: object) -> str:
        return json.dumps({"items": [each.body for each in listed.pop(0)]})

    api = FakeApi(answer)
    nodes = ClusterNodes(api, clock, (node("old"),))
    assert [each.name for each in nodes.now()] == ["a"]
    clock.time += cluster_nodes.FRESH_SECONDS - 1
    assert [each.name for each in nodes.now()] == ["a"]
    clock.time += 1
    assert [each.name for each in nodes.now()] == ["a", "b"]
    assert ClusterNodes(api, clock, ()).now() == ()


def test_nodes_are_those_that_the_run_may_use() -> None:
    pooled = changed(node("a"), "metadata.labels", {"pool": "test"})

    def answer(*_: object) -> str:
        return json.dumps({"items": [pooled.body, node("b").body]})

    api = FakeApi(answer)
    api.shape = Shape("r", selector={"pool": "test"})
    assert [each.name for each in ClusterNodes(api, FakeClock(), (pooled,)).now()] == ["a"]


def chain_with(*nodes: KubeObject) -> Chain:
    clock = FakeClock()
    history = History("ns", clock)
    history.record("ADDED", service())
    observer = cast("Any", SimpleNamespace(history=history))
    return Chain(cast("Any", None), "ns", observer, Waiter(clock), nodes, "host", "nginx", frozenset(), "client", 2)


def test_message_names_the_nodes_that_are_not_asked() -> None:
    windows = changed(node("w"), "metadata.labels", {"kubernetes.io/os": "windows"})
    chain = chain_with(node("a"), windows)
    assert chain.node_urls() == {"a": "http://172.18.0.2:30080/"}
    assert chain.nodes_note == " (not asked: w: runs windows)"
    assert chain_with(node("a")).nodes_note == ""
    with pytest.raises(NotApplicable, match=r"no Node serves nodePorts \(not asked: w: runs windows\)"):
        _ = chain_with(windows).asked


def test_service_without_a_node_port_has_no_urls() -> None:
    chain = chain_with(node("a"))
    chain.objects.record("MODIFIED", changed(service(), "spec.ports", [{"port": 80}]))
    assert chain.node_urls() == {}


def test_nodes_are_asked_by_the_family_of_a_cluster_ip() -> None:
    chain = chain_with(node("a"), changed(node("b"), "status.addresses", ADDRESSES[1:]))
    assert chain.asked == {"a": "172.18.0.2", "b": "172.18.0.2"}
    six = chain.asked_at("fd00:10::9")
    assert (six.addresses, six.note) == ({"a": "fd00::2"}, " (not asked: b: no InternalIP of IPv6)")


def test_family_of_a_chain_is_known_when_its_service_is_deleted() -> None:
    chain = chain_with(node("a"))
    six = changed(service(), "spec.clusterIP", "fd00:10::9")
    chain.objects.record("MODIFIED", six)
    chain.objects.record("DELETED", six)
    assert chain.family == "IPv6"
    both = changed(pod(), "status.podIPs", [{"ip": "10.244.0.5"}, {"ip": "fd00::5"}])
    assert chain.pod_address(both) == "fd00::5"
    with pytest.raises(HarnessError, match="has no IPv6 address in its status"):
        chain.pod_address(pod())


def test_addresses_of_the_family_of_the_service_are_looked_up() -> None:
    chain, asked = chain_with(node("a")), list[str]()

    def lookup(*_: str, record: str, **_options: object) -> list[Answer]:
        asked.append(record)
        return []

    place: Any = SimpleNamespace(pod="client", lookup=lookup)
    for address in ("10.96.0.9", "fd00:10::9"):
        chain.objects.record("MODIFIED", changed(service(), "spec.clusterIP", address))
        answers(chain, place, "web").read()
        answers(chain, place, "web", record="SRV").read()
    assert asked == ["A", "SRV", "AAAA", "SRV"]


def test_page_names_the_node_that_did_not_answer() -> None:
    (page,) = at_nodes(["n1"], [Page("http://172.18.0.2:30080/", failure="timeout")])
    assert str(page) == "http://172.18.0.2:30080/ of Node n1: timeout"


def unasked(*_: object) -> str:
    raise AssertionError


CONFIG = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nnodePortAddresses: [{}]\n"


@pytest.mark.parametrize(
    ("maps", "ranges"),
    [
        ({"kube-proxy": {"config.conf": CONFIG.format("primary, 192.168.0.0/16")}}, ("192.168.0.0/16",)),
        ({"kube-proxy-config": {"config": CONFIG.format("192.168.0.0/16")}}, ("192.168.0.0/16",)),
        ({"kube-proxy": {"config.conf": "nodePortAddresses: null"}}, ()),
        ({"kube-proxy": {"config.conf": "{"}}, ()),
        ({"kube-proxy": {}}, ()),
        ({}, ()),
    ],
)
def test_addresses_at_which_node_ports_are_served_are_those_of_kube_proxy(
    maps: dict[str, dict[str, str]], ranges: tuple[str, ...]
) -> None:
    class Reading(FakeApi):
        def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
            assert (kind, namespace) == ("ConfigMap", "kube-system")
            return thing("ConfigMap", name, data=maps[name]) if name in maps else None

    api = Reading(unasked)
    assert ClusterNodes(api, FakeClock(), (), configured=True).node_port_ranges == ranges
    assert ClusterNodes(api, FakeClock(), ()).node_port_ranges == ()


@pytest.mark.parametrize(
    ("config", "scheduler"),
    [
        ("{mode: ipvs, ipvs: {scheduler: sh}}", "sh"),
        ("{mode: ipvs, ipvs: {scheduler: sed}}", "sed"),
        ("{mode: ipvs, ipvs: {scheduler: lc}}", ""),
        ('{mode: ipvs, ipvs: {scheduler: ""}}', ""),
        ("{mode: ipvs, ipvs: null}", ""),
        ("{mode: nftables, ipvs: {scheduler: sh}}", ""),
        ("{}", ""),
    ],
)
def test_scheduler_that_leads_a_client_to_one_pod_is_no_fault(config: str, scheduler: str) -> None:
    class Reading(FakeApi):
        def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
            return thing(kind, f"{namespace}/{name}", data={"config.conf": config})

    nodes = ClusterNodes(Reading(unasked), FakeClock(), (), configured=True)
    nodes.require_choice(premises.NODE_PORTS)
    if scheduler:
        with pytest.raises(NotApplicable, match=f"chooses Pods by chance or in turn: IPVS has the scheduler {scheduler}, which"):
            nodes.require_choice(premises.SPREAD)
    else:
        nodes.require_choice(premises.SPREAD)
    ClusterNodes(Reading(unasked), FakeClock(), ()).require_choice(premises.SPREAD)


def test_configuration_that_may_not_be_read_names_no_range() -> None:
    class Refusing(FakeApi):
        def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
            raise ApiRefused(403, "Forbidden", f"{kind} {namespace}/{name}")

    assert ClusterNodes(Refusing(unasked), FakeClock(), (), configured=True).node_port_ranges == ()


def test_node_is_asked_at_an_address_at_which_node_ports_are_served() -> None:
    two = changed(node(), "status.addresses", [*ADDRESSES, {"type": "InternalIP", "address": "192.168.7.2"}])
    asked = AskedNodes((two, node("n2")), "10.96.0.9", "seed", (), ranges=("192.168.0.0/16",))
    assert asked.addresses == {"n1": "192.168.7.2"}
    assert asked.unable == {"n2": "no InternalIP of IPv4 in 192.168.0.0/16, where nodePorts are served"}
    # There is no range of this family: each address serves.
    assert AskedNodes((two,), "fd00:10::9", "seed", (), ranges=("192.168.0.0/16",)).addresses == {"n1": "fd00::2"}
