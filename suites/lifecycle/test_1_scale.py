"""Scaling of a Deployment: Pods and endpoints follow its replicas."""

from fixtures.chain import Create
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import HOST_ACCESS, NODE_PORTS, SLEEP_ACTION, right
from kubechain.conditions import deployments, endpoints, pods, timeouts
from kubechain.conditions.objects import has
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.probes.load import enough_sent, none_lost
from kubechain.scenarios.load import LEAST, load
from kubechain.workload import actions, manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB

claim = ClaimDecorator("concepts/workloads/controllers/deployment/", level="full")

OF_REPLICA_SET = "concepts/workloads/controllers/replicaset/#scaling-a-replicaset"
MAKE_REPLICA_SET = (right("create", "replicasets"), right("delete", "replicasets"))


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


@claim(
    "LIFE-SCALE-060",
    spec="#scaling-a-deployment",
    upstream="Deployment, completes the scaling of a Deployment subresource",
    requires=[right("get", "deployments/scale"), right("update", "deployments/scale")],
)
def test_scale_can_be_replaced(own_chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose Scale is replaced by another MUST get as many ready Pods as that asks for."""
    scale = actions.replace_scale(own_chain, own_chain.replicas + 1)
    assert scale.at("spec.replicas") == own_chain.replicas + 1
    eventually(own_chain.objects, deployments.counts(WEB, own_chain.replicas + 1), within=timeouts.PODS_READY)


@claim(
    "LIFE-SCALE-070",
    spec=OF_REPLICA_SET,
    upstream="ReplicaSet, completes the scaling of a ReplicaSet subresource",
    requires=[*MAKE_REPLICA_SET, *(right(verb, "replicasets/scale") for verb in ("get", "update", "patch"))],
)
def test_replica_set_follows_its_scale(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A ReplicaSet without a Deployment MUST keep as many ready Pods as its Scale asks for, patched or replaced."""
    name = create(chain, manifests.replica_set("lone", chain.client_image, 1)).name
    labels = {"app": name}
    eventually(chain.objects, pods.exactly_ready(labels, 1))
    actions.replace_scale(chain, 3, "ReplicaSet", name)
    eventually(chain.objects, pods.exactly_ready(labels, 3))
    actions.scale(chain, 2, "ReplicaSet", name)
    eventually(chain.objects, pods.exactly_ready(labels, 2), within=timeouts.DELETION)


@claim(
    "LIFE-SCALE-080",
    spec=OF_REPLICA_SET,
    upstream="ReplicaSet, completes the scaling of a ReplicaSet subresource",
    requires=[*MAKE_REPLICA_SET, right("get", "replicasets/scale")],
)
def test_scale_of_a_replica_set_agrees_with_it(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The Scale of a ReplicaSet MUST say how many Pods it asks for, how many it has, and by which selector."""
    name = create(chain, manifests.replica_set("scaled", chain.client_image, 2)).name
    eventually(chain.objects, has("ReplicaSet", name, {"status.replicas": 2}))
    scale = actions.read_scale(chain, "ReplicaSet", name)
    said = scale.at("spec.replicas"), scale.at("status.replicas"), scale.at("status.selector")
    assert said == (2, 2, f"app={name}")
