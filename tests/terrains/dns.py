"""Ways in which the DNS of a cluster differs: where its servers are, how many Pods are told of, how long answers are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubechain.conditions.condition import Result, expect, unmet
from kubechain.faults.catalogue.dns import COREDNS, SYSTEM, Corefile, no_servers
from kubechain.faults.injections import KubeletSetting, Script
from kubechain.kube.objects import Json, KubeObject
from kubechain.provision.settling import settled
from tests.terrains.bench import Injected, bench
from tests.terrains.ground import Ground

# In the range of Services of the plain make, whose usual DNS has the first; the last is that of node-local caches in the field.
USUAL, SECOND, OTHER, ON_NODE = "10.96.0.10", "10.96.0.11", "10.96.53.53", "169.254.20.10"
ELSEWHERE, RESOLVER, CACHE = "dns-system", "resolver", "node-dns"
READY_PORT = 8182
CACHE_COREFILE = f""".:53 {{
    errors
    bind {ON_NODE}
    ready :{READY_PORT}
    cache {{
        success 9984 30
        denial 9984 5
    }}
    forward . {USUAL} {{
        force_tcp
    }}
}}
"""
LONG_CACHE = "cache 300 {\n        success 9984 300\n        denial 9984 300\n    }"


@dataclass(frozen=True)
class Restarted(Injected):
    """A difference for which kubelets are restarted, after which their Nodes are not ready for a moment."""

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that it is there, and that all Nodes are ready."""
        there = super().in_effect(ground)
        return settled(ground.api.list("Node").items) if there.met else there


def told(*addresses: str) -> Restarted:
    """Return Pods whose resolv.conf names these servers, on all Nodes."""
    return Restarted(KubeletSetting("all", "clusterDNS", f"[{', '.join(addresses)}]"))


@dataclass(frozen=True)
class Added:
    """Objects that the cluster has besides, in the order of their creation, with their namespaces; its workloads are ready."""

    manifests: Callable[[Ground], Sequence[Json]]

    def inject(self, ground: Ground, /) -> None:
        """Create the objects."""
        for manifest in self.manifests(ground):
            ground.recreate(manifest, _namespace(manifest))

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that all are there, and that each workload has all its Pods ready."""
        stored = [(each, ground.api.get(each["kind"], _namespace(each), _name(each))) for each in self.manifests(ground)]
        missing = [f"{each['kind']} {_name(each)}" for each, found in stored if found is None or not _ready(found)]
        return expect(not missing, f"{', '.join(missing)} missing, or not ready")

    def heal(self, ground: Ground, /) -> None:
        """Delete the objects, the last one first."""
        for manifest in reversed(self.manifests(ground)):
            ground.delete(manifest["kind"], _name(manifest), _namespace(manifest))


def _name(manifest: Json) -> str:
    return str(manifest["metadata"]["name"])


def _namespace(manifest: Json) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def _ready(stored: KubeObject) -> bool:
    if stored.deleting:
        return False
    if stored.kind == "Deployment":
        return stored.at("status.readyReplicas", 0) == stored.at("spec.replicas")
    wanted = stored.at("status.desiredNumberScheduled", 0)
    return stored.kind != "DaemonSet" or stored.at("status.numberReady", 0) == wanted > 0


class UsualGone:
    """The DNS that kubeadm makes has no server and no Service."""

    def inject(self, ground: Ground, /) -> None:
        """Scale its Deployment to 0, delete its Service."""
        ground.api.patch("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 0}})
        ground.delete("Service", "kube-dns", SYSTEM)

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that both are gone."""
        if ground.api.get("Service", SYSTEM, "kube-dns"):
            return unmet("the Service kube-dns")
        return no_servers(bench(ground))

    def heal(self, ground: Ground, /) -> None:
        """Make the Service again at its address, scale the Deployment."""
        if ground.api.get("Service", SYSTEM, "kube-dns") is None:
            ground.api.create(service("kube-dns", SYSTEM, USUAL, {"k8s-app": "kube-dns"}), SYSTEM)
        ground.api.patch("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 2}})


def service(name: str, namespace: str, address: str, selector: Json) -> Json:
    """Return a Service of DNS servers."""
    ports = [{"name": f"dns-{each.lower()}", "port": 53, "targetPort": 53, "protocol": each} for each in ("UDP", "TCP")]
    metadata = {"name": name, "namespace": namespace, "labels": selector}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"clusterIP": address, "selector": selector, "ports": ports},
    }


def usual(ground: Ground) -> KubeObject:
    """Return the Deployment of CoreDNS that kubeadm makes."""
    deployment = ground.api.get("Deployment", SYSTEM, COREDNS)
    assert deployment, "kubeadm makes it"
    return deployment


def config(name: str, namespace: str, corefile: str) -> Json:
    """Return the ConfigMap with a Corefile."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": corefile}}


def elsewhere(ground: Ground) -> list[Json]:
    """Return servers like the usual ones by other names, in another namespace, and at another address."""
    found = ground.api.get("ConfigMap", SYSTEM, COREDNS)
    place, labels = {"name": RESOLVER, "namespace": ELSEWHERE}, {"app": RESOLVER}
    pod = {**usual(ground).at("spec.template.spec"), "serviceAccount": RESOLVER, "serviceAccountName": RESOLVER}
    # Pods of this priority are allowed in kube-system alone.
    pod = {key: value for key, value in pod.items() if key not in ("affinity", "priorityClassName")}
    pod["volumes"] = [{"name": "config-volume", "configMap": {"name": RESOLVER}}]
    template = {"metadata": {"labels": labels}, "spec": pod}
    account = {"kind": "ServiceAccount", "name": RESOLVER, "namespace": ELSEWHERE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": RESOLVER},
            "roleRef": role,
            "subjects": [account],
        },
        config(RESOLVER, ELSEWHERE, found.at("data")["Corefile"] if found else ""),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": place,
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
        },
        service(RESOLVER, ELSEWHERE, OTHER, labels),
    ]


def cache(ground: Ground) -> list[Json]:
    """Return a server on each Node that keeps answers, at an address that only the Node has."""
    (container,) = usual(ground).at("spec.template.spec.containers")
    own = {key: container[key] for key in ("name", "image", "args", "securityContext")}
    own["volumeMounts"] = [{"name": "config-volume", "mountPath": "/etc/coredns"}]
    own["readinessProbe"] = {"httpGet": {"path": "/ready", "port": READY_PORT}, "periodSeconds": 1}
    labels = {"app": CACHE}
    pod: Json = {"hostNetwork": True, "dnsPolicy": "Default", "tolerations": [{"operator": "Exists"}], "containers": [own]}
    pod["volumes"] = [{"name": "config-volume", "configMap": {"name": CACHE}}]
    template = {"metadata": {"labels": labels}, "spec": pod}
    return [
        config(CACHE, SYSTEM, CACHE_COREFILE),
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": CACHE, "namespace": SYSTEM},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
    ]


# Node-local caches in the field have the address on an interface of their own; the kernel routes to one on loopback as well.
ON_LOOPBACK = Injected(
    Script(
        "all",
        f"ip address replace {ON_NODE}/32 dev lo",
        f"ip address show dev lo | grep -q 'inet {ON_NODE}/'",
        f"ip address delete {ON_NODE}/32 dev lo 2> /dev/null || true",
    )
)
SECOND_SERVICE = Added(lambda _: [service("kube-dns-second", SYSTEM, SECOND, {"k8s-app": "kube-dns"})])


def longer(corefile: str) -> str:
    """Return a Corefile of kubeadm whose answers are kept, those of no name too, for as long as they last."""
    return re.sub(r"cache 30 \{[^}]*\}", LONG_CACHE, corefile)


KEPT_LONG = Injected(Corefile(longer))
