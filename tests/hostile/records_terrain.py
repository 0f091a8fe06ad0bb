"""Records of terrain: healthy clusters that differ from the one of this project, and broken ones that look like them."""

from __future__ import annotations

from collections.abc import Callable

from kubechain.claims.claim import Link
from kubechain.kube.objects import Json
from tests.hostile.addresses import NODES
from tests.hostile.cluster import Cluster
from tests.hostile.records import HOLDS, Ending, Record, broken

# The quick claims but the one for which kubectl forwards a port through this API server.
TERRAIN = ("run", "--no-html", "--patience", "0.4", "-k", "not port_forward")
SIDECAR: Json = {"name": "proxy", "image": "mesh/proxy:1", "restartPolicy": "Always"}
CHANGED = "changed at admission: "


def admitting(kind: str, change: Callable[[Json], object]) -> Callable[[Cluster], None]:
    """Return what changes every object of a kind that is created in the namespace of a run."""

    def make(cluster: Cluster) -> None:
        before = cluster.core.mutate

        def mutate(body: Json) -> Json:
            made = before(body)
            if made["kind"] == kind:
                change(made)
            return made

        cluster.core.mutate = mutate

    return make


def spec(kind: str, **fields: object) -> Callable[[Cluster], None]:
    """Return what sets fields in the spec of every object of a kind."""
    return admitting(kind, lambda body: body["spec"].update(fields))


def each_container(**fields: object) -> Callable[[Cluster], None]:
    """Return what sets fields of every container of a Pod."""
    return admitting("Pod", lambda body: [container.update(fields) for container in body["spec"]["containers"]])


def node(name: str, **parts: Json) -> Callable[[Cluster], None]:
    """Return what adds a Node that is Ready, with these parts of its metadata, spec and status, and where nothing answers."""

    def make(cluster: Cluster) -> None:
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.99.9"}],
            "conditions": [ready],
            "allocatable": {"pods": "30"},
        }
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}}
        body: Json = {"kind": "Node", "apiVersion": "v1", "metadata": {**metadata, **parts.get("metadata", {})}}
        cluster.store.create({**body, "spec": parts.get("spec", {}), "status": {**status, **parts.get("status", {})}})

    return make


def _unready(reason: str) -> Json:
    return {"conditions": [{"type": "Ready", "status": "Unknown", "reason": reason}]}


def _ranges(cluster: Cluster) -> None:
    """Give the Nodes podCIDRs that no Pod has an address of."""
    for each in cluster.store.all("Node"):
        each["spec"].update({"podCIDR": "192.168.0.0/24", "podCIDRs": ["192.168.0.0/24"]})


def _dns_elsewhere(cluster: Cluster) -> None:
    """Have the DNS under other names."""
    for kind, name in (("Service", "kube-dns"), ("EndpointSlice", "kube-dns-1")):
        body = cluster.store.remove((kind, "kube-system", name))
        labels = {"kubernetes.io/service-name": "resolver"}
        metadata = {"name": "resolver", "namespace": "default", **({"labels": labels} if kind == "EndpointSlice" else {})}
        cluster.store.create({**body, "metadata": metadata})


def _dns_on_the_node(cluster: Cluster) -> None:
    """Have a DNS cache on the Nodes, which is of no Service."""
    cluster.store.remove(("Service", "kube-system", "kube-dns"))


def _wider(cluster: Cluster) -> None:
    """Add a label to Pods and to what selects them."""
    admitting("Pod", lambda body: body["metadata"]["labels"].update({"team": "a"}))(cluster)
    admitting("Service", lambda body: body["spec"]["selector"].update({"team": "a"}) if "selector" in body["spec"] else None)(
        cluster
    )


def _without_node_port(body: Json) -> None:
    """Change a Service of type NodePort to ClusterIP."""
    if body["spec"]["type"] == "NodePort":
        body["spec"]["type"] = "ClusterIP"
        body["spec"].pop("externalTrafficPolicy", None)
        for port in body["spec"]["ports"]:
            port.pop("nodePort", None)


def _strategy(body: Json) -> None:
    body["spec"].update({"revisionHistoryLimit": 3})
    body["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = "50%"


def _tolerations(body: Json) -> None:
    for toleration in body["spec"]["tolerations"]:
        toleration["tolerationSeconds"] = 60


def _no_token(body: Json) -> None:
    body["spec"]["automountServiceAccountToken"] = False
    body["spec"]["volumes"] = [volume for volume in body["spec"]["volumes"] if "projected" not in volume]


def _beyond(cluster: Cluster) -> None:
    """Have other machines at the addresses of the Nodes in the network of the run."""
    cluster.core.addresses.beyond = True


def _aside(cluster: Cluster) -> None:
    """Have a Node with an address at which its kube-proxy serves no nodePorts."""
    node("aside")(cluster)
    known = cluster.core.addresses
    served = [f"{known.each(known.node(number))[0]}/32" for number in range(1, NODES + 1)]
    proxy_settings(cluster, f"nodePortAddresses: {served}")


def proxy_settings(cluster: Cluster, config: str) -> None:
    """Have a configuration of kube-proxy."""
    metadata = {"name": "kube-proxy", "namespace": "kube-system"}
    cluster.store.create({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"config.conf": config}})


def _few_events(cluster: Cluster) -> None:
    """Keep no Event of containers that were created, as where a limit on Events drops some."""
    before = cluster.core.event

    def event(resource: Json, reason: str, message: str) -> None:
        if reason != "Created":
            before(resource, reason, message)

    cluster.core.event = event


def _aware(body: Json) -> None:
    annotations: Json = body["metadata"].setdefault("annotations", {})
    annotations["service.kubernetes.io/topology-mode"] = "Auto"


def _selector(body: Json) -> None:
    if body["metadata"]["name"] == "web":
        body["spec"]["selector"] = {"app": "another"}


def _target(body: Json) -> None:
    if body["metadata"]["name"] == "web":
        body["spec"]["ports"][0]["targetPort"] = 8081


def terrain(
    name: str, text: str, make: Callable[[Cluster], object], says: str = "", *allowed: Ending, short: bool = False
) -> Record:
    """Return the record of a cluster that differs: by default the chain holds on it."""
    return Record(name, text, make, allowed or (HOLDS,), says, TERRAIN, 180, short=short)


RECORDS = (
    terrain(
        "SIDECAR-LAST", "adds a sidecar to every Pod", admitting("Pod", lambda body: body["spec"]["containers"].append(SIDECAR))
    ),
    terrain(
        "SIDECAR-FIRST",
        "adds a sidecar before the container of every Pod",
        admitting("Pod", lambda body: body["spec"]["containers"].insert(0, SIDECAR)),
    ),
    terrain("SIDECAR-NATIVE", "adds a native sidecar to every Pod", spec("Pod", initContainers=[SIDECAR])),
    terrain("POD-RANGES", "has addresses of Pods outside of the podCIDRs of the Nodes", _ranges),
    terrain("RESOURCES", "sets limits of every container", each_container(resources={"limits": {"cpu": "1"}})),
    terrain(
        "LINKS-OFF",
        "switches service links off",
        spec("Pod", enableServiceLinks=False),
        f"{CHANGED}Pod client spec.enableServiceLinks false instead of true",
    ),
    terrain(
        "AFFINITY",
        "gives every Service session affinity",
        spec("Service", sessionAffinity="ClientIP"),
        f"{CHANGED}Service web spec.sessionAffinity ClientIP instead of None",
    ),
    terrain(
        "TOPOLOGY",
        "keeps connections in their zone by an annotation of every Service",
        admitting("Service", _aware),
        f"{CHANGED}Service web metadata.annotations[service.kubernetes.io/topology-mode] Auto",
    ),
    terrain(
        "INTERNAL-LOCAL",
        "keeps traffic to Services on the Node",
        spec("Service", internalTrafficPolicy="Local"),
        f"{CHANGED}Service web spec.internalTrafficPolicy Local instead of Cluster",
    ),
    terrain(
        "EXTERNAL-LOCAL",
        "keeps traffic from outside on the Node",
        admitting(
            "Service",
            lambda body: body["spec"].update({"externalTrafficPolicy": "Local"} if body["spec"]["type"] == "NodePort" else {}),
        ),
        f"{CHANGED}Service web spec.externalTrafficPolicy Local instead of Cluster",
    ),
    terrain(
        "FAMILIES",
        "asks for two families",
        spec("Service", ipFamilyPolicy="PreferDualStack"),
        f"{CHANGED}Service web spec.ipFamilyPolicy PreferDualStack instead of SingleStack",
    ),
    terrain(
        "STRATEGY",
        "has a surge of half of the replicas, and keeps three revisions",
        admitting("Deployment", _strategy),
        f"{CHANGED}Deployment web spec.strategy.rollingUpdate.maxSurge 50% instead of 25%",
    ),
    terrain("REPLICAS", "wants three replicas of every Deployment", spec("Deployment", replicas=3)),
    terrain(
        "MIRROR",
        "takes the images of Pods from a mirror",
        each_container(image="mirror.example.org/nginx:1"),
        "spec.containers[nginx].image mirror.example.org/nginx:1 instead of nginx:1.29",
    ),
    terrain("WIDER-SELECTOR", "adds a label to Pods and to selectors of Services", _wider, f"{CHANGED}Service web spec.selector"),
    terrain(
        "NO-NODE-PORTS",
        "makes every Service one of type ClusterIP",
        admitting("Service", _without_node_port),
        f"{CHANGED}Service web spec.type ClusterIP instead of NodePort",
    ),
    terrain(
        "TOLERATIONS",
        "tolerates lost Nodes for a minute",
        admitting("Pod", _tolerations),
        "spec.tolerations[not-ready].tolerationSeconds 60 instead of 300",
    ),
    terrain(
        "NO-TOKEN",
        "gives Pods no token",
        admitting("Pod", _no_token),
        "spec.automountServiceAccountToken false instead of true",
    ),
    terrain("EVENTS-DROPPED", "does not keep each Event", _few_events, "needs a cluster that keeps each Event"),
    terrain("DNS-ELSEWHERE", "has its DNS in another namespace, under another name", _dns_elsewhere),
    terrain(
        "DNS-ON-THE-NODE", "has a DNS cache on the Nodes", _dns_on_the_node, "the replicas of the cluster's DNS cannot be found"
    ),
    terrain(
        "VIRTUAL-NODE",
        "has a virtual Node",
        node("virtual", spec={"taints": [{"key": "virtual-kubelet.io/provider", "value": "a", "effect": "NoSchedule"}]}),
    ),
    terrain("KWOK-NODE", "has a Node that KWOK simulates", node("fake", metadata={"labels": {"type": "kwok"}})),
    terrain(
        "NODE-LEAVING",
        "has a Node that the cluster-autoscaler deletes, whose machine is gone",
        node("leaving", spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "NoSchedule"}]}),
    ),
    terrain(
        "NODE-JOINING",
        "has a Node that its cloud provider has not initialized",
        node("joining", spec={"taints": [{"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}]}),
    ),
    terrain("NODE-PORTS-OF-A-RANGE", "serves nodePorts at some addresses of Nodes alone", _aside),
    terrain("WINDOWS-NODE", "has a Windows Node", node("win", metadata={"labels": {"kubernetes.io/os": "windows"}})),
    terrain("NODE-NOT-READY", "has a Node that is not ready", node("gone", status=_unready("NodeStatusUnknown"))),
    terrain(
        "NODE-EXTERNAL",
        "has a Node without InternalIP",
        node("far", status={"addresses": [{"type": "ExternalIP", "address": "203.0.113.9"}]}),
    ),
    terrain(
        "NODE-SILENT",
        "has a Node that says that it is ready and does not answer",
        node("silent"),
        "of Node silent: refused",
        broken(Link.NODEPORT),
    ),
    terrain(
        "NODES-BEYOND", "has Nodes that Pods alone reach: for this machine, others have their addresses", _beyond, short=True
    ),
    terrain(
        "SELECTOR", "makes Services select other Pods", admitting("Service", _selector), "got app=another", broken(Link.SERVICE)
    ),
    terrain(
        "TARGET", "gives Services a targetPort of no container", admitting("Service", _target), "got 8081", broken(Link.SERVICE)
    ),
)
