"""Terrains by policies: the API server refuses objects that lack what a platform team demands."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from kubechain.faults.admission_policies import Mutation
from kubechain.faults.catalogue.admission import POD, SERVICE
from kubechain.kube.objects import Json
from kubechain.workload import manifests
from tests.terrains.differences import Rule
from tests.terrains.terrain import Skip, Terrain, Unfit

# Faults that are seen by a sample of what they change, which the policy of a terrain refuses.
OF_PODS = ("never-ready", "crash-loop", "variable-wrong")
OF_SERVICES = ("target-port-changed", "selector-changed")
WORKLOADS = ("Namespace", "Pod", "Deployment", "Service")
REFUSED = "the cluster refuses objects of this run: .*ValidatingAdmissionPolicy '{}'"
# What a bare Pod shows, which asks for nothing and has a token.
BARE = ("CHAIN-PODS-080", "CHAIN-PODS-100", "CHAIN-PODS-110", "CHAIN-API-050")
# The walkthrough: the claims on its Pods, those on what it makes besides, and those that need its nodePort.
WALK_PODS = (
    *("WALK-PODS-010", "WALK-PODS-020", "WALK-PODS-030", "WALK-ENDPOINTS-010", "WALK-ENDPOINTS-020", "WALK-NODEPORT-010"),
    *("WALK-ENV-010", "WALK-DNS-010", "WALK-DELETION-020"),
)
WALK = (
    *("WALK-DEPLOYMENT-010", "WALK-DEPLOYMENT-020", "WALK-REPLICASET-010", "WALK-SERVICE-010", "WALK-SERVICE-020"),
    *(*WALK_PODS, "WALK-DELETION-010"),
)
WALK_NODE_PORT = tuple(each for each in WALK if each.split("-")[1] in ("SERVICE", "ENDPOINTS", "NODEPORT", "ENV", "DNS"))
AS_TYPED = Skip("objects as kubectl makes them", WALK)
TEAM = '"*":\n  labels: {team: shop}\n'
NODE_PORT_CLAIMS = (
    *(f"CHAIN-SERVICE-{number}" for number in ("010", "020", "060", "070", "080", "110")),
    *("CHAIN-NODEPORT-010", "CHAIN-NODEPORT-020", "CHAIN-NODEPORT-030", "CHAIN-DELETION-050"),
)


def each_container(cel: str) -> str:
    """Return in CEL that an expression holds for every container `c` of a Pod."""
    return f"object.spec.containers.all(c, {cel})"


def pods(name: str, expression: str, message: str, sample: Json) -> Rule:
    """Return a rule for Pods."""
    return Rule(name, ("Pod",), expression, message, sample)


def lacking(container: Json | None = None, security: Json | None = None, **fields: object) -> Json:
    """Return the Pod of a run with other fields of its container, its security context and its spec: it breaks one rule."""
    (only,) = POD["spec"]["containers"]
    context = {**POD["spec"]["securityContext"], **(security or {})}
    spec = {**POD["spec"], "containers": [{**only, **(container or {})}], "securityContext": context, **fields}
    return {**POD, "spec": spec}


LIMITS = pods(
    "limits-required",
    each_container("has(c.resources.limits) && 'cpu' in c.resources.limits && 'memory' in c.resources.limits"),
    "every container needs limits of cpu and memory",
    lacking({"resources": {}}),
)
READ_ONLY = pods(
    "read-only-root",
    each_container("has(c.securityContext) && c.securityContext.?readOnlyRootFilesystem.orValue(false)"),
    "the root file system must be read-only",
    lacking({"securityContext": {}}),
)
NO_TOKEN = pods(
    "no-token",
    "object.spec.?automountServiceAccountToken.orValue(true) == false",
    "no token of a ServiceAccount",
    lacking(automountServiceAccountToken=True),
)
NO_LATEST = pods(
    "no-latest",
    each_container("c.image.contains(':') && !c.image.endsWith(':latest')"),
    "images need a tag, and not latest",
    lacking({"image": "any:latest"}),
)
NON_ROOT = pods(
    "non-root",
    "object.spec.?securityContext.?runAsNonRoot.orValue(false) == true",
    "Pods must not run as root",
    lacking(security={"runAsNonRoot": None}),
)
SECCOMP = pods(
    "seccomp",
    "object.spec.?securityContext.?seccompProfile.?type.orValue('') == 'RuntimeDefault'",
    "Pods need the seccomp profile RuntimeDefault",
    lacking(security={"seccompProfile": None}),
)
# As OpenShift does: it chooses a uid of the namespace's range, and refuses others.
UID = "object.spec.securityContext.runAsUser"
UID_CHOSEN = Mutation(
    "uid-chosen",
    "Pod",
    '[JSONPatch{op: "add", path: "/spec/securityContext/runAsUser", value: 1000650000}]',
    lacking(security={"runAsUser": None}),
    lambda pod: pod.at("spec.securityContext.runAsUser") == 1000650000,
    "has(object.spec.securityContext) && !has(object.spec.securityContext.runAsUser)",
)
UID_RANGE = pods(
    "uid-range",
    f"!has({UID}) || ({UID} >= 1000650000 && {UID} < 1000660000)",
    "runAsUser must be in the range 1000650000-1000659999",
    POD,
)
LABEL = Rule(
    "team-label",
    WORKLOADS,
    "has(object.metadata.labels) && 'team' in object.metadata.labels",
    "every object needs the label team",
    POD,
)
NO_NODE_PORT = Rule("no-node-ports", ("Service",), "object.spec.type != 'NodePort'", "no nodePorts here", SERVICE)
RESTRICTED = Mutation(
    "restricted",
    "Namespace",
    '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("pod-security.kubernetes.io/enforce"),'
    ' value: "restricted"}]',
    manifests.namespace("kubechain-sample", {"kubechain/run": "terrains"}),
    lambda namespace: namespace.labels.get("pod-security.kubernetes.io/enforce") == "restricted",
)
USUAL_POLICIES = (LIMITS, READ_ONLY, NO_TOKEN, NO_LATEST, NON_ROOT, SECCOMP, RESTRICTED)
WITHOUT_BARE_PODS = (Skip("ValidatingAdmissionPolicy '(limits-required|no-token)'", BARE),)

TERRAINS = (
    Terrain(
        "uid-range",
        "policies",
        "chooses the uid of Pods of a range, and refuses others, as OpenShift does",
        (UID_CHOSEN, UID_RANGE),
        # The image of nginx begins as root.
        skips=(Skip("needs Pods that run as kubectl makes them: container .* has ended", WALK_PODS),),
        unfit=(Unfit("the sample of the fault asks for a uid", OF_PODS),),
    ),
    Terrain(
        "limits-required",
        "policies",
        "refuses Pods without limits",
        (LIMITS,),
        skips=(Skip("ValidatingAdmissionPolicy 'limits-required'", BARE + WALK),),
    ),
    Terrain(
        "read-only-root",
        "policies",
        "refuses Pods whose root file system is not read-only",
        (READ_ONLY,),
        skips=(Skip("ValidatingAdmissionPolicy 'read-only-root'", WALK),),
    ),
    Terrain(
        "no-token",
        "policies",
        "refuses Pods with a token",
        (NO_TOKEN,),
        skips=(Skip("ValidatingAdmissionPolicy 'no-token'", BARE + WALK),),
    ),
    Terrain("no-latest", "policies", "refuses images without a tag, or with the tag latest", (NO_LATEST,)),
    Terrain(
        "non-root",
        "policies",
        "refuses Pods that may run as root",
        (NON_ROOT,),
        skips=(Skip("ValidatingAdmissionPolicy 'non-root'", WALK),),
    ),
    Terrain(
        "seccomp",
        "policies",
        "refuses Pods without a seccomp profile",
        (SECCOMP,),
        skips=(Skip("ValidatingAdmissionPolicy 'seccomp'", WALK),),
    ),
    Terrain(
        "restricted",
        "policies",
        "enforces the Pod Security Standard restricted in each new namespace",
        (RESTRICTED,),
        skips=(Skip('violates PodSecurity "restricted', WALK),),
    ),
    Terrain(
        "team-label",
        "policies",
        "refuses objects without the label team, which the overlay adds",
        (LABEL,),
        overlay=TEAM,
        skips=(AS_TYPED,),
        unfit=(Unfit("the sample of the fault has no label team", OF_PODS + OF_SERVICES),),
    ),
    Terrain(
        "team-label-unknown",
        "policies",
        "refuses objects without the label team, and there is no overlay",
        (LABEL,),
        code=ExitCode.REFUSED,
        says=REFUSED.format("team-label"),
        seconds=10,
    ),
    Terrain(
        "no-node-ports",
        "policies",
        "refuses Services of type NodePort, which the run does not make",
        (NO_NODE_PORT,),
        ("--no-node-port",),
        skips=(
            Skip("Services of type NodePort", (*NODE_PORT_CLAIMS, "CHAIN-NODEPORT-060", *WALK_NODE_PORT, "WALK-DELETION-010")),
        ),
        unfit=(Unfit("the sample of the fault is of type NodePort", OF_SERVICES),),
    ),
    Terrain(
        "no-node-ports-wanted",
        "policies",
        "refuses Services of type NodePort",
        (NO_NODE_PORT,),
        code=ExitCode.REFUSED,
        says=REFUSED.format("no-node-ports") + ".*--no-node-port",
        seconds=20,
    ),
    Terrain(
        "usual-policies",
        "policies",
        "refuses what any of the usual policies refuses",
        USUAL_POLICIES,
        skips=(*WITHOUT_BARE_PODS, Skip("ValidatingAdmissionPolicy|violates PodSecurity", WALK)),
    ),
)
