"""Scaling of a Deployment: Pods and endpoints follow its replicas."""

from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import HOST_ACCESS, NODE_PORTS, SLEEP_ACTION, right
from kubechain.conditions import deployments, endpoints, pods, timeouts
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.probes.load import enough_sent, none_lost
from kubechain.scenarios.load import LEAST, load
from kubechain.workload import actions
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB

claim = ClaimDecorator("concepts/workloads/controllers/deployment/", level="full")


@claim(
    "LIFE-SCALE-010",
    spec="#scaling-a-deployment",
    upstream="Deployment, completes the scaling of a Deployment subresource",
    requires=[right("patch", "deployments/scale")],
)
def test_scale_up(own_chain: Chain, eventually: Eventually) -> None:
    """A Deployment scaled up through its scale subresource MUST get that many ready Pods, all of them listed."""
    actions.scale(own_chain, own_chain.replicas + 2)
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, own_chain.replicas + 2)
    eventually(own_chain.objects, listed, within=timeouts.PODS_READY)


@claim("LIFE-SCALE-020", spec="#scaling-a-deployment", requires=[right("patch", "deployments")])
def test_scale_down(own_chain: Chain, eventually: Eventually) -> None:
    """A Deployment scaled down by its own replicas field MUST keep that many Pods, and no other be listed."""
    actions.deployment(own_chain, {"replicas": 1})
    eventually(own_chain.objects, pods.exactly_ready(LABELS, 1), within=timeouts.DELETION)
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 1)
    eventually(own_chain.objects, listed)


@claim("LIFE-SCALE-030", spec="#scaling-a-deployment", requires=[right("patch", "deployments/scale")])
def test_scale_to_zero_and_back(own_chain: Chain, eventually: Eventually) -> None:
    """A Deployment scaled to zero MUST lose all Pods and keep its Service and ReplicaSet, and MUST serve when scaled up."""
    replica_set = own_chain.replica_set.uid
    actions.scale(own_chain, 0)
    eventually(own_chain.objects, pods.count(LABELS, 0))
    eventually(own_chain.objects, endpoints.no_address(WEB))
    actions.scale(own_chain, own_chain.replicas)
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, own_chain.replicas)
    eventually(own_chain.objects, listed, within=timeouts.PODS_READY)
    assert own_chain.replica_set.uid == replica_set


@claim(
    "LIFE-SCALE-040",
    spec="#scaling-a-deployment",
    upstream="Deployment, completes the scaling of a Deployment subresource",
    requires=[right("patch", "deployments/scale"), right("get", "deployments/scale")],
)
def test_scale_subresource_and_status_agree(own_chain: Chain, eventually: Eventually) -> None:
    """The scale subresource MUST say what the Deployment asks for, and its status follow."""
    scale = actions.scale(own_chain, own_chain.replicas + 1)
    assert scale.at("spec.replicas") == own_chain.replicas + 1
    eventually(own_chain.objects, deployments.counts(WEB, own_chain.replicas + 1), within=timeouts.PODS_READY)
    assert actions.read_scale(own_chain).at("status.replicas") == own_chain.replicas + 1


@claim(
    "LIFE-SCALE-050",
    spec="concepts/workloads/pods/pod-lifecycle/#pod-termination",
    requires=[right("patch", "deployments/scale"), HOST_ACCESS, NODE_PORTS, SLEEP_ACTION],
    after=[Link.NODEPORT],
)
def test_scale_down_loses_no_request(serving_four: Chain, eventually: Eventually) -> None:
    """Scaling down Pods that end gracefully MUST NOT lose a request through the NodePort."""
    with load(serving_four, list(serving_four.node_urls().values())) as stream:
        actions.scale(serving_four, 1)
        eventually(serving_four.objects, pods.exactly_ready(LABELS, 1), within=timeouts.DELETION)
        eventually(stream.requests, enough_sent(LEAST))
    require(stream.tally(), none_lost(LEAST))
