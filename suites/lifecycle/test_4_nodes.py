"""Nodes that are lost, drained and disturbed: the Service stands."""

import math

import pytest

from fixtures.claims import Link, claim
from fixtures.cluster.kind import Cluster
from fixtures.conditions import disruption, node, pods
from fixtures.conditions.answers import all_welcome
from fixtures.given import Eventually, Make, Measured
from fixtures.observe import deadlines
from fixtures.observe.history import seen_in_history
from fixtures.observe.wait import require
from fixtures.probes.continuous import asked, none_lost
from fixtures.scenarios.load import LEAST, load
from fixtures.scenarios.outage import AFTER, TOLERATION_SECONDS, Outage
from fixtures.workload import change, manifests
from fixtures.workload.addresses import address_of, url
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import LABELS, REPLICAS, WELCOME

NODES = "concepts/architecture/nodes/"
EVICTION = "concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions"
LOST = ["disruptive", "kind", "host", "nodes>=3"]


@claim("LIFE-NODES-010", link=Link.NODES, spec=NODES + "#node-heartbeats", needs=LOST, level="full")
def test_lost_node_is_reported_in_time(outage: Outage, measured: Measured) -> None:
    """A Node whose kubelet is silent MUST be reported NotReady no later than its grace period allows."""
    measured("seconds to NotReady", outage.not_ready - outage.killed)
    assert outage.not_ready - outage.killed < deadlines.GRACE_PERIOD.seconds


@claim("LIFE-NODES-020", link=Link.NODES, spec=EVICTION, needs=LOST, level="full")
def test_lost_node_is_tainted(outage: Outage) -> None:
    """A lost Node MUST be tainted unreachable, so that no Pod is sent there and those there are driven off."""
    require(outage.nodes.read(), seen_in_history(outage.nodes, node.tainted(outage.lost.name, "unreachable")))


@claim(
    "LIFE-NODES-030",
    link=Link.NODES,
    spec="concepts/services-networking/endpoint-slices/#conditions",
    needs=LOST,
    level="full",
)
def test_addresses_of_a_lost_node_leave(outage: Outage, measured: Measured) -> None:
    """The addresses of a lost Node's Pods MUST leave Endpoints and EndpointSlices as soon as it is NotReady."""
    measured("seconds from NotReady to unlisted", outage.unlisted - outage.not_ready)
    assert outage.unlisted - outage.not_ready < deadlines.ENDPOINTS.seconds


@claim(
    "LIFE-NODES-040",
    link=Link.NODES,
    spec=EVICTION,
    upstream="Pod Eviction, Toleration limits",
    needs=LOST,
    level="full",
)
def test_pods_of_a_lost_node_are_replaced(outage: Outage, measured: Measured) -> None:
    """A Pod on a lost Node MUST be evicted when its toleration has run out, not before, and be replaced elsewhere."""
    seconds = outage.replaced - outage.not_ready
    measured("seconds from NotReady to replaced", seconds)
    assert TOLERATION_SECONDS - 1 < seconds < TOLERATION_SECONDS + deadlines.PODS_READY.seconds


@claim(
    "LIFE-NODES-050",
    link=Link.NODES,
    spec="reference/networking/virtual-ips/",
    needs=LOST,
    level="full",
)
def test_other_nodes_lose_no_request_after_not_ready(outage: Outage, measured: Measured) -> None:
    """Once a lost Node's addresses have left, the NodePorts of the other Nodes MUST NOT lose a request."""
    before = outage.requests.between(outage.killed, outage.unlisted)
    measured("requests lost before the addresses left", len(before.lost))
    measured("requests sent before the addresses left", len(before.samples))
    after = outage.requests.between(outage.unlisted, outage.started)
    last_lost = max((sample.sent for sample in after.lost), default=outage.unlisted)
    measured("seconds of loss after the addresses left", last_lost - outage.unlisted)
    settled = outage.unlisted + deadlines.PROXY_SYNC.seconds
    require(outage.requests.between(settled, outage.started), none_lost(AFTER))


@claim("LIFE-NODES-060", link=Link.NODES, spec=NODES, needs=LOST, level="full")
def test_returning_node_is_usable(outage: Outage, make: Make, eventually: Eventually, measured: Measured) -> None:
    """A Node that comes back MUST turn Ready, lose its taints, run Pods, and answer at its NodePort."""
    measured("seconds from its start to Ready", outage.back - outage.started)
    chain, name = outage.chain, outage.lost.name
    pod = make(chain, manifests.on_node(manifests.client_pod("settler", chain.client_image), name))
    eventually(chain.objects, pods.ready(pod.name), within=deadlines.PODS_READY)
    back = eventually(outage.nodes, node.ready(name), within=deadlines.NODE_BACK).state.one("Node", name)
    assert back is not None
    eventually(chain.pages(url(address_of(back), chain.node_port)), all_welcome(WELCOME), within=deadlines.DATA_PLANE)


@claim("LIFE-NODES-070", link=Link.NODES, spec=NODES, needs=LOST, level="full")
def test_node_return_loses_no_request(outage: Outage) -> None:
    """While a Node comes back, the NodePorts of the other Nodes MUST NOT lose a request."""
    require(outage.requests.between(outage.started, math.inf), none_lost(LEAST))


@claim(
    "LIFE-NODES-080",
    link=Link.NODES,
    spec="tasks/administer-cluster/safely-drain-node/",
    needs=["disruptive", "host", "nodes>=3", "kubernetes>=1.30"],
    level="full",
)
def test_drain_loses_no_request(guarded_chain: Chain, eventually: Eventually) -> None:
    """Draining a Node whose Pods a PodDisruptionBudget guards MUST move them all, and MUST NOT lose a request."""
    chain = guarded_chain
    drained = str(chain.pods[0].at("spec.nodeName"))
    with load(chain, list(chain.node_urls().values())) as stream, change.cordoned(chain, drained):
        for pod in [pod for pod in chain.pods if pod.at("spec.nodeName") == drained]:
            eventually(chain.evictions(pod), disruption.carried_out(), within=deadlines.DELETION)
        moved = pods.serving_elsewhere(LABELS, drained, chain.replicas)
        eventually(chain.objects, moved, within=deadlines.ROLLOUT)
        eventually(stream.requests, asked(LEAST), within=deadlines.LOAD)
    require(stream.tally(), none_lost(LEAST))


@pytest.mark.usefixtures("quiet")
@claim(
    "LIFE-NODES-090",
    link=Link.NODES,
    spec="concepts/architecture/#kubelet",
    needs=["disruptive", "kind"],
    level="full",
)
def test_kubelet_restart_harms_no_pod(own_chain: Chain, kind_cluster: Cluster, make: Make, eventually: Eventually) -> None:
    """A restart of the kubelet MUST leave the Pods of its Node running, under their UIDs and without a restart."""
    running = own_chain.pods
    for name in sorted({str(pod.at("spec.nodeName")) for pod in running}):
        kind_cluster.restart_kubelet(name)
        # That a new Pod runs there shows that the new kubelet has taken over.
        pod = make(own_chain, manifests.on_node(manifests.client_pod(f"on-{name}", own_chain.client_image), name))
        eventually(own_chain.objects, pods.ready(pod.name), within=deadlines.NODE_BACK)
    eventually(own_chain.objects, pods.same_and_ready(*running), within=deadlines.CONTROLLER)
    eventually(own_chain.objects, pods.exactly_ready(LABELS, REPLICAS), within=deadlines.CONTROLLER)
