"""Changes that are allowed: a suite that turns red by one of these cries wolf."""

from __future__ import annotations

from kubechain.conditions.condition import Result, expect, unmet
from kubechain.conditions.text import some, text
from kubechain.faults.admission_policies import Mutation, set_to
from kubechain.faults.api_limits import Busy
from kubechain.faults.catalogue.admission import CONFIG, OF_WEB, POD, SERVICE
from kubechain.faults.catalogue.dns import COREDNS, SYSTEM, servers
from kubechain.faults.fault import Both, Fault
from kubechain.faults.injections import Objects, Patched
from kubechain.faults.testbed import LEADERS, Testbed
from kubechain.kube.objects import KubeObject
from kubechain.workload import manifests, service_manifests
from kubechain.workload.manifests import WEB

# Each page waits until a fifth of a second has passed since the last: latency that the application makes.
SLOW = (
    'object.data["nginx.conf"].replace("access_log off;", '
    '"access_log off; limit_req_zone $server_port zone=slow:1m rate=5r/s;")'
    '.replace("root /usr/share/nginx/html;", "root /usr/share/nginx/html; location = / { limit_req zone=slow burst=500; }")'
)
EXTRA = '{"kubechain.test/extra": "yes"}'
PROXY_LABEL = "k8s-app=kube-proxy"


def three_ready(lab: Testbed) -> Result:
    """Three servers are ready."""
    ready = [pod.name for pod in servers(lab) if pod.is_true("Ready")]
    return expect(len(ready) == 3, f"{some(ready)} ready")


class ProxyMode:
    """kube-proxy in another mode."""

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def _set(self, lab: Testbed, old: str, new: str) -> None:
        config = lab.api.get("ConfigMap", SYSTEM, "kube-proxy")
        text: str = config.at("data")["config.conf"] if config else ""
        lab.api.patch("ConfigMap", SYSTEM, "kube-proxy", {"data": {"config.conf": text.replace(f"mode: {old}", f"mode: {new}")}})
        for pod in lab.api.list("Pod", SYSTEM, PROXY_LABEL).items:
            lab.api.delete("Pod", SYSTEM, pod.name, {"gracePeriodSeconds": 0})

    def inject(self, lab: Testbed) -> None:
        """Write the mode, restart kube-proxy."""
        self._set(lab, "iptables", self._mode)

    def took(self, lab: Testbed) -> Result:
        """Look for the rules of the mode, and whether every kube-proxy is ready."""
        found: list[KubeObject] = lab.api.list("Pod", SYSTEM, PROXY_LABEL).items
        ready = len(found) == len(lab.cluster.nodes()) and all(pod.is_true("Ready") and not pod.deleting for pod in found)
        there = all(lab.try_on(node, "nft list table ip kube-proxy") for node in lab.cluster.nodes())
        return expect(ready and there, f"kube-proxy ready: {text(ready)}, rules of {self._mode}: {text(there)}")

    def heal(self, lab: Testbed) -> None:
        """Write the mode that was, restart kube-proxy."""
        self._set(lab, self._mode, "iptables")


class Restarted:
    """The scheduler and the controller manager have been restarted."""

    def inject(self, lab: Testbed) -> None:
        """Note who leads, and kill them."""
        (lab.folder / "leaders").write_text("\n".join(self._leaders(lab)), encoding="utf-8")
        for component in LEADERS:
            lab.on(lab.control_plane, f"pkill -KILL {component[:15]}")

    def took(self, lab: Testbed) -> Result:
        """Others lead now."""
        if not (lab.folder / "leaders").exists():
            return unmet("no restart")
        before, now = (lab.folder / "leaders").read_text(encoding="utf-8").splitlines(), self._leaders(lab)
        return expect(all(now) and not set(before) & set(now), f"leaders {some(now)}")

    def heal(self, lab: Testbed) -> None:
        """They run again by themselves."""
        (lab.folder / "leaders").unlink(missing_ok=True)

    def _leaders(self, lab: Testbed) -> list[str]:
        leases = [lab.api.get("Lease", SYSTEM, component) for component in LEADERS]
        return [str(lease.at("spec.holderIdentity", "")) if lease else "" for lease in leases]


def stands(lab: Testbed) -> Result:
    """The foreign Service is there."""
    return expect(lab.api.get("Service", "default", WEB) is not None, "no Service web in default")


def labelled(name: str, kind: str, sample: dict[str, object]) -> Mutation:
    """Return a policy that gives each object of a kind a label and an annotation more."""
    expression = (
        '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("kubechain.test/extra"), value: "yes"},'
        f'JSONPatch{{op: "add", path: "/metadata/annotations", value: {EXTRA}}}]'
    )
    condition = "has(object.metadata.labels) && !has(object.metadata.annotations)"
    return Mutation(name, kind, expression, sample, lambda made: "kubechain.test/extra" in made.labels, condition)


FAULTS = (
    Fault("app-slow", "harmless", "nginx takes its time", None,
          Mutation("app-slow", "ConfigMap", set_to("/data/nginx.conf", SLOW), CONFIG,
                   lambda config: "limit_req" in config.at("data")["nginx.conf"], "object.metadata.name == 'nginx'")),
    Fault("start-slow", "harmless", "Pods are ready three seconds later", None,
          Mutation("start-slow", "Pod", set_to("/spec/containers/0/readinessProbe/initialDelaySeconds", "3"), POD,
                   lambda pod: pod.at("spec.containers")[0]["readinessProbe"].get("initialDelaySeconds") == 3, OF_WEB)),
    Fault("proxy-nftables", "harmless", "kube-proxy works with nftables", None, ProxyMode("nftables"),
          ("CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-060", "CHAIN-NODEPORT-030", "CHAIN-DELETION-050")),
    Fault("dns-three", "harmless", "CoreDNS has three replicas", None,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 3}}, {"spec": {"replicas": 2}},
                  lambda found: found.at("spec.replicas") == 3, three_ready), ("CHAIN-DNS-170",)),
    Fault("server-busy", "harmless", "the API server answers 429 now and then", None, Busy(), patience=1.0),
    Fault("control-plane-restarted", "harmless", "scheduler and controller manager were restarted", None, Restarted()),
    Fault("labels-added", "harmless", "admission adds labels and annotations", None,
          Both((labelled("labels-added-pods", "Pod", POD), labelled("labels-added-services", "Service", SERVICE))),
          ("CHAIN-PODS-030", "CHAIN-SERVICE-030", "CHAIN-REPLICASET-050")),
    Fault("neighbours", "harmless", "another namespace has Pods and a Service of the same name and labels", None,
          Objects((service_manifests.service(), {**manifests.web_pod("web", "127.0.0.1:9/any"),
                                         "spec": {"containers": [{"name": "web", "image": manifests.ABSENT_IMAGE}]}}),
                  stands, "default"), ("CHAIN-ENDPOINTS-020", "CHAIN-DNS-060")),
    Fault("dns-server-lost", "harmless", "a CoreDNS Pod was deleted and replaced", None,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"template": {"metadata": {"annotations": {"kubechain/lost": "1"}}}}},
                  {"spec": {"template": {"metadata": {"annotations": {"kubechain/lost": None}}}}},
                  lambda found: bool(found.at("spec.template.metadata.annotations")) and
                  found.at("status.updatedReplicas") == 2 and not found.at("status.unavailableReplicas"))),
)  # fmt: skip
