"""The Pods that the ReplicaSet makes: whose they are, where they run, and in which state."""

from fixtures.claims import Link, claim
from fixtures.conditions import deployments, pods
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import LABELS, REPLICAS, WEB

LIFECYCLE = "concepts/workloads/pods/pod-lifecycle/"
REPLICASET = "concepts/workloads/controllers/replicaset/"


@claim(
    "CHAIN-PODS-010",
    link=Link.PODS,
    spec=REPLICASET,
    upstream="Replica Set, run basic image",
    opens=True,
)
def test_pods_become_ready(chain: Chain, eventually: Eventually) -> None:
    """As many Pods as the Deployment asks for MUST become ready, and no more."""
    eventually(chain.objects, pods.exactly_ready(LABELS, REPLICAS), within=deadlines.PODS_READY)


@claim("CHAIN-PODS-020", link=Link.PODS, spec="concepts/overview/working-with-objects/owners-dependents/")
def test_pods_are_controlled_by_the_replica_set(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have the ReplicaSet as its controller, by apiVersion, kind, name and UID."""
    eventually(chain.objects, deployments.pods_controlled(WEB, LABELS), within=deadlines.CONTROLLER)


@claim("CHAIN-PODS-030", link=Link.PODS, spec="concepts/workloads/pods/#pod-templates")
def test_pods_have_the_labels_of_the_template(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have every label of the Pod template, pod-template-hash included."""
    eventually(chain.objects, deployments.pods_labelled(WEB), within=deadlines.CONTROLLER)


@claim("CHAIN-PODS-040", link=Link.PODS, spec="concepts/scheduling-eviction/kube-scheduler/")
def test_pods_are_bound_to_nodes(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST be bound to a Node of the cluster and run at an address of that Node."""
    eventually(chain.objects, pods.on_nodes(LABELS, chain.node_addresses), within=deadlines.CONTROLLER)


@claim("CHAIN-PODS-050", link=Link.PODS, spec="concepts/cluster-administration/networking/", needs=["podCIDR"])
def test_pod_addresses_lie_in_the_range_of_their_node(chain: Chain, eventually: Eventually) -> None:
    """Each Pod MUST have an address of its own that lies in the podCIDR of its Node."""
    eventually(chain.objects, pods.in_pod_cidr(LABELS, chain.pod_ranges), within=deadlines.CONTROLLER)


@claim("CHAIN-PODS-060", link=Link.PODS, spec=LIFECYCLE + "#pod-conditions")
def test_conditions_are_true(chain: Chain, eventually: Eventually) -> None:
    """Each ready Pod MUST report PodScheduled, Initialized, ContainersReady and Ready as True."""
    eventually(chain.objects, pods.conditions_true(LABELS), within=deadlines.CONTROLLER)


@claim("CHAIN-PODS-070", link=Link.PODS, spec=LIFECYCLE + "#how-pods-handle-problems-with-containers")
def test_containers_run_without_a_restart(chain: Chain, eventually: Eventually) -> None:
    """Each Pod of a healthy workload MUST be Running with a restartCount of 0."""
    eventually(chain.objects, pods.never_restarted(LABELS), within=deadlines.CONTROLLER)


@claim("CHAIN-IMAGE-010", link=Link.IMAGE, spec="concepts/containers/images/#image-names", after=[Link.PODS])
def test_pods_run_the_image_of_the_template(chain: Chain, eventually: Eventually) -> None:
    """Each container MUST run the image that the Pod template names, with one and the same imageID on every Node."""
    eventually(chain.objects, pods.run_image(LABELS, chain.image), within=deadlines.CONTROLLER)


@claim(
    "CHAIN-IMAGE-020",
    link=Link.IMAGE,
    spec="concepts/containers/images/#image-names",
    after=[Link.PODS],
    needs=["kind"],
)
def test_image_that_was_loaded_is_the_image_that_runs(chain: Chain, eventually: Eventually) -> None:
    """Each container MUST run the very image that was put on the Nodes, told by the digest of its configuration."""
    eventually(chain.objects, pods.run_image_of(LABELS, chain.image_ids), within=deadlines.CONTROLLER)
