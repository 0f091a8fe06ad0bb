"""The chain under test: an nginx Deployment, its Service and a client Pod, in a watched namespace of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from kubechain.claims.claim import Link
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.premises import Premise
from kubechain.claims.requirements import ProbeOrigin
from kubechain.conditions import pods, scheduling
from kubechain.conditions.admission import Change, changes
from kubechain.conditions.condition import Condition
from kubechain.conditions.deployments import current_replica_set
from kubechain.conditions.endpoints import slices_list_exactly
from kubechain.conditions.services import node_port
from kubechain.core.errors import Blocked, HarnessError, NotApplicable, Unmet
from kubechain.kube.client import Api
from kubechain.kube.families import family_of, pod_address
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of
from kubechain.observe.history import History
from kubechain.observe.protocols import WatchedNamespace
from kubechain.observe.wait import Waiter
from kubechain.probes.pod import PodProbe
from kubechain.workload import ended_pods
from kubechain.workload.admission import Admission, gone
from kubechain.workload.asked_nodes import AskedNodes
from kubechain.workload.cluster_nodes import ClusterNodes
from kubechain.workload.last_answers import LastAnswers
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, SERVICE_PORT, WEB
from kubechain.workload.node_addresses import NodeAddresses
from kubechain.workload.obstruction import obstacle, taken_away
from kubechain.workload.reached import Reached
from kubechain.workload.service_manifests import CLUSTER_IP, NODE_PORT
from kubechain.workload.urls import url

T = TypeVar("T")
CLIENT = "client"
SERVICE = ("Service", WEB)


@dataclass(frozen=True)
class Chain:
    """One nginx Deployment with its Service and a client Pod, all in `namespace`.

    `nodes` are the Nodes of the cluster when the chain was made; `probe_from` is where requests to nodePorts come from, and
    `reached` says from which Nodes they come from Pods all the same, None where from no Node; `image` is the nginx image,
    `image_ids` its digests on the Nodes (empty if unknown), `client_image` that of client Pods; `replicas` is the number that
    the Deployment asked for when it was stored; `begun` is when the chain was made (monotonic seconds); `node_ports` says that
    the Service was sent with a nodePort; `pulled` are the images that the Nodes pull themselves.
    """

    api: Api
    namespace: str
    observer: WatchedNamespace
    waiter: Waiter
    nodes: tuple[KubeObject, ...]
    probe_from: ProbeOrigin
    image: str
    image_ids: frozenset[str]
    client_image: str
    replicas: int
    # Client Pods that did not become ready -> why; no other claim waits for them again.
    never_ready: dict[str, str] = field(default_factory=dict[str, str])
    begun: float | None = None
    node_ports: bool = True
    pulled: frozenset[str] = frozenset()
    # The Nodes at every moment, and who may change objects; None for a chain in a test of the harness.
    cluster_nodes: ClusterNodes | None = None
    admission: Admission | None = None
    # The manifests as they were sent, in the shape of the run.
    sent: tuple[Json, ...] = ()
    reached: Reached | None = None
    # Link -> when it was first asked, and when it answered (monotonic seconds).
    answered: dict[Link, tuple[float, float]] = field(default_factory=dict[Link, tuple[float, float]])
    # When each nodePort was asked, and refused, after the Service was deleted.
    refused: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    last_answers: LastAnswers = field(default_factory=LastAnswers)
    given_up: set[str] = field(default_factory=set[str])  # the namespace, once the claim itself has deleted it

    @property
    def objects(self) -> History:
        """The watched objects of the namespace, the source of most conditions."""
        return self.observer.history

    @property
    def service(self) -> KubeObject:
        """The Service as last watched; HarnessError if it does not exist."""
        return self.present("Service", WEB)

    @property
    def deployment(self) -> KubeObject:
        """The Deployment as last watched; HarnessError if it does not exist."""
        return self.present("Deployment", WEB)

    @property
    def replica_set(self) -> KubeObject:
        """The Deployment's current ReplicaSet as last watched; HarnessError if it owns none."""
        current = current_replica_set(self.objects.read(), WEB)
        if current is None:
            raise HarnessError(f"namespace {self.namespace}: no ReplicaSet of Deployment {WEB}")
        return current

    @property
    def pods(self) -> tuple[KubeObject, ...]:
        """The ready Pods of the Deployment as last watched."""
        return pods.ready_pods(self.objects.read(), LABELS)

    @property
    def pod_names(self) -> frozenset[str]:
        """The names of the ready Pods of the Deployment, which nginx returns in the header X-Backend."""
        return frozenset(pod.name for pod in self.pods)

    @property
    def cluster_ip(self) -> str:
        """The Service's clusterIP."""
        return str(self.service.at("spec.clusterIP"))

    @property
    def family(self) -> str:
        """The IP family of the Service's clusterIP, also once the Service is deleted."""
        last = self.objects.read().one("Service", WEB) or next(
            (each.resource for each in reversed(self.objects.log()) if (each.resource.kind, each.resource.name) == SERVICE), None
        )
        return family_of(str(self.required(last, *SERVICE).at("spec.clusterIP")))

    @property
    def node_port(self) -> int:
        """The Service's nodePort, 0 if it has none."""
        return node_port(self.service)

    @property
    def nodes_now(self) -> tuple[KubeObject, ...]:
        """The Nodes of the cluster now."""
        return self.cluster_nodes.now() if self.cluster_nodes else self.nodes

    @property
    def node_addresses(self) -> NodeAddresses:
        """Node name -> its addresses, internal and external."""
        return NodeAddresses(self.nodes_now, self.cluster_nodes)

    @property
    def client(self) -> PodProbe:
        """The probe from the client Pod, once the Pod is ready; Blocked if it does not become ready."""
        return self.ready_inside(CLIENT)

    def ready_inside(self, name: str) -> PodProbe:
        """Return the probe from a Pod of this namespace, once the Pod is ready; Blocked if it does not become ready."""
        if name in self.never_ready:
            raise Blocked(Link.PODS, self.never_ready[name])
        again = name == CLIENT and ended_pods.made_again(self.api, self.objects, self.waiter, name, self.client_image)
        try:
            state = self.objects.read()
            late = again or any(scheduling.awaits_node(state, pod) for pod in state.all("Pod", {"app": CLIENT}))
            since = self.begun if name == CLIENT and not late else None
            self.waiter.eventually(self.objects, pods.ready(name), since=since)
        except Unmet as unmet:
            ended_pods.require_going_on(self.objects, name)
            self.never_ready[name] = str(unmet)
            raise self.blocked(Link.PODS, unmet) from unmet
        return self.inside(self.present("Pod", name))

    def blocked(self, link: Link, unmet: AssertionError) -> Blocked:
        """Return Blocked by the obstacle that the chain stands before, else by a link that is not up."""
        if not self.given_up and (taken := taken_away(self.api, self.namespace)):
            return Blocked(Obstacle.NAMESPACE, taken)
        return Blocked(*(obstacle(self.objects, self.pulled) or (link, str(unmet))))

    def inside(self, pod: KubeObject) -> PodProbe:
        """Return the probe from a Pod of this namespace, ready or not."""
        return PodProbe(self.api, self.namespace, pod.name, pod.container)

    def pod_address(self, pod: KubeObject) -> str:
        """Return the address of a Pod of the family of the Service; HarnessError if it has none."""
        # The watch of EndpointSlices, which have the address already, may be ahead of that of Pods.
        if not pod_address(pod, self.family) and self.objects.refresh():
            pod = self.present("Pod", pod.name)
        if address := pod_address(pod, self.family):
            return address
        raise HarnessError(f"Pod {pod.name} has no {self.family} address in its status")

    def require_listed(self, service: str) -> None:
        """Wait until the EndpointSlices of another Service with the same selector list the Pods; Blocked if they do not."""
        try:
            self.waiter.eventually(self.objects, slices_list_exactly(service, LABELS, CONTAINER_PORT, self.replicas))
        except Unmet as unmet:
            raise Blocked(Link.ENDPOINTS, str(unmet)) from unmet

    def full_name(self, service: str, place: PodProbe) -> str:
        """Return the absolute DNS name of a Service of this namespace, with a dot at its end, which needs no search list."""
        return f"{service}.{self.namespace}.svc.{place.domain()}."

    def names_of(self, service: str, place: PodProbe) -> list[str]:
        """Return the three DNS names of a Service: short, with its namespace, and full (without a dot at its end)."""
        return [service, f"{service}.{self.namespace}", self.full_name(service, place).rstrip(".")]

    def searched(self, name: str, place: PodProbe) -> list[str]:
        """Return the absolute names that a name becomes by the entries of the cluster in a Pod's search list."""
        domain = place.domain()
        return [f"{name}.{self.namespace}.svc.{domain}.", f"{name}.svc.{domain}.", f"{name}.{domain}."]

    def address(self, service: str) -> str:
        """Return the clusterIP of a Service of this namespace."""
        return str(self.present("Service", service).at("spec.clusterIP"))

    @property
    def service_proxy(self) -> str:
        """The API path of the Service's proxy."""
        return path_of("Service", self.namespace, f"{WEB}:{SERVICE_PORT}", "proxy/")

    @property
    def pod_proxies(self) -> list[str]:
        """The API path of each ready Pod's proxy."""
        return [path_of("Pod", self.namespace, f"{pod.name}:{CONTAINER_PORT}", "proxy/") for pod in self.pods]

    def asked_at(self, address: str) -> AskedNodes:
        """Return the Nodes whose nodePorts are asked, at their addresses of the family of a clusterIP.

        The Nodes of the ready Pods are always among them. The seed of a sample is the namespace, so that runs differ.
        """
        with_pods = [str(pod.at("spec.nodeName")) for pod in self.pods]
        own, ranges = (self.cluster_nodes.own, self.cluster_nodes.node_port_ranges) if self.cluster_nodes else ("", ())
        return AskedNodes(self.nodes_now, address, self.namespace, with_pods, own, ranges)

    @property
    def asked(self) -> dict[str, str]:
        """Name -> InternalIP of the Nodes whose nodePorts are asked for the chain's Service; NotApplicable if none serves."""
        return self.asked_at(self.cluster_ip).addresses

    def among_nodes(self, condition: Condition[T]) -> Condition[T]:
        """Return a condition on what Nodes answer, whose message says how many Nodes were asked if it was not each, and why."""
        return self.asked_at(self.cluster_ip).among(condition)

    @property
    def nodes_note(self) -> str:
        """Which Nodes are not asked and why, for the end of a message; "" if each is."""
        return self.asked_at(self.cluster_ip).note

    @property
    def service_type(self) -> str:
        """The type of the Service."""
        return NODE_PORT if self.node_ports else CLUSTER_IP

    def node_urls(self) -> dict[str, str]:
        """Return node name -> URL of the Service's nodePort on that Node, for each of `asked`; none without a nodePort."""
        port = self.node_port
        return {name: url(address, port) for name, address in self.asked.items()} if port else {}

    def require(self, premises: Collection[Premise]) -> None:
        """Raise NotApplicable if a claim rests on what admission has changed, or on what kube-proxy is not configured for."""
        if self.cluster_nodes:
            self.cluster_nodes.require_choice(premises)
        if self.admission:
            self.admission.require_unchanged(gone(premises, self._roles()))

    def lacks(self, premises: Collection[Premise]) -> bool:
        """Whether one of these does not hold."""
        try:
            self.require(premises)
        except NotApplicable:
            return True
        return False

    def kept(self, sent: Json, stored: KubeObject) -> KubeObject:
        """Return an object that was created or patched, as it is stored.

        Raises:
            NotApplicable: admission has changed what a claim has set, besides what it shares with every claim.

        """
        return self.admission.require_kept(sent, stored) if self.admission else stored

    def changes(self) -> list[Change]:
        """Return what was sent for this chain and is stored otherwise: of its Service, Deployment, client Pod and Pods."""
        state = self.objects.read()
        found = [(sent, state.one(sent["kind"], sent["metadata"]["name"])) for sent in self.sent]
        template = next((sent["spec"]["template"] for sent in self.sent if sent["kind"] == "Deployment"), None)
        of_pods = [({"kind": "Pod", **template}, pod) for pod in self.pods[:1]] if template else []
        return [change for sent, stored in [*found, *of_pods] if stored for change in changes(sent, stored)]

    def _roles(self) -> dict[str, tuple[KubeObject, ...]]:
        state = self.objects.read()
        named = {"Service": SERVICE, "Deployment": ("Deployment", WEB), "client": ("Pod", CLIENT)}
        return {role: (each,) for role, name in named.items() if (each := state.one(*name))} | {"Pod": state.all("Pod", LABELS)}

    def present(self, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace as last watched, or from a fresh list; HarnessError if it does not exist."""
        # A watch may deliver late what was just made.
        found = self.objects.read().one(kind, name) or (self.objects.refresh() and self.objects.read().one(kind, name)) or None
        return self.required(found, kind, name)

    def required(self, resource: KubeObject | None, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace; HarnessError if it does not exist."""
        if resource is None:
            raise HarnessError(f"namespace {self.namespace}: no {kind} {name}")
        return resource
