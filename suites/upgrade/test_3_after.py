"""After a change: the objects from before it are unchanged and still managed, and the whole chain holds."""

import pytest

from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.records import RunRecord
from kubechain.claims.requirements import ADDONS, right
from kubechain.conditions import deployments, endpoints, objects, pods, timeouts
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.upgrade.addon_config import kept
from kubechain.upgrade.availability import kubelets_as_wanted, nodes_ready, proxies_as_wanted
from kubechain.upgrade.invariants import still_there
from kubechain.upgrade.phases import After, not_served
from kubechain.upgrade.witnesses import INNER, REPLICAS
from kubechain.workload import actions
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB

claim = ClaimDecorator("concepts/workloads/controllers/deployment/")

UPGRADE = "tasks/administer-cluster/kubeadm/kubeadm-upgrade/"
# A change that is none of versions may be one of just these.
NO_VERSIONS = "needs a change of versions"


@claim("AFTER-DEPLOYMENT-010")
def test_deployment_as_before(after: After) -> None:
    """After a change a Deployment made before it MUST be as it was."""
    require(after.state, still_there(after.before.snapshot.state, ["Deployment"]))


@claim("AFTER-REPLICASET-010", spec="concepts/workloads/controllers/replicaset/")
def test_replica_sets_as_before(after: After) -> None:
    """After a change every ReplicaSet made before it MUST be there with its owner and its pod-template-hash."""
    require(after.state, still_there(after.before.snapshot.state, ["ReplicaSet"]))


@claim("AFTER-PODS-010", spec=UPGRADE)
def test_pods_as_before(after: After) -> None:
    """After a change every Pod MUST be as before, but those of Nodes that were drained or replaced."""
    require(after.state, pods.exactly_ready(LABELS, REPLICAS))
    known = after.before.snapshot.state
    if all(map(after.replaced, known.all("Pod"))):
        pytest.skip("needs a Pod from before that was not to be replaced")
    require(after.state, still_there(known, ["Pod"], replaced=after.replaced))


@claim("AFTER-SERVICE-010", spec="concepts/services-networking/service/")
def test_services_as_before(after: After) -> None:
    """After a change every Service MUST have the clusterIP, nodePorts, ports and selector that it had."""
    require(after.state, still_there(after.before.snapshot.state, ["Service"]))


@claim("AFTER-ENDPOINTS-010", spec="concepts/services-networking/endpoint-slices/")
def test_slices_as_before(after: After) -> None:
    """After a change the EndpointSlices of a Service MUST be those from before, and list exactly its ready Pods."""
    require(after.state, still_there(after.before.snapshot.state, ["EndpointSlice"]))
    require(after.state, endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, REPLICAS))


@claim(
    "AFTER-ENDPOINTS-020", spec="concepts/services-networking/endpoint-slices/#management", requires=[right("patch", "services")]
)
def test_slices_are_still_managed(witnesses: Chain, eventually: Eventually) -> None:
    """After a change the EndpointSlices of a Service made before it MUST follow a change of its selector and back."""
    actions.service(witnesses, {"selector": {"app": "nobody"}}, INNER)
    eventually(witnesses.objects, endpoints.no_address(INNER))
    actions.service(witnesses, {"selector": LABELS}, INNER)
    eventually(witnesses.objects, endpoints.slices_list_exactly(INNER, LABELS, CONTAINER_PORT, REPLICAS))
    eventually(witnesses.objects, endpoints.lists(INNER, *witnesses.pods))


@claim("AFTER-CLUSTERIP-010", spec="reference/config-api/kube-proxy-config.v1alpha1/", requires=[ADDONS])
def test_kube_proxy_keeps_its_configuration(after: After) -> None:
    """After an upgrade kube-proxy MUST have every value of its configuration that was set before."""
    if not after.upgraded:
        pytest.skip(NO_VERSIONS)
    if "kube-proxy" not in after.before.snapshot.configuration:
        pytest.skip("needs the configuration of kube-proxy from before, in the ConfigMap of kubeadm")
    require(after.configuration, kept("kube-proxy", after.before.snapshot.configuration))


@claim("AFTER-API-010", spec="reference/using-api/deprecation-policy/", requires=[right("list", "poddisruptionbudgets")])
def test_apis_are_still_served(after: After) -> None:
    """After a change every API that serves the objects made before it MUST still be served."""
    assert not not_served(after.before.witnesses.api, after.before.snapshot.apis)


@claim("AFTER-DNS-010", spec="tasks/administer-cluster/dns-custom-nameservers/", requires=[ADDONS])
def test_coredns_keeps_its_configuration(after: After) -> None:
    """After an upgrade CoreDNS MUST have every line of its Corefile that was there before."""
    if not after.upgraded:
        pytest.skip(NO_VERSIONS)
    if "CoreDNS" not in after.before.snapshot.configuration:
        pytest.skip("needs the configuration of CoreDNS from before, in the ConfigMap of kubeadm")
    require(after.configuration, kept("CoreDNS", after.before.snapshot.configuration))


@claim("AFTER-SCALE-010", spec="#scaling-a-deployment", requires=[right("patch", "deployments/scale")])
def test_deployment_still_scales(witnesses: Chain, eventually: Eventually) -> None:
    """After a change a Deployment made before it MUST scale with the ReplicaSet and the hash that it had."""
    before = witnesses.replica_set
    actions.scale(witnesses, REPLICAS + 1)
    eventually(witnesses.objects, pods.exactly_ready(LABELS, REPLICAS + 1))
    require(witnesses.objects.read(), pods.controlled_count(before.uid, REPLICAS + 1))
    actions.scale(witnesses, REPLICAS)
    eventually(witnesses.objects, pods.count(LABELS, REPLICAS))


@claim("AFTER-ROLLOUT-010", spec="#updating-a-deployment", requires=[right("patch", "deployments")])
def test_deployment_still_rolls(witnesses: Chain, eventually: Eventually) -> None:
    """After a change a changed template MUST roll a Deployment made before it to a new ReplicaSet, the old one kept."""
    old, number = witnesses.replica_set, deployments.revision(witnesses.deployment) + 1
    actions.template(witnesses, str(number))
    eventually(witnesses.objects, deployments.rolled_out(WEB, REPLICAS, number))
    eventually(witnesses.objects, deployments.kept_at_zero(WEB, old))


@claim("AFTER-ROLLOUT-020", spec="#rolling-back-a-deployment", requires=[right("patch", "deployments")])
def test_deployment_still_rolls_back(after: After, witnesses: Chain, eventually: Eventually) -> None:
    """After a change a Deployment MUST roll back to a ReplicaSet from before it: the same UID, the same hash."""
    old = deployments.current_replica_set(after.before.snapshot.state, WEB)
    assert old is not None
    number = deployments.revision(witnesses.deployment) + 1
    actions.roll_back(witnesses, old)
    eventually(witnesses.objects, deployments.reuses_replica_set(WEB, number, old), within=timeouts.ROLLOUT)
    eventually(witnesses.objects, deployments.rolled_out(WEB, REPLICAS, number))


@claim(
    "AFTER-HEALING-010",
    spec="concepts/workloads/controllers/replicaset/#isolating-pods-from-a-replicaset",
    requires=[right("patch", "pods"), right("delete", "pods")],
)
def test_relabelled_pod_is_still_replaced(witnesses: Chain, eventually: Eventually) -> None:
    """After a change a ReplicaSet made before it MUST release a Pod that is relabelled, and replace it."""
    pod = witnesses.pods[0]
    actions.label(witnesses, pod, {"app": "apart"})
    eventually(witnesses.objects, objects.controlled_by("Pod", pod.name, None))
    eventually(witnesses.objects, pods.exactly_ready(LABELS, REPLICAS))
    eventually(witnesses.objects, endpoints.without(WEB, pod.uid))
    actions.remove(witnesses, "Pod", pod.name)


@claim("AFTER-NODES-010", spec=UPGRADE)
def test_all_kubelets_are_upgraded(after: After) -> None:
    """After an upgrade the API server and every kubelet MUST be at the version that was wanted."""
    if not after.nodes_upgraded:
        pytest.skip(NO_VERSIONS)
    require(after, kubelets_as_wanted())


@claim("AFTER-NODES-020", spec=UPGRADE)
def test_all_kube_proxies_are_upgraded(after: After) -> None:
    """After an upgrade the kube-proxy of every Node, where there is one, MUST be of the API server's minor version."""
    if not after.nodes_upgraded:
        pytest.skip(NO_VERSIONS)
    if not after.proxies:
        pytest.skip("needs a kube-proxy that runs as a Pod with the label k8s-app=kube-proxy")
    require(after, proxies_as_wanted())


@claim("AFTER-NODES-030", spec="concepts/architecture/nodes/#condition")
def test_all_nodes_are_ready(after: After) -> None:
    """After a change every Node MUST be Ready, but those that were not before."""
    require(after, nodes_ready())


@claim(
    "AFTER-DELETION-010",
    spec="concepts/architecture/garbage-collection/#cascading-deletion",
    requires=[right("delete", "services")],
)
def test_service_still_takes_its_slices(witnesses: Chain, eventually: Eventually) -> None:
    """After a change the deletion of a Service made before it MUST take its EndpointSlices with it."""
    actions.delete(witnesses, witnesses.present("Service", INNER))
    eventually(witnesses.objects, endpoints.no_slices(INNER))


@claim(
    "AFTER-DELETION-020",
    spec="concepts/architecture/garbage-collection/#cascading-deletion",
    requires=[right("delete", "deployments")],
)
def test_deployment_still_takes_its_pods(witnesses: Chain, eventually: Eventually) -> None:
    """After a change the deletion of a Deployment made before it MUST take its ReplicaSets and Pods with it."""
    owned = frozenset(rs.uid for rs in witnesses.objects.read().owned_by(witnesses.deployment, "ReplicaSet"))
    actions.delete(witnesses, witnesses.deployment, propagationPolicy="Background")
    eventually(witnesses.objects, pods.deleted("ReplicaSet", owned))
    eventually(witnesses.objects, pods.count(LABELS, 0))


@claim("AFTER-UPGRADE-010", spec="tasks/administer-cluster/cluster-upgrade/")
def test_chain_holds_after(chain_after: RunRecord) -> None:
    """After a change the whole chain MUST hold for what is made anew."""
    assert chain_after.holds, chain_after.verdict
