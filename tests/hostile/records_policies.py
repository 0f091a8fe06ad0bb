"""Records of policies: objects are refused, or the Nodes take no Pods, on a cluster that is in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.kube.objects import Json
from tests.hostile.acts import both, failing, lost, rule
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, Request, of_json
from tests.hostile.records import CLAIMS, RUN, Ending, Record
from tests.hostile.store import Refused, status_of

REFUSED = Ending(ExitCode.REFUSED, "no verdict: the cluster refuses objects of this run")
NO_ROOM = Ending(ExitCode.REFUSED, "no verdict: no Node takes the Pods of this run")
NO_IMAGE = Ending(ExitCode.IMAGES, "no verdict: an image of this run cannot be run")
OVERLAY = ("--overlay", str(ROOT / "tests" / "data" / "overlay.yaml"))
# The claims on a Pod that asks for nothing and has a token.
BARE = (*RUN[:2], "--only", f"{CLAIMS},CHAIN-PODS-080,CHAIN-PODS-100")
LABELS = ("name", "instance", "version", "component", "part-of", "managed-by")
ABSENT = "registry.example.org/absent:1"
# Returns what an object lacks, "" if nothing.
Check = Callable[[Json], str]


def denies(
    check: Check, who: str = "ValidatingAdmissionPolicy 'usual' with binding 'usual' denied request"
) -> Callable[[Cluster], None]:
    """Return what makes a cluster refuse the objects of a run, also those of its controllers, for which a check finds a lack."""

    def make(cluster: Cluster) -> None:
        before = cluster.core.mutate

        def admit(body: Json) -> Json:
            lack = check(body)
            if lack:
                raise Refused(
                    403, "Forbidden", f'{body["kind"].lower()}s "{body["metadata"]["name"]}" is forbidden: {who}: {lack}'
                )
            return before(body)

        cluster.core.mutate = admit

    return make


def usual(body: Json) -> str:
    """Return what an object lacks of what policies usually demand."""
    labels: dict[str, str] = body["metadata"].get("labels", {})
    missing = [f"label app.kubernetes.io/{name}" for name in LABELS if f"app.kubernetes.io/{name}" not in labels]
    if body["kind"] == "Namespace" and any(label.startswith("pod-security") for label in labels):
        missing.append("no pod-security label")
    if body["kind"] == "Pod":
        missing += _of_pod(body["spec"])
    return (
        ", ".join(missing) if body["kind"] in ("Namespace", "Pod", "Deployment", "Service", "ConfigMap", "ServiceAccount") else ""
    )


def _of_pod(spec: Json) -> list[str]:
    demands: list[tuple[str, Any, Any]] = [
        ("no token", spec.get("automountServiceAccountToken"), False),
        ("runAsNonRoot", spec["securityContext"].get("runAsNonRoot"), True),
        ("seccomp", spec["securityContext"].get("seccompProfile", {}).get("type"), "RuntimeDefault"),
    ]
    for container in spec["containers"]:
        resources, security = container.get("resources", {}), container["securityContext"]
        demands += [(part, sorted(resources.get(part, {})), ["cpu", "memory"]) for part in ("requests", "limits")]
        demands += [
            ("read-only root", security.get("readOnlyRootFilesystem"), True),
            ("no escalation", security.get("allowPrivilegeEscalation"), False),
            ("no capabilities", security.get("capabilities"), {"drop": ["ALL"]}),
            ("a tag", container["image"].endswith(":latest"), False),
        ]
    return [name for name, there, wanted in demands if there != wanted]


def of_team(body: Json) -> str:
    """Return what an object lacks that tests/data/overlay.yaml adds."""
    if body["kind"] in ("Event", "EndpointSlice", "Endpoints", "ReplicaSet"):
        return ""
    lacks = [] if body["metadata"].get("labels", {}).get("team") == "shop" else ["label team"]
    if body["kind"] == "Pod":
        spec = body["spec"]
        lacks += [] if spec["securityContext"].get("runAsUser") == 1000650001 else ["uid in the range"]
        lacks += [] if spec.get("priorityClassName") == "low" else ["priorityClassName"]
    return ", ".join(lacks)


def _node_port(body: Json) -> str:
    return "no nodePorts here" if body["kind"] == "Service" and body["spec"].get("type") == "NodePort" else ""


def _unique_selectors(cluster: Cluster) -> None:
    """Refuse a Service with the selector of another in its namespace, as the K8sUniqueServiceSelector of Gatekeeper does."""

    def check(body: Json) -> str:
        selector = body["spec"].get("selector") if body["kind"] == "Service" else None
        others = cluster.store.all("Service", body["metadata"].get("namespace", "")) if selector else []
        same = [each["metadata"]["name"] for each in others if each["spec"].get("selector") == selector]
        named = [name for name in same if name != body["metadata"]["name"]]
        return f"same selector as service <{named[0]}>" if named else ""

    denies(check, 'admission webhook "validation.gatekeeper.sh" denied the request')(cluster)


def _uid(body: Json) -> str:
    fixed = body["kind"] == "Pod" and "runAsUser" in body["spec"]["securityContext"]
    return "spec.securityContext.runAsUser: Invalid value" if fixed else ""


def _quota(body: Json) -> str:
    owned = body["kind"] == "Pod" and "ownerReferences" in body["metadata"]
    return "requested: pods=1, used: pods=0, limited: pods=0" if owned else ""


def _pods(body: Json) -> str:
    return "no Pods today" if body["kind"] == "Pod" else ""


def _dead_webhook(exchange: Exchange) -> None:
    what = 'Internal error occurred: failed calling webhook "dead.example.org": Post "https://x": connection refused'
    exchange.send(of_json(500, status_of(500, "InternalError", what)))


def _of_nodes(change: Callable[[Json], None]) -> Callable[[Cluster], None]:
    def make(cluster: Cluster) -> None:
        for node in cluster.store.all("Node"):
            cluster.store.modify(("Node", "", node["metadata"]["name"]), change)

    return make


def _taint(body: Json) -> None:
    body["spec"]["taints"] = [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]


def _pool(body: Json) -> None:
    body["metadata"]["labels"]["pool"] = "a" if body["metadata"]["name"].endswith("2") else "b"


def _full(cluster: Cluster) -> None:
    cluster.core.full = "3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found"


def _absent(cluster: Cluster) -> None:
    cluster.core.absent = ABSENT


def _deny_traffic(exchange: Exchange) -> None:
    exchange.serve()
    metadata = {"name": "default-deny", "namespace": exchange.request.body["metadata"]["name"]}
    policy: Json = {
        "kind": "NetworkPolicy",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": metadata,
        "spec": {"podSelector": {}},
    }
    exchange.api.store.create(policy)


def _on_namespace(request: Request) -> bool:
    return request.verb == "create" and request.place.kind == "Namespace" and "dryRun" not in request.query


def _on_check(request: Request) -> bool:
    return request.checks and _on_namespace(request)


RECORDS = (
    Record("CHECK-TAKEN", "says that the namespace for the dry run exists", rule(_on_check, failing(409))),
    Record("CHECK-FAILING", "does not create the namespace for the dry run", rule(_on_check, failing(503))),
    Record("CHECK-LOST", "creates the namespace for the dry run, and does not answer", rule(_on_check, lost)),
    Record("USUAL-POLICIES", "refuses objects without what policies usually demand", denies(usual), command=BARE),
    Record(
        "KUBECTL-REFUSED",
        "refuses what kubectl makes, and takes the objects of the run",
        denies(usual),
        says="skipped: needs",
        command=(*RUN[:2], "--only", "CHAIN-PODS-010,WALK-DEPLOYMENT-010,WALK-PODS-010,WALK-DELETION-020"),
        short=True,
    ),
    Record(
        "TEAM-POLICY",
        "refuses objects without a label, a priority and a uid, which the overlay adds",
        both(denies(of_team), _of_nodes(_pool)),
        command=(*RUN, *OVERLAY),
        short=True,
    ),
    Record(
        "TEAM-POLICY-UNKNOWN",
        "refuses objects without a label, a priority and a uid, and there is no overlay",
        denies(of_team),
        (REFUSED,),
        says="Namespace, ConfigMap nginx, Service of type NodePort",
    ),
    Record(
        "UNIQUE-SELECTORS",
        "refuses a second Service with the same selector",
        _unique_selectors,
        says="needs a Service twin, which is refused by webhook validation.gatekeeper.sh",
        command=(*RUN[:2], "--only", "CHAIN-SERVICE-010,CHAIN-CLUSTERIP-010,CHAIN-CLUSTERIP-070"),
    ),
    Record("UID-RANGE", "refuses Pods that name the uid that they run as", denies(_uid)),
    Record("NO-NODEPORT", "refuses nodePorts", denies(_node_port), (REFUSED,), says="--no-node-port"),
    Record(
        "NO-NODEPORT-WANTED",
        "refuses nodePorts, which the run does not ask for",
        denies(_node_port),
        command=(*RUN, "--no-node-port"),
    ),
    Record("NO-PODS", "refuses every Pod", denies(_pods), (REFUSED,), says="Pod web, Pod client"),
    Record(
        "LATE-QUOTA",
        "refuses the Pods of controllers for a quota that is not there yet at the dry run",
        denies(_quota, "exceeded quota: small"),
        (REFUSED,),
        says="exceeded quota: small",
    ),
    Record(
        "DEAD-WEBHOOK",
        "cannot create Pods, because a webhook does not answer",
        rule(lambda request: request.verb == "create" and request.place.kind == "Pod" and not request.place.sub, _dead_webhook),
        (REFUSED,),
        says='webhook "dead.example.org"',
    ),
    Record("TAINTED", "has a taint on every Node", _of_nodes(_taint), (NO_ROOM,), says="--tolerate dedicated=db:NoSchedule"),
    Record(
        "TAINTED-TOLERATED",
        "has a taint on every Node, which Pods tolerate",
        _of_nodes(_taint),
        command=(*RUN, "--tolerate", "dedicated=db:NoSchedule"),
    ),
    Record("FULL", "has no CPU left on any Node", _full, (NO_ROOM,), says="3 Insufficient cpu", seconds=180),
    Record("ONE-POOL", "has a pool of one Node, the only one to be used", _of_nodes(_pool), command=(*RUN, "--nodes", "pool=a")),
    Record(
        "NO-POOL",
        "has no Node with the labels of --nodes",
        _of_nodes(_pool),
        (NO_ROOM,),
        says="--nodes=pool=c: no Node has these labels",
        command=(*RUN, "--nodes", "pool=c"),
    ),
    Record(
        "DENIED-TRAFFIC",
        "gets a NetworkPolicy that denies traffic in each new namespace",
        rule(_on_namespace, _deny_traffic),
    ),
    Record(
        "ABSENT-IMAGE",
        "cannot pull the image of nginx",
        _absent,
        (NO_IMAGE,),
        says="not found",
        command=(*RUN, "--nginx-image", ABSENT),
    ),
)
