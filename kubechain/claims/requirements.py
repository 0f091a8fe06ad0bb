"""Requirements of claims: a claim is skipped, with the reason, on a cluster that does not meet its requirements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from kubechain.cluster.access import Access
from kubechain.cluster.families import Families
from kubechain.cluster.target import Target
from kubechain.core import versions
from kubechain.kube import rights
from kubechain.kube.families import IPV6, RECORDS, node_families
from kubechain.kube.objects import KubeObject
from kubechain.kube.rights import Right
from kubechain.kube.shape import Shape

ProbeOrigin = Literal["host", "cluster"]


@dataclass(frozen=True)
class Environment:
    """The cluster of a run, its Nodes, the origin of requests to nodePorts, and what claims and the user may do.

    `disruptive` says that claims may disturb Nodes; `access` is what the user may do; `node_ports` says that Services may have
    nodePorts; `shape` is that of the objects of the run; `families` are the IP families of Services.
    """

    target: Target
    nodes: tuple[KubeObject, ...]
    probe_from: ProbeOrigin
    disruptive: bool
    access: Access = field(default_factory=lambda: Access(None))
    node_ports: bool = True
    shape: Shape = field(default_factory=Shape)
    families: Families = field(default_factory=Families)

    @property
    def minor(self) -> int:
        """The minor version of the API server, -1 if it is not known."""
        return versions.minor(self.target.versions.get("server", ""))

    @property
    def pods_have_ipv6(self) -> bool:
        """Whether Pods have IPv6 addresses, on every Node, by what the cluster gives Services, and what the Nodes show."""
        known = self.families.known
        # Where Services have it first, nothing works without.
        return known[:1] == (IPV6,) or (self.on_every_node(IPV6) and (IPV6 in known or self._shown_by(IPV6) > 0))

    def on_every_node(self, family: str) -> bool:
        """Whether every Node shows addresses of a family, or none does: then it is not known from the Nodes."""
        return self._shown_by(family) in (0, len(self.nodes))

    def _shown_by(self, family: str) -> int:
        return sum(family in node_families(node) for node in self.nodes)


@dataclass(frozen=True)
class Requirement:
    """A requirement; `text` follows the word "needs" in messages, `met` checks an environment.

    `rights` are those that a claim with this requirement uses; `remote` are those that it uses besides where this machine does
    not reach the addresses of the Nodes. `inside` are those in the place of `rights` in a run in one namespace (None: the same).
    """

    id: str
    text: str
    met: Callable[[Environment], bool] = field(compare=False)
    rights: frozenset[Right] = frozenset()
    remote: frozenset[Right] = frozenset()
    inside: frozenset[Right] | None = None


def allowed(name: str, *needed: Right, remote: Iterable[Right] = ()) -> Requirement:
    """Require rights, `remote` those where this machine does not reach the addresses of the Nodes; `name` is the id."""
    return Requirement(name, name, lambda _environment: True, frozenset(needed), frozenset(remote))


def right(verb: str, resource: str) -> Requirement:
    """Require the right to a verb on a resource in all namespaces, such as ("get", "pods/proxy")."""
    needed = rights.right(verb, resource)
    return allowed(str(needed), needed)


def nodes(count: int) -> Requirement:
    """Require at least `count` Nodes."""
    text = f"{count} nodes"
    return Requirement(f"nodes>={count}", text, lambda environment: len(environment.nodes) >= count, LISTED.rights)


def kubernetes(minor: int) -> Requirement:
    """Require an API server of Kubernetes 1.`minor` or newer."""
    text = f"Kubernetes 1.{minor} or newer"
    return Requirement(f"kubernetes>=1.{minor}", text, lambda environment: environment.minor >= minor)


# The user may list the Nodes.
LISTED = right("list", "nodes")
# Commands run in Pods, over a websocket, for which the API server checks both verbs.
EXEC = allowed("exec", rights.right("get", "pods/exec"), rights.right("create", "pods/exec"))
# Requests are sent to the Nodes: from this machine, else from the client Pod.
NODE_RIGHTS = allowed("requests to Nodes", *LISTED.rights, remote=EXEC.rights)
NODE_PORTS = Requirement("nodePort", "Services of type NodePort (not --no-node-port)", lambda environment: environment.node_ports)
NODE_REQUESTS = Requirement("nodePorts", NODE_PORTS.text, NODE_PORTS.met, NODE_RIGHTS.rights, NODE_RIGHTS.remote)
# kubectl port-forward to a Service: it reads the Service, chooses a Pod, and forwards over a websocket.
FORWARDING = allowed(
    "port-forward",
    rights.right("get", "services"),
    rights.right("list", "pods"),
    rights.right("get", "pods"),
    rights.right("get", "pods/portforward"),
    rights.right("create", "pods/portforward"),
)
# The configuration of CoreDNS and kube-proxy, in ConfigMaps of kubeadm.
ADDONS = allowed("add-ons", rights.right("get", "configmaps", "kube-system"))
# The Service of the cluster's DNS, which may be in any namespace, and its EndpointSlices.
DNS_SERVICE = allowed("DNS", *(rights.right("list", each, rights.EVERYWHERE) for each in ("services", "endpointslices")))
# What clients ask of the API servers, where these are, and how many there are.
API_SERVERS = allowed(
    "API servers",
    rights.right("get", "/metrics"),
    rights.right("list", "endpointslices", "default"),
    rights.right("list", "leases", "kube-system"),
)
EVENTS = allowed("events", rights.right("list", "events"), rights.right("watch", "events"))


def _pods(environment: Environment) -> int:
    return sum(int(node.at("status.allocatable.pods", 0)) for node in environment.nodes)


def _tolerated(environment: Environment) -> bool:
    """Whether the overlay says nothing of the taints of lost Nodes."""
    keys = {toleration.key for toleration in environment.shape.overlay.pods.tolerations}
    return not keys & {None, "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}


def _dual_stack(environment: Environment) -> bool:
    families = environment.families.ask(environment.target.namespace or "default")
    return len(families) == len(RECORDS) and all(map(environment.on_every_node, families))


OWN_CLUSTER = Requirement("kind", "a kind cluster of this project", lambda environment: environment.target.owned)
DISRUPTION = Requirement(
    "disruptive",
    "permission to disturb Nodes (DISRUPTIVE=1)",
    lambda environment: environment.target.owned or environment.disruptive,
)
HOST_ACCESS = Requirement(
    "host",
    "this machine to reach the addresses of the Nodes",
    lambda environment: environment.probe_from == "host",
    LISTED.rights,
)
KUBECTL = Requirement("kubectl", "kubectl on this machine", lambda environment: bool(environment.target.kubectl))
ROOM = Requirement("room", "room for a hundred more Pods", lambda environment: _pods(environment) >= 200, LISTED.rights)
# Selected by the setting, whatever the level; the scenario asks for room by their number.
SIDE_BY_SIDE = Requirement("chains", "more than one chain (--chains K)", lambda _environment: True)
POD_CIDR = Requirement(
    "podCIDR",
    "a podCIDR on every Node",
    lambda environment: all(node.at("spec.podCIDR") for node in environment.nodes),
    LISTED.rights,
)
TWO_NODES, THREE_NODES = nodes(2), nodes(3)
DUAL_STACK = Requirement(
    "dualStack",
    "a cluster that gives Services addresses of two IP families",
    _dual_stack,
    frozenset([rights.right("create", "services")]),
)
UNTOLERANT = Requirement("untolerant", "Pods without tolerations of lost Nodes in the overlay", _tolerated)
# Since Kubernetes 1.30 the preStop action sleep (KEP-3960) is on by default.
SLEEP_ACTION = kubernetes(30)
# A run in a namespace that exists makes no other, and one chain there at a time.
OWN_NAMESPACE = Requirement(
    "namespace", "a namespace of its own (--namespace NAME)", lambda environment: not environment.target.namespace
)
# Added to claims that fill the Nodes, where other parts of the suite run beside this one.
UNSHARED = Requirement("unshared", "the cluster for itself (not --shard)", lambda _environment: False)
# Objects that kubectl makes have neither the overlay of the run nor its tolerations, Node labels and pull Secret.
AS_TYPED = Requirement(
    "asTyped",
    "objects as kubectl makes them (no --overlay, --tolerate, --nodes, --pull-secret)",
    lambda environment: environment.shape.is_plain and not environment.target.pull_secret,
)
# Without them, no right makes a claim run; they are known before anything is read from the cluster.
PERMISSIONS = (OWN_CLUSTER, DISRUPTION, NODE_PORTS, NODE_REQUESTS, OWN_NAMESPACE, AS_TYPED, UNSHARED)
ALL = (
    OWN_CLUSTER,
    DISRUPTION,
    HOST_ACCESS,
    KUBECTL,
    ROOM,
    SIDE_BY_SIDE,
    POD_CIDR,
    TWO_NODES,
    THREE_NODES,
    SLEEP_ACTION,
    EXEC,
    NODE_PORTS,
    NODE_REQUESTS,
    UNTOLERANT,
    DUAL_STACK,
    EVENTS,
    FORWARDING,
    ADDONS,
    DNS_SERVICE,
    OWN_NAMESPACE,
    AS_TYPED,
    UNSHARED,
)


def rights_of(requirements: Iterable[Requirement], *, inside: bool = False) -> frozenset[Right]:
    """Return the rights that claims with these requirements use on every cluster, or `inside` one namespace alone."""
    sets = (
        requirement.inside if inside and requirement.inside is not None else requirement.rights for requirement in requirements
    )
    return frozenset(each for rights in sets for each in rights)


def remote_rights_of(requirements: Iterable[Requirement]) -> frozenset[Right]:
    """Return the rights that they use besides where this machine does not reach the addresses of the Nodes."""
    return frozenset(each for requirement in requirements for each in requirement.remote)


def refused(requirements: Iterable[Requirement], environment: Environment) -> list[str]:
    """Return what claims may not do: the texts of PERMISSIONS that are not given, else of the rights that the user lacks."""
    stated = tuple(requirements)
    unmet = [requirement.text for requirement in stated if requirement in PERMISSIONS and not requirement.met(environment)]
    return unmet or _lacking(stated, environment)


def missing(requirements: Iterable[Requirement], environment: Environment) -> list[str]:
    """Return the texts of what the environment lacks: rights, if they could help, and requirements that it does not meet."""
    stated = tuple(requirements)
    unmet = [requirement for requirement in stated if not requirement.met(environment)]
    hopeless = any(requirement in PERMISSIONS for requirement in unmet)
    return [*([] if hopeless else _lacking(stated, environment)), *(requirement.text for requirement in unmet)]


def _lacking(requirements: Collection[Requirement], environment: Environment) -> list[str]:
    remote = remote_rights_of(requirements) if environment.probe_from == "cluster" else frozenset[Right]()
    needed = rights_of(requirements, inside=bool(environment.target.namespace))
    lacking = environment.access.lacking(needed | remote)
    return [rights.named(lacking)] if lacking else []
