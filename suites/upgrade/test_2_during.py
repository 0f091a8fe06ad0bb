"""During a change: the Service keeps answering, and its objects stay unchanged."""

import pytest

from kubechain.claims.claim import ClaimDecorator
from kubechain.observe.wait import require
from kubechain.upgrade import budget
from kubechain.upgrade.availability import kept_up, skew_allowed
from kubechain.upgrade.invariants import endpoints_follow, never_restarted, none_added, throughout, unchanged
from kubechain.upgrade.phases import During
from kubechain.upgrade.witnesses import BALANCED, LEAST
from kubechain.workload.manifests import LABELS, WEB

claim = ClaimDecorator("tasks/administer-cluster/kubeadm/kubeadm-upgrade/")

PROXY = "reference/networking/virtual-ips/"


@claim("DURING-DEPLOYMENT-010", spec="concepts/workloads/controllers/deployment/")
def test_deployment_unchanged(during: During) -> None:
    """During a change no version of a Deployment MUST differ in its UID, labels, selector or template."""
    require(during, throughout(unchanged(during.state, ["Deployment"]), "Deployment"))


@claim("DURING-REPLICASET-010", spec="concepts/workloads/controllers/replicaset/")
def test_replica_sets_unchanged(during: During) -> None:
    """During a change no ReplicaSet MUST change its UID, owner or pod-template-hash, nor be replaced by another."""
    require(during, throughout(unchanged(during.state, ["ReplicaSet"]), "ReplicaSet"))
    require(during, throughout(none_added(during.state, "ReplicaSet"), "ReplicaSet"))


@claim("DURING-PODS-010")
def test_pods_stay(during: During) -> None:
    """During a change no Pod MUST be deleted or changed, but those of a Node that was to be drained."""
    if all(map(during.replaced, during.state.all("Pod"))):
        pytest.skip("needs a Pod on a Node that is not drained")
    require(during, throughout(unchanged(during.state, ["Pod"], replaced=during.replaced), "Pod"))


@claim("DURING-PODS-020", spec="concepts/workloads/pods/pod-lifecycle/#container-restarts")
def test_containers_run_on(during: During) -> None:
    """During a change no container of a Pod that stays MUST be restarted."""
    require(during, throughout(never_restarted(during.state, LABELS), "Pod"))


@claim("DURING-PODS-030", spec="concepts/workloads/pods/disruptions/#pod-disruption-budgets")
def test_budget_is_kept(during: During) -> None:
    """During a change no voluntary disruption MUST leave fewer ready Pods than the PodDisruptionBudget asks for."""
    witnesses = during.before.witnesses
    held = budget.held(during.start, LABELS, LEAST, lost=budget.on_lost_node(during.record.nodes))
    if not witnesses.api.get("PodDisruptionBudget", witnesses.namespace, WEB):
        if versions := budget.before_removal(during):
            require(versions, held)
        pytest.skip("needs the PodDisruptionBudget of the witnesses")
    require(during, throughout(held, "Pod"))


@claim("DURING-SERVICE-010", spec="concepts/services-networking/service/")
def test_services_unchanged(during: During) -> None:
    """During a change no Service MUST change its clusterIP, nodePorts, ports or selector."""
    require(during, throughout(unchanged(during.state, ["Service"]), "Service"))


@claim("DURING-ENDPOINTS-010", spec="concepts/services-networking/endpoint-slices/#conditions")
def test_endpoints_follow_their_pods(during: During) -> None:
    """During a change no endpoint MUST be ready while its Pod is not."""
    followed = endpoints_follow(during.start, WEB, until=during.record.ended)
    require(during, throughout(followed, "Pod", "EndpointSlice"))


@claim("DURING-CLUSTERIP-010", spec=PROXY)
def test_cluster_ip_keeps_answering(during: During) -> None:
    """During a change the clusterIP MUST NOT lose a request from any Node, be its connection new or kept."""
    require(during.record, kept_up("ClusterIP"))


@claim("DURING-NODEPORT-010", spec=PROXY)
def test_node_ports_keep_answering(during: During) -> None:
    """During a change the nodePort of no Node MUST lose a request, be its connection new or kept."""
    require(during.record, kept_up("NodePort"))


@claim("DURING-DNS-010", spec="concepts/services-networking/dns-pod-service/")
def test_names_keep_resolving(during: During) -> None:
    """During a change the Service's name MUST at every moment lead to the Service from every Node, asked from a new socket."""
    require(during.record, kept_up("DNS"))


@claim("DURING-SERVICE-020", spec="concepts/services-networking/service/#loadbalancer")
def test_load_balancer_keeps_answering(during: During) -> None:
    """During a change the load balancer of a Service MUST NOT lose requests for longer than its health checks take."""
    if not during.state.one("Service", BALANCED):
        pytest.skip("needs a Service of type LoadBalancer (--load-balancer)")
    require(during.record, kept_up("LoadBalancer"))


@claim("DURING-UPGRADE-010", spec="concepts/services-networking/ingress/")
def test_urls_of_users_keep_answering(during: During) -> None:
    """During a change no URL of a user MUST be unreachable for longer than allowed."""
    if not any(samples.route.kind == "URL" for samples in during.record.routes):
        pytest.skip("needs URLs to ask (--ask)")
    require(during.record, kept_up("URL"))


@claim("DURING-API-010")
def test_api_server_comes_back(during: During) -> None:
    """During a change the API server MUST NOT be away for longer than the replacement of a control plane takes."""
    require(during.record, kept_up("API server"))


@claim("DURING-API-020", spec="tasks/access-application-cluster/access-cluster-services/")
def test_api_proxy_comes_back(during: During) -> None:
    """During a change the API server's proxy to a Service MUST NOT be away for longer than the API server may be."""
    require(during.record, kept_up("API proxy"))


@claim("DURING-NODES-010", spec="setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#version-skew-policy")
def test_versions_fit_all_the_time(during: During) -> None:
    """During a change no kubelet or kube-proxy MUST be newer than the API server, or more than three minors older."""
    require(during.record, skew_allowed())
