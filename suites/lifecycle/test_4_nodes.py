"""Lost, drained and restarted Nodes: the Service keeps answering."""

import math

import pytest

from fixtures.chain import Create
from fixtures.waiting import RecordMetric
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import DISRUPTION, HOST_ACCESS, NODE_PORTS, OWN_CLUSTER, SLEEP_ACTION, THREE_NODES, right
from kubechain.cluster.kind import Cluster
from kubechain.conditions import disruption, nodes, pods, timeouts
from kubechain.conditions.http import all_welcome
from kubechain.observe.history_conditions import seen_in_history
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.probes.load import enough_sent, none_lost
from kubechain.scenarios.load import LEAST, load
from kubechain.scenarios.node_outage import AFTER, TOLERATION_SECONDS, NodeOutage
from kubechain.workload import actions, manifests, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import LABELS, WELCOME
from kubechain.workload.urls import address_of, url

claim = ClaimDecorator("concepts/architecture/nodes/", level="full")

EVICTION = "concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions"
# The EndpointSlice controller batches for up to a second; the rest allows for a loaded one.
UNLISTED_SECONDS = 15.0
LOST = [DISRUPTION, OWN_CLUSTER, HOST_ACCESS, NODE_PORTS, THREE_NODES]


@claim("LIFE-NODES-010", spec="#node-heartbeats", requires=LOST, after=[Link.NODEPORT])
def test_lost_node_is_reported_in_time(node_outage: NodeOutage, record_metric: RecordMetric) -> None:
    """A Node whose kubelet is silent MUST be reported NotReady no later than its grace period allows."""
    record_metric("seconds to NotReady", node_outage.not_ready - node_outage.killed)
    assert node_outage.not_ready - node_outage.killed < timeouts.GRACE_PERIOD.seconds


@claim("LIFE-NODES-020", spec=EVICTION, requires=LOST, after=[Link.NODEPORT])
def test_lost_node_is_tainted(node_outage: NodeOutage) -> None:
    """A lost Node MUST be tainted unreachable, so that no Pod is sent there and those there are driven off."""
    node_outage.nodes.refresh()
    require(node_outage.nodes.read(), seen_in_history(node_outage.nodes, nodes.tainted(node_outage.lost.name, "unreachable")))


@claim("LIFE-NODES-030", spec="concepts/services-networking/endpoint-slices/#conditions", requires=LOST, after=[Link.NODEPORT])
def test_addresses_of_a_lost_node_leave(node_outage: NodeOutage, record_metric: RecordMetric) -> None:
    """A lost Node's Pods MUST be marked not ready, and leave the EndpointSlices, as soon as it is NotReady."""
    record_metric("seconds from NotReady to unlisted", node_outage.unlisted - node_outage.not_ready)
    assert node_outage.unlisted - node_outage.not_ready < UNLISTED_SECONDS
    # The address of a deleted Pod leaves in any case.
    assert node_outage.unready, f"expected Pod {node_outage.evicted.name} not ready before it is deleted, got ready until then"


@claim("LIFE-NODES-040", spec=EVICTION, upstream="Pod Eviction, Toleration limits", requires=LOST, after=[Link.NODEPORT])
def test_pods_of_a_lost_node_are_replaced(node_outage: NodeOutage, record_metric: RecordMetric) -> None:
    """A Pod on a lost Node MUST be evicted when its toleration has run out, not before, and be replaced elsewhere."""
    seconds = node_outage.replaced - node_outage.not_ready
    record_metric("seconds from NotReady to replaced", seconds)
    assert seconds < TOLERATION_SECONDS + timeouts.PODS_READY.seconds
    record_metric("seconds from the taint to the eviction", node_outage.tolerated)
    # The cluster writes both times in whole seconds.
    assert node_outage.tolerated > TOLERATION_SECONDS - 1


@claim("LIFE-NODES-050", spec="reference/networking/virtual-ips/", requires=LOST, after=[Link.NODEPORT])
def test_other_nodes_lose_no_request_after_not_ready(node_outage: NodeOutage, record_metric: RecordMetric) -> None:
    """Once a lost Node's addresses have left, the NodePorts of the other Nodes MUST NOT lose a request."""
    before = node_outage.requests.between(node_outage.killed, node_outage.unlisted)
    record_metric("requests lost before the addresses left", len(before.lost))
    record_metric("requests sent before the addresses left", len(before.samples))
    after = node_outage.requests.between(node_outage.unlisted, node_outage.started)
    last_lost = max((sample.sent for sample in after.lost), default=node_outage.unlisted)
    record_metric("seconds of loss after the addresses left", last_lost - node_outage.unlisted)
    settled = node_outage.unlisted + timeouts.PROXY_SYNC.seconds
    require(node_outage.requests.between(settled, node_outage.started), none_lost(AFTER))


@claim("LIFE-NODES-060", requires=LOST, after=[Link.NODEPORT])
def test_returning_node_is_usable(
    node_outage: NodeOutage, create: Create, eventually: Eventually, record_metric: RecordMetric
) -> None:
    """A Node that comes back MUST turn Ready, lose its taints, run Pods, and answer at its NodePort."""
    record_metric("seconds from its start to Ready", node_outage.back - node_outage.started)
    chain, name = node_outage.chain, node_outage.lost.name
    pod = create(chain, manifests.on_node(manifests.client_pod("settler", chain.client_image), name))
    eventually(chain.objects, pods.ready(pod.name))
    back = eventually(node_outage.nodes, nodes.ready(name)).state.one("Node", name)
    assert back is not None
    eventually(sources.pages(chain, url(address_of(back), chain.node_port)), all_welcome(WELCOME))


@claim("LIFE-NODES-070", requires=LOST, after=[Link.NODEPORT])
def test_node_return_loses_no_request(node_outage: NodeOutage) -> None:
    """While a Node comes back, and once it takes Pods again, the NodePorts of the other Nodes MUST NOT lose a request."""
    require(node_outage.requests.between(node_outage.started, math.inf), none_lost(LEAST))


@claim(
    "LIFE-NODES-080",
    spec="tasks/administer-cluster/safely-drain-node/",
    requires=[
        right("patch", "nodes"),
        right("create", "pods/eviction"),
        DISRUPTION,
        HOST_ACCESS,
        NODE_PORTS,
        THREE_NODES,
        SLEEP_ACTION,
    ],
    after=[Link.NODEPORT],
)
def test_drain_loses_no_request(guarded_chain: Chain, eventually: Eventually) -> None:
    """Draining a Node whose Pods a PodDisruptionBudget guards MUST move them all, and MUST NOT lose a request."""
    chain = guarded_chain
    drained = str(chain.pods[0].at("spec.nodeName"))
    with load(chain, list(chain.node_urls().values())) as stream, actions.cordoned(chain, drained):
        leaving = [pod for pod in chain.pods if pod.at("spec.nodeName") == drained]
        for pod in leaving:
            eventually(sources.evictions(chain, pod), disruption.evicted())
        moved = pods.serving_elsewhere(LABELS, drained, chain.replicas)
        eventually(chain.objects, moved, within=timeouts.ROLLOUT)
        # They still serve then, and their ends are what may lose requests.
        eventually(chain.objects, pods.deleted("Pod", frozenset(pod.uid for pod in leaving)))
        eventually(stream.requests, enough_sent(LEAST))
    require(stream.tally(), none_lost(LEAST))


@pytest.mark.usefixtures("exclusive")
@claim("LIFE-NODES-090", spec="concepts/architecture/#kubelet", requires=[DISRUPTION, OWN_CLUSTER])
def test_kubelet_restart_harms_no_pod(own_chain: Chain, kind_cluster: Cluster, create: Create, eventually: Eventually) -> None:
    """A restart of the kubelet MUST leave the Pods of its Node running, under their UIDs and without a restart."""
    running = own_chain.pods
    for name in sorted({str(pod.at("spec.nodeName")) for pod in running}):
        kind_cluster.restart_kubelet(name)
        # A new Pod on the Node shows that the restarted kubelet works.
        pod = create(own_chain, manifests.on_node(manifests.client_pod(f"on-{name}", own_chain.client_image), name))
        eventually(own_chain.objects, pods.ready(pod.name), within=timeouts.NODE_BACK)
    eventually(own_chain.objects, pods.same_and_ready(*running))
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas), within=timeouts.CONTROLLER)
