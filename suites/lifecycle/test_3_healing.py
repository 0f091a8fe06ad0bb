"""Self-healing: ended containers and deleted Pods are replaced, and evictions respect the PodDisruptionBudget."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EXEC, NODE_REQUESTS, right
from kubechain.conditions import containers, disruption, endpoints, pods, timeouts
from kubechain.conditions.http import every_backend
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB, WELCOME

claim = ClaimDecorator(level="full")


@claim(
    "LIFE-HEALING-010",
    spec="concepts/workloads/pods/pod-lifecycle/#restart-policy",
    requires=[EXEC, NODE_REQUESTS],
    after=[Link.NODEPORT],
    premises=[*premises.OWN_PROCESSES, *premises.NODE_PORTS, *premises.SPREAD],
)
def test_ended_container_is_restarted(own_chain: Chain, eventually: Eventually) -> None:
    """A container that ends MUST be started again in the same Pod, counted as one restart, and serve again."""
    pod = own_chain.pods[0]
    actions.end_container(own_chain.inside(pod))
    eventually(own_chain.objects, containers.restarted(pod.name, pod.uid, 1))
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, own_chain.replicas)
    eventually(own_chain.objects, listed, within=timeouts.PODS_READY)
    backends = every_backend(own_chain.pod_names, WELCOME)
    eventually(sources.backends_at_nodes(own_chain), backends)


@claim(
    "LIFE-HEALING-020",
    spec="concepts/workloads/controllers/replicaset/#how-a-replicaset-works",
    upstream="Replica Set, run basic image",
    requires=[right("delete", "pods")],
)
def test_deleted_pod_is_replaced(own_chain: Chain, eventually: Eventually) -> None:
    """A deleted Pod MUST be replaced by another of the same ReplicaSet, under a name and UID of its own."""
    deleted = own_chain.pods[0]
    actions.delete(own_chain, deleted)
    eventually(own_chain.objects, pods.deleted("Pod", frozenset([deleted.uid])))
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas))
    count = pods.controlled_count(own_chain.replica_set.uid, own_chain.replicas)
    eventually(own_chain.objects, count, within=timeouts.CONTROLLER)
    assert deleted.name not in own_chain.pod_names


@claim(
    "LIFE-HEALING-030",
    spec="tasks/run-application/configure-pdb/",
    upstream="PodDisruptionBudget: block an eviction until the PDB is updated to allow it",
    requires=[
        right("create", "poddisruptionbudgets"),
        right("get", "poddisruptionbudgets"),
        right("delete", "poddisruptionbudgets"),
        right("create", "pods/eviction"),
        right("patch", "deployments/scale"),
    ],
)
def test_eviction_respects_the_budget(own_chain: Chain, create: Create, eventually: Eventually) -> None:
    """An eviction MUST be refused with 429 while a PodDisruptionBudget forbids it, and MUST be carried out when it allows it."""
    evicted = own_chain.pods[0]
    create(own_chain, manifests.disruption_budget(WEB, least=own_chain.replicas))
    eventually(sources.budget(own_chain, WEB), disruption.allows(0, of=own_chain.replicas))
    eventually(sources.eviction_results(own_chain, evicted), disruption.refused_by_budget())
    eventually(own_chain.objects, pods.same_and_ready(evicted))
    actions.scale(own_chain, own_chain.replicas + 1)
    eventually(sources.budget(own_chain, WEB), disruption.allows(1, of=own_chain.replicas + 1), within=timeouts.PODS_READY)
    eventually(sources.eviction_results(own_chain, evicted), disruption.carried_out())
    eventually(own_chain.objects, pods.deleted("Pod", frozenset([evicted.uid])))
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas + 1))
