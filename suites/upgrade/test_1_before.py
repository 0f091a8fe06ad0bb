"""Before an upgrade: the chain holds, and nothing will block it, which is looked at without a change."""

import pytest

from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.records import RunRecord
from kubechain.claims.requirements import ADDONS, API_SERVERS, EXEC, LISTED, TWO_NODES, right
from kubechain.conditions import blockers, drain_room, target_version
from kubechain.conditions.blockers import nothing_blocks
from kubechain.conditions.nodes import takes_pods
from kubechain.observe.wait import require
from kubechain.upgrade.cluster_state import ClusterState, with_cgroup_v1
from kubechain.upgrade.phases import Before
from kubechain.upgrade.versions import next_minor

claim = ClaimDecorator("tasks/administer-cluster/cluster-upgrade/")

WEBHOOKS = "reference/access-authn-authz/extensible-admission-controllers/#failure-policy"
POLICIES = "reference/access-authn-authz/validating-admission-policy/#parameter-resources"
STORED = "tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/"


@claim("BEFORE-UPGRADE-010")
def test_chain_holds_before(chain_before: RunRecord) -> None:
    """Before a change the whole chain MUST hold."""
    assert chain_before.holds, chain_before.verdict


@claim("BEFORE-NODES-010")
def test_kubelets_are_new_enough(before: Before) -> None:
    """Before an upgrade every kubelet MUST be new enough for the API server of the next minor version."""
    target = next_minor(before.snapshot.server)
    found = target_version.old_kubelets(before.snapshot.nodes, target)
    require(found, nothing_blocks(f"no Node whose kubelet is too old for {target}"))


@claim("BEFORE-NODES-020", spec="concepts/architecture/nodes/#condition", requires=[LISTED])
def test_nodes_are_ready(cluster_state: ClusterState) -> None:
    """Before an upgrade every Node MUST be Ready."""
    require(blockers.unready_nodes(cluster_state.machines), nothing_blocks("no Node that is not Ready"))


@claim("BEFORE-NODES-030", spec="tasks/administer-cluster/safely-drain-node/", requires=[TWO_NODES, right("list", "pods")])
def test_there_is_room_to_drain(cluster_state: ClusterState) -> None:
    """Before an upgrade the Pods of each Node that takes Pods without tolerations MUST have room on other such Nodes."""
    if not any(map(takes_pods, cluster_state.machines)):
        pytest.skip("needs a Node that takes Pods without tolerations")
    found = drain_room.no_room(cluster_state.machines, cluster_state.all("Pod"))
    require(found, nothing_blocks("no Node whose Pods have no room elsewhere"))


@claim("BEFORE-NODES-040", spec="concepts/architecture/cgroups/#deprecation-of-cgroup-v1", requires=[EXEC, ADDONS])
def test_kubelets_will_start_on_their_cgroups(before: Before, cluster_state: ClusterState) -> None:
    """Before an upgrade every Node with a witness MUST have the cgroup version that the kubelet of the next minor needs."""
    target, kubelet = next_minor(before.snapshot.server), cluster_state.kubelet_configuration()
    found = target_version.cgroup_v1(with_cgroup_v1(before.witnesses), before.snapshot.nodes, kubelet, target)
    require(found, nothing_blocks(f"no Node on which the kubelet of {target} does not start"))


@claim("BEFORE-PODS-010", spec="tasks/run-application/configure-pdb/", requires=[right("list", "poddisruptionbudgets")])
def test_every_budget_allows_a_disruption(cluster_state: ClusterState) -> None:
    """Before an upgrade every PodDisruptionBudget with Pods MUST allow a disruption."""
    found = blockers.budgets(cluster_state.all("PodDisruptionBudget"))
    require(found, nothing_blocks("no PodDisruptionBudget that allows no disruption"))


@claim("BEFORE-API-010", spec="reference/using-api/deprecation-guide/", requires=[API_SERVERS])
def test_nothing_asks_for_removed_apis(before: Before, cluster_state: ClusterState) -> None:
    """Before an upgrade nothing on the cluster MUST still ask for an API that the next minor version removes."""
    if before.snapshot.deprecated is None:
        pytest.skip("needs the right to read /metrics of the API server")
    target, unasked = next_minor(before.snapshot.server), cluster_state.unasked(before.snapshot.unasked)
    found = target_version.requested_apis(before.snapshot.deprecated, target, unasked)
    require(found, nothing_blocks(f"no API in use that {target} removes"))
    if unasked:
        pytest.skip(f"needs an answer of every API server, for each counts its own clients: {unasked}")


@claim(
    "BEFORE-API-020",
    spec=WEBHOOKS,
    requires=[
        right("list", "validatingwebhookconfigurations"),
        right("list", "mutatingwebhookconfigurations"),
        right("get", "services"),
        right("list", "endpointslices"),
    ],
)
def test_webhooks_that_fail_closed_answer(cluster_state: ClusterState) -> None:
    """Before an upgrade every webhook that fails closed and asks a Service MUST find a ready endpoint there."""
    hooks = cluster_state.all("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    found = blockers.webhooks(hooks, *cluster_state.behind(hooks))
    require(found, nothing_blocks("no webhook that fails closed and has no endpoint"))


@claim(
    "BEFORE-API-030",
    spec=POLICIES,
    requires=[right("list", "validatingadmissionpolicies"), right("list", "validatingadmissionpolicybindings")],
)
def test_parameters_of_policies_exist(cluster_state: ClusterState) -> None:
    """Before an upgrade every ValidatingAdmissionPolicy that denies without its parameter MUST have it, if that can be read."""
    policies, bindings = map(cluster_state.all, ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"))
    found = blockers.parameters(policies, bindings, cluster_state.known_parameters())
    require(found, nothing_blocks("no policy that denies because its parameter does not exist"))


@claim(
    "BEFORE-API-040",
    spec="tasks/extend-kubernetes/configure-aggregation-layer/",
    requires=[right("list", "apiservices")],
)
def test_api_services_are_available(cluster_state: ClusterState) -> None:
    """Before an upgrade every APIService MUST be available."""
    found = blockers.services_of_apis(cluster_state.all("APIService"))
    require(found, nothing_blocks("no APIService that is not available"))


@claim("BEFORE-API-050", spec=STORED, requires=[right("list", "customresourcedefinitions")])
def test_stored_versions_are_served(cluster_state: ClusterState) -> None:
    """Before an upgrade every version in which objects of a CustomResourceDefinition are stored MUST be served."""
    found = target_version.stored_versions(cluster_state.all("CustomResourceDefinition"))
    require(found, nothing_blocks("no CustomResourceDefinition with a stored version that it does not serve"))


@claim(
    "BEFORE-DELETION-010",
    spec="concepts/overview/working-with-objects/finalizers/",
    requires=[right("list", "namespaces"), right("list", "pods")],
)
def test_nothing_is_stuck_in_its_deletion(cluster_state: ClusterState) -> None:
    """Before an upgrade no Namespace and no Pod MUST be stuck in its deletion."""
    found = blockers.stuck(cluster_state.all("Namespace", "Pod"), cluster_state.now())
    require(found, nothing_blocks("no object stuck in its deletion"))


@claim("BEFORE-CLUSTERIP-010", spec="reference/networking/virtual-ips/#proxy-mode-ipvs", requires=[ADDONS])
def test_mode_of_kube_proxy_stays(before: Before) -> None:
    """Before an upgrade the mode of kube-proxy MUST be one that the next minor version has."""
    if "kube-proxy" not in before.snapshot.configuration:
        pytest.skip("needs the configuration of kube-proxy, in the ConfigMap of kubeadm")
    target = next_minor(before.snapshot.server)
    found = target_version.proxy_mode(before.snapshot.configuration["kube-proxy"], target)
    require(found, nothing_blocks(f"no mode of kube-proxy that {target} has no more"))
