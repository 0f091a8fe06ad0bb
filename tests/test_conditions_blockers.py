"""What will block an upgrade: one blocker of each kind is found, with its object and what to do, and its harmless twin is not."""

from collections.abc import Callable
from typing import Any

import pytest

from kubechain.conditions import blockers, drain_room, target_version
from kubechain.conditions.blockers import Blocker, nothing_blocks
from kubechain.kube.objects import Json, KubeObject
from tests.fakes import conditions, thing

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = "2027-01-15T07:00:00Z", "2027-01-15T07:59:00Z"


def of(resource: KubeObject, namespace: str = "shop") -> KubeObject:
    return KubeObject({**resource.body, "metadata": {**resource.body["metadata"], "namespace": namespace}})


def budget(*, expected: int = 2, healthy: int = 2, allowed: int = 0, reason: str = "", **spec: Any) -> list[Blocker]:
    status: Json = {"expectedPods": expected, "currentHealthy": healthy, "desiredHealthy": 2, "disruptionsAllowed": allowed}
    if reason:
        message = "gadgets.shop.io does not implement the scale subresource"
        status["conditions"] = [{"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": message}]
    return blockers.budgets([of(thing("PodDisruptionBudget", "web", spec={"minAvailable": 2, **spec}, status=status))])


def webhook(
    *, policy: str = "Fail", endpoint: str = "", service: bool = True, client: Any = None, rules: Any = ("x",)
) -> list[Blocker]:
    there = {"service": {"namespace": "shop", "name": "check"}} if client is None else client
    hook = {"name": "check.shop.io", "failurePolicy": policy, "clientConfig": there, "rules": list(rules)}
    slices = [{"addresses": ["10.0.0.1"], "conditions": {"ready": endpoint == "ready"}}] if endpoint else []
    listed = of(thing("EndpointSlice", "check-1", labels={"kubernetes.io/service-name": "check"}, endpoints=slices))
    return blockers.webhooks(
        [thing("ValidatingWebhookConfiguration", "check", webhooks=[hook])],
        [of(thing("Service", "check"))] if service else [],
        [listed],
    )


def parameter(*, exists: bool | None = False, action: str = "Deny", policy: str = "Fail", name: str = "limits") -> list[Blocker]:
    spec = {"policyName": "p", "paramRef": {"name": "max", "namespace": "shop", "parameterNotFoundAction": action}}
    policies = [thing("ValidatingAdmissionPolicy", "p", spec={"failurePolicy": policy, "paramKind": {"kind": "Limit"}})]
    known = {} if exists is None else {name: exists}
    return blockers.parameters(policies, [thing("ValidatingAdmissionPolicyBinding", "limits", spec=spec)], known)


def api_service(*, available: str = "False", local: bool = False) -> list[Blocker]:
    spec: Json = {} if local else {"service": {"namespace": "shop", "name": "metrics"}}
    state = [{"type": "Available", "status": available, "reason": "MissingEndpoints"}]
    return blockers.services_of_apis([thing("APIService", "v1.metrics", spec=spec, status={"conditions": state})])


def node_that_is(ready: str, **spec: Any) -> list[Blocker]:
    return blockers.unready_nodes([thing("Node", "a", spec=spec, status={"conditions": conditions(Ready=ready)})])


def deletion(since: str | None) -> list[Blocker]:
    kept = {"finalizers": ["kubernetes"]}
    remaining = [{"type": "NamespaceContentRemaining", "message": "1 gadgets.shop.io left"}]
    metadata: Json = {"deletionTimestamp": since} if since else {}
    space = thing("Namespace", "old", spec=kept, status={"conditions": remaining}, **metadata)
    return blockers.stuck([space], NOW)


def requested(release: str, unasked: str = "") -> list[Blocker]:
    return target_version.requested_apis({"flowschemas.v1beta3.flow": release}, "v1.38", unasked)


def stored(*versions: str, served: bool = True) -> list[Blocker]:
    both = [{"name": "v1", "served": True}, {"name": "v1beta1", "served": served}]
    spec, status = {"versions": both}, {"storedVersions": list(versions)}
    return target_version.stored_versions([thing("CustomResourceDefinition", "gadgets.shop.io", spec=spec, status=status)])


def mode(text: str, target: str = "v1.40") -> list[Blocker]:
    return target_version.proxy_mode(text, target)


def cgroups(*nodes: str, kubelet: str = "", target: str = "v1.38", running: str = "v1.34.4") -> list[Blocker]:
    return target_version.cgroup_v1(nodes, dict.fromkeys(nodes, running), kubelet, target)


def node(name: str, cpu: str = "2", **spec: Any) -> KubeObject:
    status = {"conditions": conditions(Ready="True"), "allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "110"}}
    return thing("Node", name, spec=spec, status=status)


def pod(name: str, cpu: str = "1500m", node: str = "a", **over: Any) -> KubeObject:
    spec = {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}], **over.pop("spec", {})}
    return thing("Pod", name, spec=spec, **over)


def room(*pods: KubeObject, nodes: tuple[KubeObject, ...] = (node("a"), node("b"))) -> list[Blocker]:
    return drain_room.no_room(nodes, pods)


DAEMON = [{"kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}]
# Name -> the blocker, what its message has, and harmless twins.
KINDS: dict[str, tuple[Callable[[], list[Blocker]], tuple[str, str], list[Callable[[], list[Blocker]]]]] = {
    "budget": (
        budget,
        ("PodDisruptionBudget shop/web: allows no disruption (2 of 2 Pods healthy, 2 needed)", "add replicas"),
        [
            lambda: budget(allowed=1),
            lambda: budget(expected=0, healthy=0),
            lambda: budget(healthy=0, unhealthyPodEvictionPolicy="AlwaysAllow"),
        ],
    ),
    "budget of Pods that cannot be counted": (
        lambda: budget(expected=0, healthy=0, reason="SyncFailed"),
        ("cannot be counted (gadgets.shop.io does not implement the scale subresource)", "state minAvailable as a number"),
        [lambda: budget(expected=0, healthy=0, reason="InsufficientPods")],
    ),
    "budget of Pods that are not ready": (lambda: budget(healthy=1), ("1 of 2 Pods healthy", "make its Pods ready"), []),
    "webhook": (
        webhook,
        ("ValidatingWebhookConfiguration check: check.shop.io fails closed, and its Service shop/check has no ready", "Ignore"),
        [
            lambda: webhook(policy="Ignore"),
            lambda: webhook(endpoint="ready"),
            lambda: webhook(client={"url": "https://example.org"}),
            lambda: webhook(rules=()),
        ],
    ),
    "webhook whose endpoint is not ready": (lambda: webhook(endpoint="waiting"), ("has no ready endpoint", "start"), []),
    "webhook without its Service": (lambda: webhook(service=False), ("its Service shop/check does not exist", "start"), []),
    "parameter": (
        parameter,
        ("ValidatingAdmissionPolicyBinding limits: its parameter Limit shop/max does not exist", "create the parameter"),
        [
            lambda: parameter(exists=True),
            lambda: parameter(exists=None),
            lambda: parameter(action="Allow"),
            lambda: parameter(policy="Ignore"),
        ],
    ),
    "APIService": (
        api_service,
        ("APIService v1.metrics: not available (MissingEndpoints)", "behind Service shop/metrics"),
        [lambda: api_service(available="True"), lambda: api_service(local=True)],
    ),
    "Node": (
        lambda: node_that_is("Unknown"),
        ("Node a: not Ready", "repair the machine, or delete the Node"),
        [lambda: node_that_is("True"), lambda: node_that_is("True", unschedulable=True)],
    ),
    "deletion": (
        lambda: deletion(LONG_AGO),
        ("Namespace old: being deleted for 60 min, waits for kubernetes (1 gadgets.shop.io left)", "repair the controller"),
        [lambda: deletion(JUST_NOW), lambda: deletion(None)],
    ),
    "removed API": (
        lambda: requested("1.38"),
        ("API flowschemas.v1beta3.flow: requested since the API server started, and removed in 1.38", "let its clients"),
        [lambda: requested("1.39"), lambda: requested("")],
    ),
    "removed API, other API servers": (
        lambda: requested("1.37", "10.0.0.2:6443 was not asked"),
        ("removed in 1.37", "10.0.0.2:6443 was not asked"),
        [],
    ),
    "stored version": (
        lambda: stored("v1beta1", "v1", served=False),
        ("CustomResourceDefinition gadgets.shop.io: may have objects stored as v1beta1", "write every object again"),
        [lambda: stored("v1beta1", "v1"), lambda: stored("v1", served=False)],
    ),
    "stored version that is gone": (lambda: stored("v1alpha1", "v1"), ("stored as v1alpha1", "status.storedVersions"), []),
    "kubelet": (
        lambda: target_version.old_kubelets({"a": "v1.34.0"}, "v1.38"),
        ("Node a: kubelet v1.34.0, too old for an API server of v1.38", "upgrade its kubelet to 3 minor versions behind"),
        [lambda: target_version.old_kubelets({"a": "v1.35.0"}, "v1.38"), lambda: target_version.old_kubelets({}, "v1.38")],
    ),
    "IPVS": (
        lambda: mode("mode: ipvs"),
        ("ConfigMap kube-system/kube-proxy: mode ipvs, which v1.40 has no more", "nftables"),
        [
            lambda: mode("mode: ipvs", "v1.39"),
            lambda: mode("mode: iptables"),
            lambda: mode("mode: ipvs\nfeatureGates: {KubeProxyIPVS: true}"),
            lambda: mode(": {"),
            lambda: mode(""),
        ],
    ),
    "cgroup v1": (
        lambda: cgroups("a"),
        ("Node a: cgroup v1, with which the kubelet of v1.38 does not start", "failCgroupV1: false"),
        [
            cgroups,
            lambda: cgroups("a", kubelet="failCgroupV1: false"),
            lambda: cgroups("a", target="v1.34"),
            lambda: cgroups("a", running="v1.37.2"),
        ],
    ),
    "room": (
        lambda: room(pod("one"), pod("two", node="b")),
        ("Node a: of its 1 Pods, 1 have no room elsewhere", "add a Node, or request less"),
        [
            lambda: room(pod("one"), pod("two", "400m", node="b")),
            lambda: room(pod("one", ownerReferences=DAEMON), pod("two", node="b", ownerReferences=DAEMON)),
            lambda: room(pod("one", status={"phase": "Succeeded"}), pod("two", node="b")),
            lambda: room(pod("one"), pod("two", node="b"), nodes=(node("a"), node("b"), node("c"))),
        ],
    ),
    "room only on a Node that takes no Pods": (
        lambda: room(pod("one"), pod("two", node="b"), nodes=(node("a"), node("b"), node("c", unschedulable=True))),
        ("no room elsewhere", "add a Node"),
        [],
    ),
    "room only in parts": (
        lambda: room(pod("one"), pod("two", "1", "b"), pod("three", "1", "c"), nodes=(node("a"), node("b"), node("c"))),
        ("Node a: of its 1 Pods, 1 have", "add a Node"),
        [],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_blocker_is_found_with_its_object_and_a_remedy(kind: str) -> None:
    made, (what, remedy), _ = KINDS[kind]
    result = nothing_blocks("no blocker")(made())
    assert not result.met
    assert what in result.got
    assert remedy in result.got


@pytest.mark.parametrize("kind", [kind for kind, (_, _, twins) in KINDS.items() if twins])
def test_harmless_twins_are_not_found(kind: str) -> None:
    for number, twin in enumerate(KINDS[kind][2]):
        assert twin() == [], number
        assert nothing_blocks("no blocker")(twin()).met


def test_requests_of_a_pod_are_those_that_the_scheduler_sees() -> None:
    def asks(cpu: str, **more: Any) -> Json:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    sidecar, init = asks("100m", restartPolicy="Always"), asks("2")
    found = drain_room.requests(pod("one", "500m", spec={"initContainers": [sidecar]}))
    assert found["cpu"] * 1000 == 600
    assert drain_room.requests(pod("one", "500m", spec={"initContainers": [init]}))["cpu"] == 2
    assert drain_room.requests(pod("one", spec={"resources": {"requests": {"cpu": "3"}}, "overhead": {"cpu": "1"}}))["cpu"] == 4
    assert drain_room.requests(pod("one", spec={"containers": [{}]})) == {"pods": 1, "cpu": 0, "memory": 0}


def test_configuration_that_an_upgrade_writes_counts_more_than_the_kubelet_that_runs() -> None:
    assert len(cgroups("a", kubelet="cgroupRoot: /kubelet", running="v1.37.2")) == 1
