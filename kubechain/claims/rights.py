"""The rights of what a run does outside of claims: what all claims share, and what it does without if it may not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubechain.claims.claim import Link
from kubechain.claims.requirements import (
    ADDONS,
    EVENTS,
    EXEC,
    LISTED,
    NODE_REQUESTS,
    Requirement,
    allowed,
    remote_rights_of,
    rights_of,
)
from kubechain.kube.rights import Right, right, right_of_kind

# Kinds of policies that no cluster has all of: those of its network plugin, and of those who administer it.
POLICIES_OF_OTHERS = (
    "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "Calico NetworkPolicy", "Calico GlobalNetworkPolicy",
    "Calico v3 NetworkPolicy", "Calico v3 GlobalNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy",
)  # fmt: skip


def _rights(**verbs_of: str) -> tuple[Right, ...]:
    """Return rights from resource -> verbs, separated by spaces."""
    return tuple(right(verb, resource) for resource, verbs in verbs_of.items() for verb in verbs.split())


# What every claim needs: the namespaces of the run, the objects of the chain in them, and the watches on these objects. In one
# namespace that exists, what the run makes is found again and removed object by object.
CORE = replace(
    allowed(
        "core",
        *_rights(
            namespaces="create get list delete",
            serviceaccounts="create",
            configmaps="create",
            services="create list watch",
            deployments="create list watch",
            pods="create list watch",
            replicasets="list watch",
            endpoints="list watch",
            endpointslices="list watch",
        ),
    ),
    inside=frozenset(
        _rights(
            namespaces="get",
            serviceaccounts="create list delete",
            configmaps="create list delete",
            services="create list watch delete",
            deployments="create list watch delete",
            pods="create list watch delete",
            replicasets="list watch delete",
            endpoints="list watch",
            endpointslices="list watch",
        )
    ),
)
# What a run needs besides with --pull-secret.
PULL_SECRET = replace(allowed("pull secret", *_rights(secrets="create")), inside=frozenset(_rights(secrets="create get delete")))
# What `during` an upgrade is watched besides the witnesses.
WATCHING = allowed(
    "watches on the upgrade",
    *_rights(nodes="list watch", pods="list watch"),
    *(right(verb, "leases", "kube-system") for verb in ("list", "watch")),
)
# The samplers in Pods, which commands start and read, and the requests of the sampler beside the harness.
SAMPLING = allowed(
    "samplers",
    *EXEC.rights,
    *_rights(configmaps="create get patch delete", daemonsets="create get delete", pods="list"),
    right("get", "services/proxy"),
)
# What `kubechain clean --context` needs: namespaces of dead runs are deleted, and Nodes that they left cordoned uncordoned.
# In one namespace it needs what a run needs there to remove its objects.
CLEAN = replace(
    allowed("clean", *_rights(namespaces="get list delete", nodes="list patch")),
    inside=frozenset(each for each in CORE.inside or () if each.verb in ("get", "list", "delete")),
)


@dataclass(frozen=True)
class Part:
    """A part of a run that is left out without its rights, and the run goes on; `instead` says what happens then."""

    name: str
    requirement: Requirement
    instead: str


EXPIRY = Part(
    "renewal of the expiry of namespaces",
    allowed("expiry", *_rights(namespaces="patch")),
    "the namespaces of a run expire 2 hours after its begin",
)
END = Part(
    "early end of the Pods of a namespace that is deleted",
    allowed("end of Pods", *_rights(pods="delete")),
    "a run takes about 5 s longer to end",
)
NODES = Part("the Nodes", LISTED, "the number of Nodes is not known, and cordons of dead runs stay")
LATENCY = Part("changeToWaitMs in run.json", allowed("latency", *_rights(pods="patch")), "the figure is left out")
EVENT_LOG = Part("events in the evidence", EVENTS, "the evidence says that events are not watched")
LOGS = Part(
    "logs of Pods in the evidence", allowed("logs", right("get", "pods/log")), "the evidence has the refusal in place of a log"
)
CONFIGURATION = Part(
    "configuration of CoreDNS and kube-proxy: in the snapshot, for the addresses of nodePorts and for how Pods are chosen",
    ADDONS,
    "claims that compare it are skipped, each Node is asked at its first InternalIP, and each Pod is expected to answer",
)
COMPONENTS = Part(
    "components behind a broken link in the verdict",
    allowed("components", *_rights(nodes="list", deployments="list", pods="list"), right("get", "leases", "kube-system")),
    "the verdict names the link alone",
)
POLICIES = Part(
    "NetworkPolicies of the cluster in the namespaces of a run",
    allowed("network policies", *_rights(networkpolicies="list")),
    "one that denies traffic is not named",
)
OTHER_POLICIES = Part(
    "policies of Cilium, of Calico and of cluster administrators in the verdict",
    allowed("other policies", *(right_of_kind("list", kind) for kind in POLICIES_OF_OTHERS)),
    "one that may deny traffic is not named",
)
ALLOWING = Part(
    "a NetworkPolicy that allows all traffic in the namespaces of a run, where one of the cluster denies it",
    allowed("allowing", *_rights(networkpolicies="create")),
    "claims that send requests fail where the cluster denies them",
)
CHANGERS = Part(
    "who changes objects at admission",
    allowed("admission", *_rights(mutatingadmissionpolicies="list", mutatingwebhookconfigurations="list")),
    "a claim that is skipped because admission changed an object does not say which policy did",
)
# In one namespace, in the place of EXPIRY; and what claims that may make these objects remove themselves.
RENEWAL = Part(
    "renewal of the expiry of a run in one namespace",
    allowed("renewal", *_rights(configmaps="patch")),
    "it expires 2 hours after its begin",
)
SWEEP = Part(
    "removal, in one namespace, of objects of these kinds that a killed run left",
    allowed("sweep", *_rights(endpointslices="delete", poddisruptionbudgets="list delete", networkpolicies="list delete")),
    "they stay; each has the label `kubechain/run`",
)
# A run in a Pod names it on what it makes.
LIVING = Part(
    "Pods of other runs",
    allowed("Pods of runs", right("get", "pods")),
    "what a run in a Pod has left stays until it expires, also after the end of that Pod",
)
INSIDE = (RENEWAL, SWEEP)
# During an upgrade alone.
YIELDING = Part(
    "end of the PodDisruptionBudget of the witnesses, if a drain waits for it",
    allowed("yielding", *_rights(poddisruptionbudgets="get delete")),
    "it stays, and the drain waits",
)
PARTS = (
    EXPIRY,
    END,
    NODES,
    LATENCY,
    EVENT_LOG,
    LOGS,
    COMPONENTS,
    CONFIGURATION,
    CHANGERS,
    POLICIES,
    OTHER_POLICIES,
    ALLOWING,
    LIVING,
)
# The ConfigMap of --result-config-map, in the namespace of the runner.
RESULT = allowed("result", *_rights(configmaps="create get patch"))
# Link -> what its gate needs. A gate that may not be asked is not waited for.
GATES = {
    Link.CLUSTERIP: EXEC,
    Link.NODEPORT: NODE_REQUESTS,
    Link.API: allowed("proxies", right("get", "services/proxy"), right("get", "pods/proxy")),
    Link.ENV: EXEC,
    Link.DNS: EXEC,
}
OF_GATES = rights_of(GATES.values()) | remote_rights_of(GATES.values())
# A creation whose answer was lost is recognized by reading the object.
LOST_ANSWERS = frozenset(
    right("get", resource)
    for resource in ("namespaces", "serviceaccounts", "configmaps", "services", "deployments", "replicasets", "pods",
                     "endpointslices", "poddisruptionbudgets", "daemonsets", "secrets",
                     "networkpolicies")
)  # fmt: skip
TOLERATED = frozenset(each for part in (*PARTS, *INSIDE, YIELDING) for each in part.requirement.rights) | OF_GATES | LOST_ANSWERS
