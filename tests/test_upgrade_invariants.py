from collections.abc import Callable
from typing import Any

import pytest

from kubechain.conditions.condition import Condition
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.changes import Change, ObjectChange
from kubechain.upgrade import budget
from kubechain.upgrade.invariants import (
    difference,
    endpoints_follow,
    never_restarted,
    none_added,
    still_there,
    unchanged,
)
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import changed, deployment, endpoint_slice, entry, owned_by, pod, replica_set, service, state, thing

PODS = [pod(number) for number in range(4)]
SPEC = {"replicas": 4, "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]}}}
WEB_DEPLOYMENT, SET, SERVICE = deployment(spec=SPEC), replica_set(), service()
SLICE = endpoint_slice(*map(entry, PODS))
BEFORE = state(WEB_DEPLOYMENT, SET, SERVICE, SLICE, *PODS)
WITNESSES = {"Deployment": WEB_DEPLOYMENT, "ReplicaSet": SET, "Pod": PODS[0], "Service": SERVICE, "EndpointSlice": SLICE}
DELETED_AT = "2026-01-01T00:00:00Z"
SAMPLER = thing("Pod", "sampler-x", labels={"app": "sampler"}, spec={"nodeName": "node-0"}, status={})


FIRST = [ObjectChange(0, 0, 5000, "ADDED", each) for each in BEFORE.objects]


def log(*resources: KubeObject, change: Change = "MODIFIED") -> list[ObjectChange]:
    """Return the versions at the start, and those that followed."""
    later = [ObjectChange(number, number, 5000 + number, change, each) for number, each in enumerate(resources, 1)]
    return [*FIRST, *later]


def dying(resource: KubeObject) -> KubeObject:
    return changed(resource, "metadata.deletionTimestamp", DELETED_AT)


def on_node_0(resource: KubeObject) -> bool:
    return resource.at("spec.nodeName") == "node-0"


# Changes that an upgrade must not make: kind, field, new value.
FORBIDDEN: list[tuple[str, str, Any]] = [
    *((kind, "metadata.uid", "another") for kind in WITNESSES),
    *((kind, "metadata.labels", {}) for kind in ("Deployment", "ReplicaSet", "Pod", "EndpointSlice")),
    *((kind, "metadata.deletionTimestamp", DELETED_AT) for kind in WITNESSES),
    ("Pod", "metadata.labels", {**PODS[0].labels, "app": "other"}),
    ("Pod", "metadata.labels", {**PODS[0].labels, "more": "1"}),
    ("Pod", "metadata.labels", {**PODS[0].labels, "evilkubernetes.io/more": "1"}),
    ("Pod", "metadata.labels", {**PODS[0].labels, "kubernetes.io": "1"}),
    ("Service", "metadata.labels", {"more": "1"}),
    ("ReplicaSet", "metadata.ownerReferences", []),
    ("Pod", "metadata.ownerReferences", owned_by(replica_set(uid="another"))),
    ("Pod", "metadata.ownerReferences.0.controller", False),
    ("Pod", "spec.nodeName", "node-9"),
    ("Pod", "spec.containers.0.image", "nginx:2"),
    ("Pod", "spec.containers", [{"name": "nginx", "image": "nginx:1"}, {"name": "more", "image": "x"}]),
    ("Pod", "status.podIP", "10.0.0.1"),
    ("Pod", "status.podIP", None),
    ("Deployment", "spec.replicas", 3),
    ("Deployment", "spec.paused", True),
    ("Deployment", "spec.template.spec.containers.0.image", "nginx:2"),
    ("Deployment", "spec.template.spec", {}),
    ("Deployment", "spec.template", None),
    ("Deployment", "spec.replicas", {}),
    ("Pod", "spec.containers", None),
    ("Pod", "spec.containers.0.name", ["nginx"]),
    ("ReplicaSet", "spec.replicas", 0),
    ("ReplicaSet", "spec.selector.matchLabels", LABELS),
    ("ReplicaSet", "spec.template.metadata.labels.pod-template-hash", "77"),
    ("Service", "spec.type", "LoadBalancer"),
    ("Service", "spec.clusterIP", "10.96.0.10"),
    ("Service", "spec.selector", {**LABELS, "more": "1"}),
    ("Service", "spec.selector", None),
    ("Service", "spec.ports.0.nodePort", 30081),
    ("Service", "spec.ports.0.port", 81),
    ("Service", "spec.ports.0.targetPort", 81),
    ("Service", "spec.ports.0.protocol", "UDP"),
    ("Service", "spec.ports.0.name", "http"),
    ("Service", "spec.ports", []),
    ("Service", "spec.ipFamilies", ["IPv6"]),
]
# Changes that an upgrade may make.
ALLOWED: list[tuple[str, str, Any]] = [
    *((kind, "metadata.resourceVersion", "999999") for kind in WITNESSES),
    *((kind, "metadata.managedFields", [{"manager": "x"}]) for kind in WITNESSES),
    *((kind, "metadata.annotations", {"endpoints.kubernetes.io/last-change-trigger-time": "now"}) for kind in WITNESSES),
    ("Pod", "metadata.labels", {**PODS[0].labels, "topology.kubernetes.io/zone": "a"}),
    ("Pod", "metadata.labels", {**PODS[0].labels, "kubernetes.io/os": "linux"}),
    ("EndpointSlice", "metadata.labels", {**SLICE.labels, "service.kubernetes.io/headless": ""}),
    ("Pod", "status.conditions", []),
    ("Pod", "spec.containers.0.restartPolicyRules", []),
    ("Deployment", "spec.template.spec.hostUsers", True),
    ("Deployment", "status.terminatingReplicas", 0),
    ("Service", "spec.trafficDistribution", "PreferSameZone"),
    ("EndpointSlice", "endpoints", []),
    ("EndpointSlice", "endpoints", None),
]


@pytest.mark.parametrize(("kind", "path", "value"), FORBIDDEN)
def test_changed_witness_is_found_in_every_version_and_at_the_end(kind: str, path: str, value: Any) -> None:
    old = WITNESSES[kind]
    new = changed(old, path, value)
    versions = unchanged(BEFORE, [kind])(log(old, new, old))
    assert not versions.met
    assert old.name in versions.got
    at_end = still_there(BEFORE, [kind])(state(*(new if each is old else each for each in BEFORE.objects)))
    assert not at_end.met
    assert old.name in at_end.got


@pytest.mark.parametrize(("kind", "path", "value"), ALLOWED)
def test_additions_of_a_new_version_are_no_change(kind: str, path: str, value: Any) -> None:
    new = changed(WITNESSES[kind], path, value)
    assert unchanged(BEFORE, [kind])(log(new)).met
    rest = [each for each in BEFORE.objects if each is not WITNESSES[kind]]
    assert still_there(BEFORE, [kind])(state(new, *rest)).met


def test_message_has_the_old_and_the_new_values() -> None:
    new = changed(changed(SERVICE, "spec.ports.0.nodePort", 30081), "spec.type", "ClusterIP")
    text = difference(SERVICE, new)
    assert text == "Service web with nodePorts 30081 (before: 30080), spec.type ClusterIP (before: NodePort)"


def test_witness_that_was_being_deleted_before_is_unchanged() -> None:
    assert difference(dying(PODS[0]), dying(PODS[0])) == ""
    assert difference(PODS[0], dying(PODS[0])) == f"Pod {PODS[0].name} with a deletionTimestamp"


@pytest.mark.parametrize("kind", WITNESSES)
def test_deleted_witness_is_reported(kind: str) -> None:
    old = WITNESSES[kind]
    assert unchanged(BEFORE, [kind])(log(old, change="DELETED")).got == f"{kind} {old.name} deleted"
    rest = state(*(each for each in BEFORE.objects if each is not old))
    assert still_there(BEFORE, [kind])(rest).got == f"no {kind} {old.name}"


def test_recreated_witness_is_reported() -> None:
    # A list after a gap in the watch shows no deletion.
    found = unchanged(BEFORE, ["Deployment"])(log(deployment(uid="new", spec=SPEC)))
    assert "UID new (before: uid-Deployment-web)" in found.got


@pytest.mark.parametrize("change", ["ADDED", "MODIFIED", "DELETED"])
def test_other_objects_in_the_namespace_do_not_matter(change: Change) -> None:
    others = log(SAMPLER, thing("Deployment", "other"), pod(9), change=change)
    assert unchanged(BEFORE, list(WITNESSES))(others).met
    assert never_restarted(BEFORE, LABELS)(others).met
    sampler = log(SAMPLER, thing("ReplicaSet", "web-x", uid="u"), change=change)
    assert budget.held(BEFORE, LABELS, 4)(sampler).met
    assert none_added(BEFORE, "Deployment")(sampler).met
    assert still_there(BEFORE, list(WITNESSES))(state(*BEFORE.objects, SAMPLER, pod(9))).met


def test_only_pods_of_a_drained_node_may_be_deleted() -> None:
    drained = log(dying(PODS[0]), change="DELETED")
    assert not unchanged(BEFORE, ["Pod"])(drained).met
    assert unchanged(BEFORE, ["Pod"], replaced=on_node_0)(drained).met
    assert not unchanged(BEFORE, ["Pod"], replaced=on_node_0)(log(PODS[1], change="DELETED")).met
    assert still_there(BEFORE, ["Pod"], replaced=on_node_0)(state(*PODS[1:])).met
    assert not still_there(BEFORE, ["Pod"], replaced=on_node_0)(state(PODS[0], *PODS[2:])).met
    with pytest.raises(HarnessError, match="all of them were to be replaced"):
        unchanged(BEFORE, ["Pod"], replaced=lambda _: True)(FIRST)


CHECKS: list[Callable[[NamespaceState], Condition[Any]]] = [
    lambda before: unchanged(before, ["Deployment", "Service"]),
    lambda before: still_there(before, ["Deployment", "Service"]),
    lambda before: never_restarted(before, LABELS),
    lambda before: none_added(before, "ReplicaSet"),
    lambda before: endpoints_follow(before, WEB),
]


@pytest.mark.parametrize("condition", CHECKS)
def test_missing_snapshot_of_a_kind_is_an_error(condition: Callable[[NamespaceState], Condition[Any]]) -> None:
    condition(BEFORE)
    with pytest.raises(HarnessError, match="is known from before the change"):
        condition(state(WEB_DEPLOYMENT))


def test_new_replica_set_is_reported() -> None:
    assert none_added(BEFORE, "ReplicaSet")(log(SET, PODS[0], thing("Deployment", "more"))).met
    assert none_added(BEFORE, "ReplicaSet")(log(replica_set(name="web-more"))).got == "web-more"
    assert not none_added(BEFORE, "ReplicaSet")(log(replica_set(name="web-more"), change="DELETED")).met
    assert not none_added(BEFORE, "ReplicaSet")(log(replica_set(uid="again"))).met


def run_of(resource: KubeObject, restarts: int, run: str = "", **more: Any) -> KubeObject:
    status: Json = {"name": "nginx", "restartCount": restarts, **more}
    return changed(resource, "status.containerStatuses", [{**status, **({"containerID": run} if run else {})}])


def test_restarted_container_is_found_by_its_count_or_its_id() -> None:
    first = run_of(PODS[0], 1, "containerd://a")
    before = state(first, *PODS[1:])
    check = never_restarted(before, LABELS)
    end = {"lastState": {"terminated": {"reason": "Error", "exitCode": 137, "finishedAt": "noon"}}}
    assert check(log(first, run_of(PODS[0], 1), PODS[1])).met
    found = check(log(first, run_of(PODS[0], 2, "containerd://b", **end), first))
    assert found.got == f"Pod {first.name} restarted: Error with status 137 at noon"
    assert never_restarted(state(run_of(PODS[0], 0)), LABELS)(log(run_of(PODS[0], 0, "containerd://a"))).met
    # The kubelet restarts the count at 0 if it has lost its state.
    assert not check(log(run_of(PODS[0], 0, "containerd://b"))).met
    assert not check(log(run_of(PODS[0], 2))).met
    assert not check(log(run_of(PODS[1], 1, "containerd://c"))).met
    assert check(log(run_of(pod(0, uid="new"), 7, "containerd://z"))).met


def test_restart_of_a_pod_without_the_labels_does_not_matter() -> None:
    before = state(run_of(SAMPLER, 0), *PODS)
    assert never_restarted(before, LABELS)(log(run_of(SAMPLER, 1))).met


def test_restart_counts_of_containers_are_not_added() -> None:
    def two(one: int, other: int) -> KubeObject:
        statuses = [{"name": "a", "restartCount": one}, {"name": "b", "restartCount": other}]
        return changed(PODS[0], "status.containerStatuses", statuses)

    assert not never_restarted(state(two(0, 3)), LABELS)(log(two(1, 0))).met
    init = changed(PODS[0], "status.initContainerStatuses", [{"name": "i", "restartCount": 0}])
    again = changed(PODS[0], "status.initContainerStatuses", [{"name": "i", "restartCount": 1}])
    assert not never_restarted(state(init), LABELS)(log(again)).met
