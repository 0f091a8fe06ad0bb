"""What the claims on an upgrade look at, unmet as it is under each fault of an upgrade."""

from typing import Any, cast

from kubechain.claims.claim import Link
from kubechain.claims.verdict import verdict_of
from kubechain.conditions import blockers, deployments, drain_room, endpoints, objects, pods, target_version
from kubechain.conditions.blockers import Blocker, nothing_blocks
from kubechain.conditions.condition import Condition
from kubechain.conditions.endpoints import SERVICE_NAME
from kubechain.faults.catalogue import obstacles
from kubechain.faults.catalogue.witnesses import APART, FUTURE, STALE_SECONDS, SYSTEM
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import Change, ObjectChange
from kubechain.probes.load import Sample, Tally
from kubechain.upgrade import addon_config, availability, budget, invariants
from kubechain.upgrade.model import Kind, Route, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After
from kubechain.upgrade.witnesses import INNER, LEAST, REPLICAS
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import (
    changed,
    conditions,
    deployment,
    endpoint_slice,
    entry,
    not_ready,
    pod,
    record,
    replica_set,
    service,
    state,
    thing,
)

Unmet = tuple[Condition[Any], Any]
SERVER = "v1.37.2"
PODS = [pod(number) for number in range(REPLICAS)]
FIRST, SECOND, *_ = PODS
ENDING = changed(FIRST, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
SLICE = endpoint_slice(*map(entry, PODS))
BEFORE = state(deployment(), replica_set(), *PODS, service(), SLICE)
MOVED = changed(service(), "spec.ports.0.nodePort", 30081)
RESTARTED = changed(FIRST, "status.containerStatuses.0.restartCount", 1)
AT_SECOND: Json = {"annotations": {"deployment.kubernetes.io/revision": "2"}}
ROLLED = state(deployment(**AT_SECOND), replica_set(**AT_SECOND))
INNER_SLICE = endpoint_slice(*map(entry, PODS), name=f"{INNER}-x1", labels={SERVICE_NAME: INNER})
CONTROL_PLANE = "kind-control-plane"
BROKEN_AT_PODS = verdict_of([record(Link.PODS, "failed", "expected exactly 2 ready Pods, got 0 of 2 ready")], 1.0).line


def lost(kind: Kind, seconds: float) -> Unmet:
    """Return the condition that the routes of a kind are up, and the record of one that was down for so long."""
    times = [1000 + 0.1 * number for number in range(200)]
    samples = tuple(Sample(at, at, "down" if 1005 <= at < 1005 + seconds else "up", "timeout") for at in times)
    return availability.kept_up(kind), upgrade(RouteSamples(Route(kind, "", "n1", reuse=False), Tally(kind, samples)))


def upgrade(*routes: RouteSamples, kubelet: str = SERVER) -> UpgradeRecord:
    """Return the record of an upgrade."""
    versions = Versions(1000, SERVER, {"kind-worker": kubelet}, {})
    return UpgradeRecord(("1",), 1000, 1020, routes, (), (versions,), 0, 0, 1, upgraded_by_this_run=True)


def after(*unready: str, **kubelets: str) -> After:
    """Return the cluster after an upgrade, with these Nodes that are not Ready, and versions of kubelets by Node."""
    nothing = cast("Any", None)
    return After(nothing, None, "", SERVER, kubelets, {}, state=nothing, configuration={}, unready=[*unready])


def seen(resource: KubeObject, change: Change = "MODIFIED", at: float = 1.0) -> ObjectChange:
    """Return a change of a witness."""
    return ObjectChange(1, at, at, change, resource)


def differs(resource: KubeObject) -> list[Unmet]:
    """Return what is looked at during an upgrade and after it, where a witness is not as before."""
    during = invariants.unchanged(BEFORE, [resource.kind]), [seen(resource)]
    return [during, (invariants.still_there(BEFORE, [resource.kind]), state(resource))]


def relabelled(resource: KubeObject) -> list[Unmet]:
    """Return what is looked at where a witness has another label."""
    return differs(changed(resource, "metadata.labels", {**resource.labels, **APART["metadata"]["labels"]}))


def blocked(what: str, found: list[Blocker]) -> list[Unmet]:
    """Return the condition that nothing of a kind blocks an upgrade, and what does."""
    return [(nothing_blocks(what), found)]


def made(manifest: Json, path: str, value: Any) -> KubeObject:
    """Return the object of a manifest, with what the cluster adds."""
    return changed(KubeObject(manifest), path, value)


def full_worker(name: str) -> tuple[KubeObject, KubeObject]:
    """Return a Node, and a Pod that asks for most of its memory."""
    status = {"conditions": conditions(Ready="True"), "allocatable": {"cpu": "2", "memory": "1000Ki", "pods": "110"}}
    asked = {"requests": {"memory": f"{1000 * obstacles.MOST // 100}Ki"}}
    spec = {"nodeName": name, "containers": [{"name": "nginx", "resources": asked}]}
    return thing("Node", name, spec={}, status=status), thing("Pod", f"{obstacles.NAME}-{name}", spec=spec)


WORKERS, FILLERS = zip(full_worker("kind-worker"), full_worker("kind-worker2"), strict=True)
SILENT = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]
UNREADY = thing("Node", CONTROL_PLANE, status={"conditions": SILENT})
HEALTHY = {"expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 2}
BUDGET = changed(made(obstacles.BUDGET, "metadata.namespace", SYSTEM), "status", HEALTHY)
AWAY = [{"type": "Available", "status": "False", "reason": "ServiceNotFound"}]
GONE: list[Unmet] = [
    (invariants.unchanged(BEFORE, ["Pod"]), [seen(ENDING)]),
    (invariants.unchanged(BEFORE, ["Pod"]), [seen(FIRST, "DELETED")]),
    (invariants.still_there(BEFORE, ["Pod"]), state(*PODS[1:], pod(REPLICAS))),
]
TOO_FEW: list[Unmet] = [(budget.held(BEFORE, LABELS, LEAST), [seen(FIRST, "DELETED", 1.0), seen(SECOND, "DELETED", 1.1)])]
REMADE: list[Unmet] = [
    (invariants.still_there(BEFORE, ["EndpointSlice"]), state(endpoint_slice(*map(entry, PODS), name="web-x2")))
]
LINE_LOST: list[Unmet] = [
    (addon_config.kept("CoreDNS", {"CoreDNS": f".:53 {{\n{line}}}\n"}), {"CoreDNS": f".:53 {{\n{left}}}\n"})
    for line, left in (("    loadbalance\n", ""), ("    loadbalance\n", "    # loadbalance\n"))
]
NOT_BACK: list[Unmet] = [(availability.nodes_ready(), after(CONTROL_PLANE))]
# Fault -> what its claims look at, unmet as it is under the fault; a text where the message is not that of a condition.
UPGRADES: dict[str, list[Unmet] | str] = {
    "upgrade-node-port-away": [lost("NodePort", 3.0)],
    "upgrade-dns-away": [lost("DNS", 3.1)],
    "upgrade-dns-of-a-node-away": [lost("DNS", 3.0)],
    "upgrade-proxy-flushed": [lost("ClusterIP", 3.0)],
    "upgrade-kubelet-old": [(availability.kubelets_as_wanted(), after(**{"kind-worker": "v1.36.3"}))],
    "upgrade-kubelet-newer": [(availability.skew_allowed(), upgrade(kubelet=FUTURE))],
    "upgrade-node-lost": NOT_BACK,
    "upgrade-pod-restarted": [(invariants.never_restarted(BEFORE, LABELS), [seen(RESTARTED)])],
    "upgrade-pod-deleted": [*GONE, (pods.exactly_ready(LABELS, REPLICAS), state(*PODS, not_ready(pod(REPLICAS))))],
    "upgrade-budget-exceeded": TOO_FEW,
    "upgrade-node-port-moved": differs(MOVED),
    "upgrade-deployment-changed": relabelled(deployment()),
    "upgrade-deployment-paused": differs(changed(deployment(), "spec.paused", value=True)),
    "upgrade-replica-set-changed": relabelled(replica_set()),
    "upgrade-slices-remade": REMADE,
    "upgrade-endpoint-stale": [
        (invariants.endpoints_follow(BEFORE, WEB), [seen(not_ready(FIRST)), seen(FIRST, at=1.0 + STALE_SECONDS)])
    ],
    "upgrade-proxy-configuration-lost": [
        (addon_config.kept("kube-proxy", {"kube-proxy": "mode: iptables\n"}), {"kube-proxy": "mode: nftables\n"})
    ],
    "upgrade-corefile-lost": LINE_LOST,
    "upgrade-scaling-lost": [(pods.exactly_ready(LABELS, REPLICAS + 1), state(*PODS))],
    "upgrade-rolling-lost": [
        (deployments.rolled_out(WEB, REPLICAS, 3), ROLLED),
        (deployments.reuses_replica_set(WEB, 3, replica_set()), ROLLED),
    ],
    "upgrade-replacing-lost": [(objects.controlled_by("Pod", FIRST.name, None), BEFORE)],
    "upgrade-listing-lost": [(endpoints.no_address(INNER), state(thing("Service", INNER), INNER_SLICE))],
    "upgrade-slices-uncollected": [(endpoints.no_slices(INNER), state(INNER_SLICE))],
    "upgrade-pods-uncollected": [(pods.deleted("ReplicaSet", frozenset([replica_set().uid])), BEFORE)],
    "upgrade-scheduler-frozen": BROKEN_AT_PODS,
    "upgrade-api-removed": "PodDisruptionBudget",
    "before-budget-of-none": blocked("no PodDisruptionBudget that allows no disruption", blockers.budgets([BUDGET])),
    "before-webhook-unserved": blocked(
        "no webhook that fails closed and has no endpoint", blockers.webhooks([KubeObject(obstacles.WEBHOOK)], [], [])
    ),
    "before-parameter-missing": blocked(
        "no policy that denies because its parameter does not exist",
        blockers.parameters([KubeObject(obstacles.POLICY)], [KubeObject(obstacles.BINDING)], {obstacles.NAME: False}),
    ),
    "before-api-service-away": blocked(
        "no APIService that is not available",
        blockers.services_of_apis([made(obstacles.API_SERVICE, "status.conditions", AWAY)]),
    ),
    "before-stored-version-unserved": blocked(
        "no CustomResourceDefinition with a stored version that it does not serve",
        target_version.stored_versions([made(obstacles.DEFINITION, "status.storedVersions", ["v1"])]),
    ),
    "before-kubelet-too-old": blocked(
        "no Node whose kubelet is too old for v1.38", target_version.old_kubelets({CONTROL_PLANE: "v1.30.0"}, "v1.38")
    ),
    "before-node-lost": blocked("no Node that is not Ready", blockers.unready_nodes([UNREADY])),
    "before-no-room-to-drain": blocked("no Node whose Pods have no room elsewhere", drain_room.no_room(WORKERS, FILLERS)),
    "before-scheduler-frozen": BROKEN_AT_PODS,
}
