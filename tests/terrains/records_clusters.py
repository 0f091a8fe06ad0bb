"""Terrains that need a kind cluster of another make."""

from __future__ import annotations

from kubechain.images import pins
from kubechain.images.pins import Kubernetes
from kubechain.kube.objects import Json
from tests.terrains import units
from tests.terrains.by_kubeadm import KubeadmCluster
from tests.terrains.dns import OTHER, Added, UsualGone, elsewhere, told
from tests.terrains.flannel import FLANNEL
from tests.terrains.make import CONTROL_PLANE, FILES, WORKER, Make
from tests.terrains.records_dns import USUAL_GONE
from tests.terrains.records_policies import OF_PODS, OF_SERVICES
from tests.terrains.terrain import Terrain, Unfit

# The faults are iptables rules, or name addresses, of IPv4.
OF_IPV4 = (
    Unfit("the fault is a rule for IPv4", ("node-port-dropped", "api-proxy-dropped")),
    Unfit("the fault gives an address of IPv4 to objects of IPv6", ("foreign-address",)),
)


def cluster_configuration(**fields: object) -> Json:
    """Return a patch of kubeadm's ClusterConfiguration."""
    return {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", **fields}


def arguments(**values: str) -> list[Json]:
    """Return arguments of a component; underscores stand for hyphens."""
    return [{"name": name.replace("_", "-"), "value": value} for name, value in values.items()]


NFTABLES = Make("nftables", "has kube-proxy in the mode nftables", networking={"kubeProxyMode": "nftables"})
# Both ranges are among those that an engine which kubechain starts keeps on the machine.
OTHER_RANGES = Make(
    "other-ranges",
    "has another domain, and other ranges of Pods, Services and nodePorts",
    networking={"podSubnet": "172.28.0.0/16", "serviceSubnet": "172.29.0.0/16"},
    kubeadm=(
        cluster_configuration(
            networking={"dnsDomain": "corp.internal"},
            apiServer={"extraArgs": arguments(service_node_port_range="20000-21999")},
        ),
    ),
)
ONE_NODE = Make("one-node", "has one Node, which runs the control plane and takes Pods", nodes=(CONTROL_PLANE,))
THREE = Make(
    "three-control-planes",
    "has three control planes behind a load balancer",
    nodes=(CONTROL_PLANE, CONTROL_PLANE, CONTROL_PLANE, WORKER, WORKER),
)
IPV6 = Make("ipv6", "has IPv6 alone", ip_family="ipv6")
DUAL = Make("dual", "has IPv4 and IPv6", ip_family="dual")
DUAL_IPV6 = Make("dual-ipv6", "has IPv6 and IPv4, IPv6 first", ip_family="dual-ipv6")
PLUGINS = "NodeRestriction,PodNodeSelector,ResourceQuota,LimitRanger,OwnerReferencesPermissionEnforcement,DenyServiceExternalIPs"
# Workers read the ConfigMap cluster-info before they have credentials.
ANONYMOUS = ("/livez", "/readyz", "/healthz", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
MANAGED = Make(
    "managed",
    "has an API server as managed services run it: more admission plugins, few anonymous requests, another issuer, an audit",
    kubeadm=(
        cluster_configuration(
            apiServer={
                "extraArgs": arguments(
                    enable_admission_plugins=PLUGINS,
                    authentication_config=f"{FILES}/authentication.yaml",
                    audit_policy_file=f"{FILES}/audit.yaml",
                    audit_log_path="-",
                    service_account_issuer="https://issuer.corp.internal/id/c-1",
                ),
                "extraVolumes": [
                    {"name": "terrain", "hostPath": FILES, "mountPath": FILES, "readOnly": True, "pathType": "Directory"}
                ],
            },
        ),
    ),
    files={
        "authentication.yaml": {
            "apiVersion": "apiserver.config.k8s.io/v1beta1",
            "kind": "AuthenticationConfiguration",
            "anonymous": {"enabled": True, "conditions": [{"path": path} for path in ANONYMOUS]},
        },
        "audit.yaml": {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]},
    },
)
UNITS = Make(
    "units",
    "runs its control plane and kube-proxy as systemd units, without kubeadm's Pods and ConfigMaps for them",
    prepare=units.convert,
)
KUBEADM = Make("kubeadm", "is made by plain `kubeadm init` and `kubeadm join`, without kind", made_as=KubeadmCluster)
# The API of policies that change objects is on by default since this minor version.
MUTATING_MINOR = 36
NO_MUTATION = Unfit(
    "the fault is a MutatingAdmissionPolicy, whose API is off by default",
    (*OF_PODS, *OF_SERVICES, "replica-set-stuck", "foreign-address"),
)


def made(make: Make, *unfit: Unfit) -> Terrain:
    """Return the terrain of a make: the cluster as it is made, used without an option."""
    return Terrain(make.id, "clusters", make.is_, make=make, unfit=unfit)


def of_version(pinned: Kubernetes) -> Terrain:
    """Return the terrain of an older Kubernetes version."""
    make = Make(f"k8s-{pinned.version}", f"has Kubernetes {pinned.version}", k8s=pinned.version)
    return made(make, *([] if pinned.minor >= MUTATING_MINOR else [NO_MUTATION]))


PINS = pins.load()
TERRAINS = (
    made(NFTABLES),
    made(OTHER_RANGES, Unfit("the fault drops what goes to the usual range of nodePorts", ("node-port-dropped",))),
    made(ONE_NODE, Unfit("the fault is one of a worker", ("node-port-dropped",))),
    made(THREE, Unfit("the fault is one of a control plane, and two others go on", ("api-proxy-dropped",))),
    made(IPV6, *OF_IPV4),
    made(DUAL),
    made(DUAL_IPV6, *OF_IPV4),
    made(MANAGED),
    made(FLANNEL),
    *(of_version(pinned) for version, pinned in PINS.kubernetes.items() if version != PINS.default),
    made(UNITS),
    Terrain(
        "units-dns-elsewhere",
        "clusters",
        f"{UNITS.is_}, and has its DNS in another namespace, by other names and at another address",
        (Added(elsewhere), told(OTHER), UsualGone()),
        unfit=(USUAL_GONE,),
        make=UNITS,
    ),
    made(KUBEADM),
)
