"""Harmless changes: the cluster still does what it promises, so that a failed claim is a false alarm."""

from __future__ import annotations

from kubechain.conditions.condition import Result, expect, unmet
from kubechain.conditions.text import some, text
from kubechain.faults.admission_policies import Mutation, set_to
from kubechain.faults.api_limits import BusyApiServer
from kubechain.faults.catalogue.admission import ANY, CONFIG, OF_WEB, POD, SERVICE, of_app
from kubechain.faults.catalogue.dns import COREDNS, SYSTEM, ZONE, servers
from kubechain.faults.fault import Combined, Fault
from kubechain.faults.injections import Objects, Patched
from kubechain.faults.testbed import LEADERS, Testbed
from kubechain.kube.objects import KubeObject
from kubechain.workload import manifests, service_manifests
from kubechain.workload.manifests import WEB

# nginx answers 5 requests/s and delays the others: latency that the application causes.
SLOW = (
    'object.data["nginx.conf"].replace("access_log off;", '
    '"access_log off; limit_req_zone $server_port zone=slow:1m rate=5r/s;")'
    '.replace("root /usr/share/nginx/html;", "root /usr/share/nginx/html; location = / { limit_req zone=slow burst=500; }")'
)
# Without the entry of the Pod's own namespace, which makes the short name of a Service work.
OWN_SEARCH = (
    '[JSONPatch{op: "add", path: "/spec/dnsPolicy", value: "None"}, JSONPatch{op: "add", path: "/spec/dnsConfig", '
    f'value: Object.spec.dnsConfig{{nameservers: ["10.96.0.10"], searches: ["{ZONE}", "cluster.local"], '
    'options: [Object.spec.dnsConfig.options{name: "ndots", value: "5"}]}}]'
)
EXTRA = '{"kubechain.test/extra": "yes"}'
PROXY_LABEL = "k8s-app=kube-proxy"


def three_ready(testbed: Testbed) -> Result:
    """Return whether three CoreDNS Pods are ready."""
    ready = [pod.name for pod in servers(testbed) if pod.is_true("Ready")]
    return expect(len(ready) == 3, f"{some(ready)} ready")


class ProxyMode:
    """kube-proxy in another mode."""

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def _set(self, testbed: Testbed, old: str, new: str) -> None:
        config = testbed.api.get("ConfigMap", SYSTEM, "kube-proxy")
        text: str = config.at("data")["config.conf"] if config else ""
        testbed.api.patch(
            "ConfigMap", SYSTEM, "kube-proxy", {"data": {"config.conf": text.replace(f"mode: {old}", f"mode: {new}")}}
        )
        for pod in testbed.api.list("Pod", SYSTEM, PROXY_LABEL).items:
            testbed.api.delete("Pod", SYSTEM, pod.name, {"gracePeriodSeconds": 0})

    def inject(self, testbed: Testbed) -> None:
        """Write the mode, replace the Pods of kube-proxy."""
        self._set(testbed, "iptables", self._mode)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that every kube-proxy is ready, and that every node has the rules of the mode."""
        pods: list[KubeObject] = testbed.api.list("Pod", SYSTEM, PROXY_LABEL).items
        ready = len(pods) == len(testbed.cluster.nodes()) and all(pod.is_true("Ready") and not pod.deleting for pod in pods)
        there = all(testbed.succeeds_on(node, "nft list table ip kube-proxy") for node in testbed.cluster.nodes())
        return expect(ready and there, f"kube-proxy ready: {text(ready)}, rules of {self._mode}: {text(there)}")

    def heal(self, testbed: Testbed) -> None:
        """Restore the mode iptables, replace the Pods of kube-proxy."""
        self._set(testbed, self._mode, "iptables")


class RestartedLeaders:
    """A restart of kube-scheduler and kube-controller-manager."""

    def inject(self, testbed: Testbed) -> None:
        """Save the holders of the leases, and kill the processes."""
        (testbed.folder / "leaders").write_text("\n".join(self._leaders(testbed)), encoding="utf-8")
        for component in LEADERS:
            testbed.run_on(testbed.control_plane, f"pkill -KILL {component[:15]}")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that every lease has another holder."""
        if not (testbed.folder / "leaders").exists():
            return unmet("no restart")
        before, now = (testbed.folder / "leaders").read_text(encoding="utf-8").splitlines(), self._leaders(testbed)
        return expect(all(now) and not set(before) & set(now), f"leaders {some(now)}")

    def heal(self, testbed: Testbed) -> None:
        """The kubelet has restarted them; delete the saved holders."""
        (testbed.folder / "leaders").unlink(missing_ok=True)

    def _leaders(self, testbed: Testbed) -> list[str]:
        leases = [testbed.api.get("Lease", SYSTEM, component) for component in LEADERS]
        return [str(lease.at("spec.holderIdentity", "")) if lease else "" for lease in leases]


def foreign_service_exists(testbed: Testbed) -> Result:
    """Return whether the Service in namespace default exists."""
    return expect(testbed.api.get("Service", "default", WEB) is not None, "no Service web in default")


def labelled(name: str, kind: str, sample: dict[str, object]) -> Mutation:
    """Return a policy that adds a label and an annotation to every object of a kind."""
    expression = (
        '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("kubechain.test/extra"), value: "yes"},'
        f'JSONPatch{{op: "add", path: "/metadata/annotations", value: {EXTRA}}}]'
    )
    condition = "has(object.metadata.labels) && !has(object.metadata.annotations)"
    return Mutation(name, kind, expression, sample, lambda resource: "kubechain.test/extra" in resource.labels, condition)


FAULTS = (
    Fault("app-slow", "harmless", "nginx answers slowly", None,
          Mutation("app-slow", "ConfigMap", set_to("/data/nginx.conf", SLOW), CONFIG,
                   lambda config: "limit_req" in config.at("data")["nginx.conf"], "object.metadata.name == 'nginx'")),
    Fault("start-slow", "harmless", "Pods are ready three seconds later", None,
          Mutation("start-slow", "Pod", set_to("/spec/containers/0/readinessProbe/initialDelaySeconds", "3"), POD,
                   lambda pod: pod.at("spec.containers")[0]["readinessProbe"].get("initialDelaySeconds") == 3, OF_WEB)),
    Fault("service-links-off", "harmless", "Pods are created with enableServiceLinks false", None,
          Mutation("service-links-off", "Pod", set_to("/spec/enableServiceLinks", "false"), POD,
                   lambda pod: pod.at("spec.enableServiceLinks") is False)),
    Fault("dns-search-changed", "harmless", "admission gives the client Pod a search list without its namespace", None,
          Mutation("dns-search-changed", "Pod", OWN_SEARCH, manifests.client_pod("client", ANY),
                   lambda pod: pod.at("spec.dnsPolicy") == "None", of_app("client"))),
    Fault("proxy-nftables", "harmless", "kube-proxy uses mode nftables", None, ProxyMode("nftables"),
          ("CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-060", "CHAIN-NODEPORT-030", "CHAIN-DELETION-050")),
    Fault("dns-three", "harmless", "CoreDNS has three replicas", None,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 3}}, {"spec": {"replicas": 2}},
                  lambda deployment: deployment.at("spec.replicas") == 3, three_ready), ("CHAIN-DNS-170",)),
    Fault("server-busy", "harmless", "the API server answers 429 from time to time", None, BusyApiServer()),
    Fault("control-plane-restarted", "harmless", "kube-scheduler and kube-controller-manager are restarted", None,
          RestartedLeaders()),
    Fault("labels-added", "harmless", "admission adds labels and annotations", None,
          Combined((labelled("labels-added-pods", "Pod", POD), labelled("labels-added-services", "Service", SERVICE))),
          ("CHAIN-PODS-030", "CHAIN-SERVICE-030", "CHAIN-REPLICASET-050"), short=True),
    Fault("neighbours", "harmless", "another namespace has Pods and a Service of the same name and labels", None,
          Objects((service_manifests.service(kind=service_manifests.NODE_PORT), {**manifests.web_pod("web", "127.0.0.1:9/any"),
                                         "spec": {"containers": [{"name": "web", "image": manifests.ABSENT_IMAGE}]}}),
                  foreign_service_exists, "default"), ("CHAIN-ENDPOINTS-020", "CHAIN-DNS-060")),
    Fault("dns-server-lost", "harmless", "the CoreDNS Pods are replaced", None,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"template": {"metadata": {"annotations": {"kubechain/lost": "1"}}}}},
                  {"spec": {"template": {"metadata": {"annotations": {"kubechain/lost": None}}}}},
                  lambda deployment: bool(deployment.at("spec.template.metadata.annotations")) and
                  deployment.at("status.updatedReplicas") == 2 and not deployment.at("status.unavailableReplicas"))),
)  # fmt: skip
