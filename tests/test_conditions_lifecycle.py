import pytest

from kubechain.conditions import deployments, disruption, endpoints, http, objects, pods, services, tokens
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.http import Page
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import (
    POD_LABELS,
    changed,
    deployment,
    endpoint_slice,
    entry,
    not_ready,
    owned_by,
    pod,
    replica_set,
    service,
    state,
    thing,
)
from tests.fakes import endpoints as endpoints_of

A, B = pod(0), pod(1)
DYING = changed(B, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
DONE = deployment()
REVISION = {"deployment.kubernetes.io/revision": "2"}
OLD = replica_set(annotations={"deployment.kubernetes.io/revision": "1"}, spec={"replicas": 0}, status={"replicas": 0})
NEW = replica_set(name="web-new", annotations=REVISION)
SETS = deployments.replica_sets(WEB, {1: 0, 2: 2})
CASES: dict[str, tuple[Condition[NamespaceState], NamespaceState, list[NamespaceState]]] = {
    "rolled_out": (
        deployments.rolled_out(WEB, 2, 1),
        state(DONE),
        [
            state(),
            state(deployment(annotations=REVISION)),
            state(deployment(generation=2)),
            state(changed(DONE, "status.updatedReplicas", 1)),
            state(changed(DONE, "status.replicas", 3)),
            state(changed(DONE, "status.unavailableReplicas", 1)),
        ],
    ),
    "replica_sets": (
        SETS,
        state(DONE, OLD, NEW),
        [
            state(),
            state(OLD, NEW),
            state(DONE, NEW),
            state(DONE, OLD, NEW, replica_set(name="third", annotations={})),
            state(DONE, OLD, NEW, replica_set(name="twin", uid="twin", annotations=REVISION)),
            state(DONE, OLD, changed(NEW, "spec.replicas", 1)),
            state(DONE, OLD, changed(NEW, "status.replicas", 1)),
            state(DONE, changed(OLD, "status.replicas", 1), NEW),
            state(DONE, OLD, changed(NEW, "metadata.ownerReferences", [])),
        ],
    ),
    "kept_at_zero": (
        deployments.kept_at_zero(WEB, OLD),
        state(DONE, OLD, NEW),
        [
            state(DONE, NEW),
            state(OLD),
            state(DONE, changed(OLD, "metadata.uid", "another")),
            state(DONE, changed(OLD, "spec.replicas", 1)),
            state(DONE, changed(OLD, "status.replicas", 1)),
        ],
    ),
    "within_bounds": (
        deployments.within_bounds(WEB, LABELS, 3, 2),
        state(A, B, not_ready(pod(2))),
        [state(), state(A), state(A, DYING), state(A, not_ready(B)), state(A, B, pod(2), pod(3))],
    ),
    "says": (
        deployments.has_condition(WEB, "Available", "True", "MinimumReplicasAvailable"),
        state(DONE),
        [
            state(),
            state(changed(DONE, "status.conditions", [])),
            state(changed(DONE, "status.conditions.0.status", "False")),
            state(changed(DONE, "status.conditions.0.reason", "Other")),
            state(changed(DONE, "status.conditions.0.type", "Progressing")),
        ],
    ),
    "allocated": (
        services.allocated(WEB, cluster_ip=True, node_port=True),
        state(service()),
        [
            state(),
            state(changed(service(), "spec.clusterIP", "")),
            state(changed(service(), "spec.ports", [{"port": 80}])),
            state(changed(service(), "spec.ports", [])),
        ],
    ),
    "listed_unready": (
        endpoints.listed_unready(WEB, B.uid),
        state(endpoint_slice(entry(A), entry(B, ready=False)), endpoints_of(A)),
        [
            state(),
            state(endpoint_slice(entry(A)), endpoints_of(A)),
            state(endpoint_slice(entry(A), entry(B)), endpoints_of(A)),
            state(endpoint_slice(entry(A), entry(B, ready=False)), endpoints_of(A, B)),
        ],
    ),
    "controlled_count": (
        pods.controlled_count(replica_set().uid, 2),
        state(A, B),
        [
            state(),
            state(A),
            state(A, B, pod(2)),
            state(A, changed(B, "metadata.ownerReferences", [])),
            state(A, changed(B, "metadata.ownerReferences", owned_by(replica_set(uid="another")))),
        ],
    ),
    "count": (
        pods.count(LABELS, 2),
        state(A, not_ready(B)),
        [state(), state(A), state(A, B, pod(2)), state(A, changed(B, "metadata.labels", {}))],
    ),
    "with_values": (
        pods.with_values(LABELS, {"status.phase": "Running"}),
        state(A, B),
        [state(), state(A, changed(B, "status.phase", "Pending")), state(A, changed(B, "status", {}))],
    ),
    "event_names": (
        objects.event_names("Pod", A.name, "Failed", "no such tag"),
        state(A, thing("Event", "e", reason="Failed", message="x: no such tag", involvedObject={"uid": A.uid})),
        [
            state(A),
            state(thing("Event", "e", reason="Failed", message="no such tag", involvedObject={"uid": A.uid})),
            state(A, thing("Event", "e", reason="Failed", message="other", involvedObject={"uid": A.uid})),
            state(A, thing("Event", "e", reason="BackOff", message="no such tag", involvedObject={"uid": A.uid})),
            state(A, thing("Event", "e", reason="Failed", message="no such tag", involvedObject={"uid": B.uid})),
        ],
    ),
}


OLD_HASH = changed(NEW, "metadata.labels", {**POD_LABELS, deployments.HASH: "old"})
FOREGROUND = changed(deployment(deletionTimestamp="2026-01-01T00:00:00Z"), "metadata.finalizers", ["foregroundDeletion"])
CASES["other_hash"] = (
    deployments.other_hash(WEB, 2, OLD_HASH),
    state(DONE, OLD, NEW),
    [
        state(),
        state(DONE, OLD),
        state(DONE, OLD_HASH),
        state(DONE, changed(NEW, "metadata.labels", LABELS)),
        state(DONE, NEW, replica_set(name="third", uid="3", annotations={"deployment.kubernetes.io/revision": "3"})),
    ],
)
CASES["reuses_replica_set"] = (
    deployments.reuses_replica_set(WEB, 2, NEW),
    state(DONE, OLD, NEW),
    [state(), state(DONE, OLD), state(DONE, OLD_HASH), state(DONE, changed(NEW, "metadata.uid", "twin"))],
)
CASES["waits_for_dependents"] = (
    deployments.waits_for_dependents(WEB),
    state(FOREGROUND),
    [
        state(),
        state(DONE),
        state(changed(FOREGROUND, "metadata.finalizers", [])),
        state(changed(FOREGROUND, "metadata.finalizers", ["foregroundDeletion", "orphan"])),
        state(changed(DONE, "metadata.finalizers", ["foregroundDeletion"])),
    ],
)
CASES["waits_for_dependents with a finalizer of others"] = (
    deployments.waits_for_dependents(WEB),
    state(changed(FOREGROUND, "metadata.finalizers", ["example.org/inventory", "foregroundDeletion"])),
    [state(changed(FOREGROUND, "metadata.finalizers", ["example.org/inventory"]))],
)
CASES["current_replica_set_is"] = (
    deployments.current_replica_set_is(WEB, 2, lambda rs: expect(rs.name == NEW.name, rs.name)),
    state(DONE, OLD, NEW),
    [state(), state(DONE), state(DONE, OLD), state(DONE, changed(NEW, "metadata.name", "x"))],
)
CASES["seen"] = (
    objects.present(A),
    state(A, B),
    [state(), state(B), state(changed(A, "metadata.uid", "new"))],
)


def tolerant(*tolerations: Json) -> KubeObject:
    return changed(A, "spec.tolerations", list(tolerations))


def toleration(name: str, seconds: int | None, **over: str) -> Json:
    rest = {"operator": "Exists", "effect": "NoExecute", **over}
    return {"key": f"node.kubernetes.io/{name}", **rest, **({"tolerationSeconds": seconds} if seconds else {})}


BOTH = (toleration("not-ready", 300), toleration("unreachable", 300))
TOKEN: list[Json] = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
    {"configMap": {"name": "kube-root-ca.crt"}},
    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
]


def projecting(*sources: Json) -> KubeObject:
    return changed(A, "spec.volumes", [{"name": "config"}, {"projected": {"sources": list(sources)}}])


CASES["tolerating"] = (
    pods.tolerating({"not-ready": 300, "unreachable": 300}, LABELS),
    state(tolerant(*BOTH)),
    [
        state(),
        state(A),
        state(tolerant(BOTH[0])),
        state(tolerant(BOTH[0], toleration("unreachable", 30))),
        state(tolerant(BOTH[0], toleration("unreachable", None))),
        state(tolerant(BOTH[0], toleration("unreachable", 300, effect="NoSchedule"))),
        state(tolerant({"operator": "Exists"})),
        state(tolerant({"operator": "Exists", "effect": "NoExecute"})),
    ],
)
CASES["with_projected_token"] = (
    tokens.with_projected_token(LABELS),
    state(projecting(*TOKEN)),
    [
        state(),
        state(A),
        state(projecting(*TOKEN[1:])),
        state(projecting(*TOKEN[:1], *TOKEN[2:])),
        state(projecting(*TOKEN[:2])),
        state(projecting({"serviceAccountToken": {"path": "token"}}, *TOKEN[1:])),
        state(projecting({"serviceAccountToken": {"expirationSeconds": 10**9}}, *TOKEN[1:])),
        state(projecting(TOKEN[0], {"configMap": {"name": "other"}}, TOKEN[2])),
    ],
)


@pytest.mark.parametrize("name", CASES)
def test_condition_is_met_by_the_right_state_only(name: str) -> None:
    condition, right, wrong = CASES[name]
    result = condition(right)
    assert result.met, result.got
    for number, each in enumerate(wrong):
        result = condition(each)
        assert not result.met, f"wrong state {number}"
        assert result.got


def test_two_revisions_at_once_are_unmet_and_ended_pods_are_ignored() -> None:
    never = deployments.one_hash_at_a_time(LABELS)
    other = changed(B, "metadata.labels", {**POD_LABELS, deployments.HASH: "77"})
    assert never(state(A, B)).met
    assert not never(state(A, other)).met
    assert not never(state(A, changed(other, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z"))).met
    assert never(state(A, changed(other, "status.phase", "Succeeded"))).met


def test_address_in_either_list_is_unmet() -> None:
    unlisted = endpoints.without(WEB, B.uid)
    assert unlisted(state(endpoint_slice(entry(A), entry(B, ready=False)), endpoints_of(A))).met
    assert not unlisted(state(endpoint_slice(entry(A), entry(B)), endpoints_of(A))).met
    assert not unlisted(state(endpoint_slice(entry(A)), endpoints_of(A, B))).met


def test_budget_requires_the_observed_generation() -> None:
    status = {"observedGeneration": 2, "currentHealthy": 3, "disruptionsAllowed": 1}
    budget = thing("PodDisruptionBudget", "web", generation=2, status=status)
    allows = disruption.allows(1, of=3)
    assert allows(budget).met
    assert not allows(changed(budget, "status", {})).met
    for name in status:
        assert not allows(changed(budget, f"status.{name}", 0)).met


def test_forbidden_requires_403_for_this_user() -> None:
    body = '{"message": "pods is forbidden: User \\"system:serviceaccount:ns:x\\" cannot list"}'
    forbidden = http.forbidden_to("system:serviceaccount:ns:x")
    page = Page("/api", 403, body)
    assert forbidden([page]).met
    assert not forbidden([]).met
    for wrong in (
        Page("/api", 200, body),
        Page("/api", 401, body),
        Page("/api", 403, "no"),
        Page("/api", failure="refused"),
    ):
        assert not forbidden([page, wrong]).met
    assert not http.forbidden_to("x")([page]).met


def test_echo_is_required_at_every_place() -> None:
    echoed = http.echoed("hello")
    assert echoed({"a": "hello", "b": "hello"}).met
    assert not echoed({}).met
    assert not echoed({"a": "hello", "b": ""}).met
