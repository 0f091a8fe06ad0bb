"""The Pods of the ReplicaSet: owner, Node, image, conditions, events and failures."""

import pytest

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EVENTS, EXEC, LISTED, OWN_CLUSTER, POD_CIDR, UNTOLERANT, right
from kubechain.cluster.kind import Cluster
from kubechain.conditions import containers, deployments, pods, qos, scheduling, timeouts, tokens
from kubechain.conditions.http import forbidden_to
from kubechain.conditions.objects import event_names, exists, happened, holds_certificate, never_happened
from kubechain.kube.objects import KubeObject
from kubechain.observe.history_conditions import seen_in_history
from kubechain.observe.protocols import Consistently, Eventually
from kubechain.scenarios.failing_pods import FailingPods
from kubechain.workload import actions, manifests, sources, unchanged, unpromised, unrestricted
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE, LABELS, WEB
from kubechain.workload.pod_spec import ACCOUNT

claim = ClaimDecorator("concepts/containers/images/")

LIFECYCLE = "concepts/workloads/pods/pod-lifecycle/"


@claim("CHAIN-PODS-010", spec="concepts/workloads/controllers/replicaset/", upstream="Replica Set, run basic image", opens=True)
def test_pods_become_ready(chain: Chain, eventually: Eventually) -> None:
    """As many Pods as the Deployment asks for MUST become ready, and no more."""
    # A Pod that no Node takes is known long before the time for a pull is over.
    eventually(chain.objects, scheduling.scheduled(LABELS, chain.replicas))
    eventually(chain.objects, scheduling.bound(LABELS))
    eventually(chain.objects, pods.exactly_ready(LABELS, chain.replicas))


@claim("CHAIN-PODS-020", spec="concepts/overview/working-with-objects/owners-dependents/")
def test_pods_are_controlled_by_the_replica_set(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have the ReplicaSet as its controller, by apiVersion, kind, name and UID."""
    eventually(chain.objects, deployments.pods_controlled(WEB, LABELS))


@claim("CHAIN-PODS-030", spec="concepts/workloads/pods/#pod-templates")
def test_pods_have_the_labels_of_the_template(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have every label of the Pod template, pod-template-hash included."""
    eventually(chain.objects, deployments.pods_labelled(WEB))


@claim("CHAIN-PODS-040", spec="concepts/scheduling-eviction/kube-scheduler/", requires=[LISTED])
def test_pods_are_bound_to_nodes(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST be bound to a Node of the cluster and run at an address of that Node."""
    eventually(chain.objects, pods.on_nodes(LABELS, chain.node_addresses))


@claim("CHAIN-PODS-050", spec="concepts/cluster-administration/networking/", requires=[OWN_CLUSTER, POD_CIDR])
def test_pod_addresses_lie_in_the_range_of_their_node(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have an address of its own that lies in the podCIDR of its Node, where the CNI uses podCIDRs."""
    ranges = {node.name: node.at("spec.podCIDRs", []) for node in chain.nodes_now}
    eventually(chain.objects, pods.in_pod_cidr(LABELS, ranges))


@claim("CHAIN-PODS-060", spec=LIFECYCLE + "#pod-conditions")
def test_conditions_are_true(chain: Chain, eventually: Eventually) -> None:
    """Each ready Pod MUST report PodScheduled, Initialized, ContainersReady and Ready as True."""
    eventually(chain.objects, pods.conditions_true(LABELS))


@claim("CHAIN-PODS-070", spec=LIFECYCLE + "#how-pods-handle-problems-with-containers")
def test_containers_run_without_a_restart(chain: Chain, eventually: Eventually) -> None:
    """Each Pod of a healthy workload MUST be Running with a restartCount of 0."""
    eventually(chain.objects, pods.never_restarted(LABELS))


@claim("CHAIN-IMAGE-010", spec="#image-names", after=[Link.PODS])
def test_pods_run_the_image_of_the_template(chain: Chain, eventually: Eventually) -> None:
    """Each container MUST run the image that the Pod template names, with the same imageID wherever this project has put it."""
    image = unchanged.template_image(chain)
    # Elsewhere a runtime may name an image by its index, its manifest or its configuration, and by the registry that it knows.
    eventually(chain.objects, containers.run_image(LABELS, image, same=bool(chain.image_ids)))


@claim("CHAIN-IMAGE-020", spec="#image-names", after=[Link.PODS], requires=[OWN_CLUSTER])
def test_image_that_was_loaded_is_the_image_that_runs(chain: Chain, eventually: Eventually) -> None:
    """Each container MUST run the very image that was put on the Nodes, told by the digest of its configuration."""
    unchanged.require_image(chain, chain.image, *chain.pods)
    eventually(chain.objects, containers.run_image_of(LABELS, chain.image_ids))


@claim("CHAIN-PODS-080", spec="concepts/workloads/pods/pod-qos/", upstream="Pods, QOS")
def test_quality_of_service_follows_from_resources(chain: Chain, bare_pod: KubeObject, eventually: Eventually) -> None:
    """The QoS class of a Pod MUST follow from what its containers ask for: BestEffort if they ask for nothing."""
    eventually(chain.objects, qos.follows_from_resources(LABELS))
    eventually(chain.objects, qos.follows_from_resources(bare_pod.labels))


@claim(
    "CHAIN-PODS-090",
    spec="concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions",
    requires=[UNTOLERANT],
    premises=premises.TOLERATED_300_S,
)
def test_pods_tolerate_a_lost_node_for_300_s(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST tolerate the NoExecute taints not-ready and unreachable for 300 s where it says nothing of them."""
    eventually(chain.objects, pods.tolerating({"not-ready": 300, "unreachable": 300}, LABELS))


@claim(
    "CHAIN-PODS-100",
    spec="concepts/storage/projected-volumes/#serviceaccounttoken",
    upstream="Service account tokens auto mount optionally",
)
def test_token_ca_and_namespace_are_projected(chain: Chain, bare_pod: KubeObject, eventually: Eventually) -> None:
    """A Pod that mounts its token MUST have it, expiring, with the API server's CA and the namespace in a projected volume."""
    eventually(chain.objects, tokens.with_projected_token(bare_pod.labels))


@claim(
    "CHAIN-PODS-110",
    spec="reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume",
    upstream="Service Account Tokens Must AutoMount",
    after=[Link.PODS, Link.CLUSTERIP],
    requires=[EXEC],
)
def test_token_authenticates_from_inside(chain: Chain, bare_pod: KubeObject, eventually: Eventually) -> None:
    """The API server MUST know a Pod that shows its token as the Pod's ServiceAccount."""
    place = chain.ready_inside(bare_pod.name)
    unrestricted.require_no_rights(chain, place)
    who = f"system:serviceaccount:{chain.namespace}:{ACCOUNT}"
    # The ServiceAccount has no rights, and the message of the 403 names the user that the API server authenticated.
    pages = sources.api_pages(chain, place, unrestricted.secrets(chain))
    eventually(pages, forbidden_to(who), within=timeouts.DATA_PLANE)


@pytest.mark.usefixtures("events")
@claim("CHAIN-PODS-120", spec="tasks/debug/debug-application/debug-running-pod/", after=[Link.PODS], requires=[EVENTS])
def test_pod_has_the_events_of_its_start(chain: Chain, eventually: Eventually) -> None:
    """For each Pod there MUST be the events Scheduled, Pulled, Created and Started."""
    unpromised.require_events(chain, eventually, happened("Pod", LABELS, "Scheduled", "Pulled", "Created", "Started"))


@claim(
    "CHAIN-PODS-130",
    spec="concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity",
    after=[Link.PODS],
    level="full",
)
def test_unschedulable_pod_says_why_and_runs_later(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod that fits nowhere MUST stay Pending with PodScheduled=False and a reason, and MUST run once it fits."""
    lonely = create(chain, manifests.beside(manifests.client_pod("lonely", chain.client_image), {"app": "awaited"}))
    eventually(chain.objects, containers.unschedulable(lonely.name))
    create(chain, manifests.client_pod("awaited", chain.client_image, {"app": "awaited"}))
    eventually(chain.objects, pods.ready(lonely.name))


@claim("CHAIN-PODS-140", spec=LIFECYCLE + "#container-probes", after=[Link.PODS], level="full", requires=[EXEC])
def test_unready_pod_keeps_running(own_chain: Chain, eventually: Eventually, consistently: Consistently) -> None:
    """A Pod whose readiness probe fails MUST turn unready and MUST NOT be restarted or replaced for it."""
    pod = own_chain.pods[0]
    actions.unready(own_chain, pod)
    eventually(own_chain.objects, containers.runs_unready(pod.name, pod.uid))
    consistently(own_chain.objects, containers.runs_unready(pod.name, pod.uid), during=timeouts.STEADY)
    eventually(own_chain.objects, pods.count(LABELS, own_chain.replicas), within=timeouts.CONTROLLER)


@claim("CHAIN-PODS-150", spec=LIFECYCLE + "#how-pods-handle-problems-with-containers", level="full")
def test_crashes_are_counted(chain: Chain, failing_pods: FailingPods, eventually: Eventually) -> None:
    """A container that keeps failing MUST be started again, each restart counted, with CrashLoopBackOff in between."""
    # A wait could miss the state CrashLoopBackOff between two restarts; the history has each version of the Pod.
    crashed = seen_in_history(chain.objects, containers.counts_crashes(failing_pods.crashing.name, 1))
    eventually(chain.objects, crashed)


@claim(
    "CHAIN-PODS-160",
    spec="concepts/security/service-accounts/#default-service-accounts",
    upstream="RootCA ConfigMap test",
    requires=[right("get", "serviceaccounts"), right("get", "configmaps")],
)
def test_namespace_has_what_pods_need(chain: Chain, eventually: Eventually) -> None:
    """Every namespace MUST be given the ServiceAccount default and the ConfigMap kube-root-ca.crt with a certificate."""
    eventually(sources.one(chain, "ServiceAccount", "default"), exists("ServiceAccount default"))
    eventually(sources.one(chain, "ConfigMap", "kube-root-ca.crt"), holds_certificate("ca.crt"))


@claim("CHAIN-IMAGE-030", requires=[OWN_CLUSTER])
def test_image_is_on_every_node(chain: Chain, kind_cluster: Cluster) -> None:
    """The image that was loaded MUST be in the image store of every Node."""
    missing = [node for node in kind_cluster.nodes() if not kind_cluster.holds(node, chain.image)]
    assert missing == []


@pytest.mark.usefixtures("events")
@claim("CHAIN-IMAGE-040", spec="#image-pull-policy", after=[Link.PODS], requires=[EVENTS, OWN_CLUSTER])
def test_present_image_is_not_pulled(chain: Chain, eventually: Eventually) -> None:
    """An image that is on the Node MUST NOT be pulled again under the pull policy IfNotPresent."""
    eventually(chain.objects, never_happened("Pod", LABELS, "Pulling", after="Pulled"))


@pytest.mark.usefixtures("events")
@claim("CHAIN-IMAGE-050", spec="#imagepullbackoff", level="full", long=True, requires=[EVENTS])
def test_missing_image_is_named(chain: Chain, failing_pods: FailingPods, eventually: Eventually) -> None:
    """A Pod whose image cannot be pulled MUST wait with ErrImagePull, then ImagePullBackOff, and an event names it."""
    absent = failing_pods.absent
    unchanged.require_image(chain, ABSENT_IMAGE, absent)
    refused = seen_in_history(chain.objects, containers.pull_failed(absent.name))
    unpromised.require_refused_pull(chain, eventually, absent.name, refused)
    unpromised.require_refused_pull(chain, eventually, absent.name, containers.waits_because(absent.name, "ImagePullBackOff"))
    unpromised.require_events(chain, eventually, event_names("Pod", absent.name, "Failed", ABSENT_IMAGE))
