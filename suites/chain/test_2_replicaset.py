"""The ReplicaSet of the Deployment: owner, pod-template-hash, annotations and adoption of Pods."""

from fixtures.chain import Create
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import OWN_NAMESPACE, right
from kubechain.conditions import deployments, pods, timeouts
from kubechain.conditions.deployments import HASH
from kubechain.conditions.objects import controlled_by
from kubechain.observe.history_conditions import seen_in_history
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, unchanged
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import LABELS, WEB

claim = ClaimDecorator("concepts/workloads/controllers/replicaset/")

DEPLOYMENT = "concepts/workloads/controllers/deployment/"


@claim("CHAIN-REPLICASET-010", spec="#how-a-replicaset-works", upstream="Deployment RollingUpdate", opens=True)
def test_deployment_controls_one_replica_set(chain: Chain, eventually: Eventually) -> None:
    """A Deployment MUST control exactly one ReplicaSet, by UID and controller=true, that has made all its Pods."""
    eventually(chain.objects, deployments.controls_one_replica_set(WEB, chain.replicas))


@claim("CHAIN-REPLICASET-020", spec=DEPLOYMENT + "#creating-a-deployment")
def test_name_ends_with_hash(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST be named [DEPLOYMENT-NAME]-[HASH], with the hash of its pod-template-hash label."""
    eventually(chain.objects, deployments.named_by_hash(WEB))


@claim("CHAIN-REPLICASET-030", spec=DEPLOYMENT + "#pod-template-hash-label")
def test_hash_in_label_selector_and_template(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST have one pod-template-hash in its labels, its selector and its Pod template."""
    eventually(chain.objects, deployments.hash_everywhere(WEB))


@claim("CHAIN-REPLICASET-040", spec=DEPLOYMENT + "#max-surge")
def test_annotations(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST be annotated with its revision, the desired replicas, and these plus maxSurge rounded up."""
    most = chain.replicas + deployments.surge(chain.deployment)
    wanted = {"revision": "1", "desired-replicas": str(chain.replicas), "max-replicas": str(most)}
    eventually(chain.objects, deployments.annotated(WEB, wanted))


@claim("CHAIN-REPLICASET-050", spec="#how-a-replicaset-works", upstream="Replica Set, run basic image", after=[Link.PODS])
def test_status_counts_every_pod(chain: Chain, eventually: Eventually) -> None:
    """A ReplicaSet whose Pods are ready MUST count all of them as fully labelled, ready and available."""
    eventually(chain.objects, deployments.replica_set_counts(WEB, chain.replicas))


@claim(
    "CHAIN-REPLICASET-060",
    spec="#non-template-pod-acquisitions",
    upstream="Replica Set, adopt matching pods and release non matching pods",
    after=[Link.PODS],
    level="full",
)
def test_orphan_is_adopted(own_chain: Chain, create: Create, eventually: Eventually) -> None:
    """A ReplicaSet MUST take a Pod that matches its selector and has no controller as one of its own."""
    labels = own_chain.replica_set.at("spec.selector.matchLabels")
    orphan = create(own_chain, manifests.client_pod("orphan", own_chain.client_image, labels))
    # The ReplicaSet has one Pod too many after the adoption and may delete this one at once: the history shows its controller.
    adopted = seen_in_history(own_chain.objects, controlled_by("Pod", orphan.name, own_chain.replica_set.uid))
    eventually(own_chain.objects, adopted)
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas), within=timeouts.DELETION)


@claim(
    "CHAIN-REPLICASET-070",
    spec="#isolating-pods-from-a-replicaset",
    upstream="Replica Set, adopt matching pods and release non matching pods",
    after=[Link.PODS],
    level="full",
    requires=[right("patch", "pods")],
)
def test_relabelled_pod_is_released_and_replaced(own_chain: Chain, eventually: Eventually) -> None:
    """A ReplicaSet MUST release a Pod that no longer matches its selector, let it run, and make another in its place."""
    released = own_chain.pods[0]
    actions.label(own_chain, released, {"app": "released"})
    eventually(own_chain.objects, controlled_by("Pod", released.name, None))
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas))
    eventually(own_chain.objects, pods.same_and_ready(released))


@claim(
    "CHAIN-REPLICASET-080",
    spec="#non-template-pod-acquisitions",
    after=[Link.PODS],
    level="full",
    requires=[right("get", "configmaps"), right("patch", "deployments/scale")],
)
def test_controlled_pod_is_never_taken(own_chain: Chain, create: Create, eventually: Eventually) -> None:
    """A ReplicaSet MUST NOT take a Pod that matches its selector but has another controller."""
    owner = own_chain.api.get("ConfigMap", own_chain.namespace, "nginx")
    assert owner is not None
    labels = own_chain.replica_set.at("spec.selector.matchLabels")
    taken = manifests.client_pod("taken", own_chain.client_image, labels)
    pod = create(own_chain, manifests.controlled(taken, owner))
    # The new Pod shows that the controller has synced since, and that it did not count the Pod of the other controller.
    actions.scale(own_chain, own_chain.replicas + 1)
    eventually(own_chain.objects, pods.controlled_count(own_chain.replica_set.uid, own_chain.replicas + 1))
    eventually(own_chain.objects, controlled_by("Pod", pod.name, owner.uid))


@claim(
    "CHAIN-REPLICASET-090",
    spec=DEPLOYMENT + "#pod-template-hash-label",
    after=[Link.PODS],
    level="full",
    requires=[right("patch", "deployments"), OWN_NAMESPACE],
)
def test_hash_follows_the_template(own_chain: Chain, chain: Chain, eventually: Eventually) -> None:
    """Equal Pod templates MUST have equal pod-template-hashes, and different ones different hashes."""
    old = own_chain.replica_set
    unchanged.require_same_template(own_chain, chain)
    assert old.labels[HASH] == chain.replica_set.labels[HASH]
    actions.template(own_chain, "another")
    eventually(own_chain.objects, deployments.other_hash(WEB, 2, old))
