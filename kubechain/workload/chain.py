"""The chain under test: an nginx Deployment, its Service and a client Pod, in a watched namespace of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kubechain.claims.claim import Link
from kubechain.claims.requirements import ProbeOrigin
from kubechain.conditions import pods, timeouts
from kubechain.conditions.deployments import current_replica_set
from kubechain.conditions.dns import Answer
from kubechain.conditions.endpoints import slice_addresses
from kubechain.conditions.http import Page
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import KubeObject
from kubechain.kube.paths import path_of
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from kubechain.observe.watcher import Watcher
from kubechain.probes import http, udp
from kubechain.probes.pod import PodProbe
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, SERVICE_PORT, WEB
from kubechain.workload.urls import address_of, counted, url

T = TypeVar("T")
CLIENT = "client"
# 12 connections to two random backends miss one with probability 2^-11; the wait then repeats the probe.
ROUND = 12


@dataclass(frozen=True)
class Chain:
    """One nginx Deployment with its NodePort Service and a client Pod, all in `namespace`.

    `nodes` are the Nodes of the cluster when the chain was made; `probe_from` is where requests to nodePorts come from;
    `image` is the nginx image, `image_ids` its digests on the Nodes (empty if unknown), `client_image` the image of client
    Pods; `replicas` is the number of the Deployment when it was made; `begun` is when the chain was made (monotonic seconds).
    """

    api: Api
    namespace: str
    observer: Watcher
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
    def node_port(self) -> int:
        """The Service's nodePort."""
        return int(self.service.at("spec.ports")[0]["nodePort"])

    @property
    def node_addresses(self) -> dict[str, str]:
        """Node name -> its InternalIP."""
        return {node.name: address_of(node) for node in self.nodes}

    @property
    def client(self) -> PodProbe:
        """The probe from the client Pod, once the Pod is ready; Blocked if it does not become ready."""
        return self.ready_inside(CLIENT)

    def ready_inside(self, name: str) -> PodProbe:
        """Return the probe from a Pod of this namespace, once the Pod is ready.

        Raises:
            Blocked: the Pod did not become ready.

        """
        if name in self.never_ready:
            raise Blocked(Link.PODS, self.never_ready[name])
        try:
            since = self.begun if name == CLIENT else None
            self.waiter.eventually(self.objects, pods.ready(name), within=timeouts.PODS_READY, since=since)
        except Unmet as unmet:
            self.never_ready[name] = str(unmet)
            raise Blocked(Link.PODS, str(unmet)) from unmet
        return PodProbe(self.api, self.namespace, name)

    def inside(self, pod: KubeObject) -> PodProbe:
        """Return the probe from a Pod of this namespace, ready or not."""
        return PodProbe(self.api, self.namespace, pod.name)

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

    @property
    def pod_ranges(self) -> dict[str, list[str]]:
        """Node name -> its podCIDRs."""
        return {node.name: node.at("spec.podCIDRs", []) for node in self.nodes}

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

    def proxied(self, *paths: str) -> Polled[list[Page]]:
        """Return a source of the pages at proxy paths of the API server."""
        return self.polled("answers through the API proxy", lambda: [self._proxy(path) for path in paths])

    def _proxy(self, path: str) -> Page:
        try:
            return Page(path, status=200, body=self.api.call("GET", path, accept="*/*"))
        except ApiUnavailable as error:
            # With 502 and 503, the proxy reports the backend.
            return Page(path, failure="other", detail=str(error))

    def node_urls(self) -> dict[str, str]:
        """Return node name -> URL of the Service's nodePort on that Node."""
        return {name: url(address, self.node_port) for name, address in self.node_addresses.items()}

    def pages(self, *urls: str) -> Polled[list[Page]]:
        """Return a source of the pages at these URLs, requested from `probe_from`."""
        return self.polled(f"answers at {counted(urls)}", lambda: self.fetch(*urls))

    def loopback(self, at: str) -> Polled[list[Page]]:
        """Return a source of the page at a URL, requested from this machine."""
        return self.polled(f"answers at {at}", lambda: [http.fetch(at)])

    def echoes(self, port: int) -> Polled[Mapping[str, str]]:
        """Return a source that sends a UDP datagram to a port of each Node: node name -> reply, or ""."""
        return self.polled(f"UDP echo at port {port}", lambda: self._echo(port))

    def _echo(self, port: int) -> dict[str, str]:
        send = udp.echo if self.probe_from == "host" else self.client.echo
        return {name: send(address, port) for name, address in self.node_addresses.items()}

    def pages_inside(self, place: PodProbe, *urls: str) -> Polled[list[Page]]:
        """Return a source of the pages at these URLs, requested from inside a Pod."""
        return self.polled(f"answers from pod {place.pod} at {counted(urls)}", lambda: place.fetch(*urls))

    def repeated(self, place: PodProbe, url: str, count: int) -> Polled[list[Page]]:
        """Return a source of `count` pages at a URL, requested from inside a Pod; it stops after a failed request."""
        return self.polled(f"{count} answers from pod {place.pod} at {url}", lambda: place.repeat(url, count))

    def api_pages(self, place: PodProbe, *paths: str, method: str = "GET") -> Polled[list[Page]]:
        """Return a source of responses of the API server to the ServiceAccount of a Pod, requested from inside the Pod."""
        return self.polled(f"API server from pod {place.pod}", lambda: place.ask_api(*paths, method=method))

    def backends_at_nodes(self) -> Polled[Mapping[str, list[Page]]]:
        """Return a source of ROUND pages at the nodePort of each Node: node name -> pages.

        It stops at a Node after a failed request, because that is enough to fail.
        """
        return self.polled(
            "backends behind each node", lambda: {name: self._round(where) for name, where in self.node_urls().items()}
        )

    def _round(self, url: str) -> list[Page]:
        if self.probe_from == "cluster":
            return self.client.repeat(url, ROUND)
        pages: list[Page] = []
        while len(pages) < ROUND and not (pages and pages[-1].failure):
            pages.append(http.fetch(url))
        return pages

    def backends_inside(self, place: PodProbe, *urls: str) -> Polled[Mapping[str, list[Page]]]:
        """Return a source of ROUND pages at each URL, requested from inside a Pod: URL -> pages; see backends_at_nodes."""
        return self.polled(f"backends seen from pod {place.pod}", lambda: {where: place.repeat(where, ROUND) for where in urls})

    def answers(
        self, place: PodProbe, *names: str, record: str = "A", server: str = "", tcp: bool = False
    ) -> Polled[list[Answer]]:
        """Return a source of DNS answers for these names, requested from inside a Pod; see PodProbe.lookup."""
        return self.polled(f"DNS from pod {place.pod}", lambda: place.lookup(*names, record=record, server=server, tcp=tcp))

    def resolver(self, place: PodProbe) -> Polled[str]:
        """Return a source of the resolv.conf of a Pod."""
        return self.polled(f"resolv.conf of pod {place.pod}", place.resolver)

    def dns_servers(self) -> list[str]:
        """Return the addresses of the ready Pods of the cluster's DNS (the Service kube-dns), sorted."""
        slices = self.api.list("EndpointSlice", "kube-system", "kubernetes.io/service-name=kube-dns").items
        return sorted({address.ip for address in slice_addresses(slices)})

    def environment(self, place: PodProbe) -> Polled[Mapping[str, str]]:
        """Return a source of the environment variables of a Pod's container."""
        return self.polled(f"environment of pod {place.pod}", place.environment)

    def fetch(self, *urls: str) -> list[Page]:
        """Return the pages at these URLs, requested from this machine, or from the client Pod if `probe_from` is "cluster"."""
        return [http.fetch(at) for at in urls] if self.probe_from == "host" else self.client.fetch(*urls)

    def evict(self, pod: KubeObject) -> int:
        """Evict a Pod and return the HTTP status: 201, or 429 if a PodDisruptionBudget forbids it.

        https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
        """
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name}}
        return self.api.status("POST", path_of("Pod", self.namespace, pod.name, "eviction"), body=body)

    def evictions(self, pod: KubeObject) -> Polled[int]:
        """Return a source that evicts a Pod at each reading and returns the HTTP status."""
        return self.polled(f"eviction of {pod.name}", lambda: self.evict(pod))

    def budget(self, name: str) -> Polled[KubeObject]:
        """Return a source of a PodDisruptionBudget of this namespace; HarnessError if it does not exist."""
        return self.polled(f"PodDisruptionBudget {name}", lambda: self.fetched("PodDisruptionBudget", name))

    def remaining(self, kind: str, *names: str) -> Polled[list[str]]:
        """Return a source of the names of those cluster-scoped objects that still exist."""
        return self.polled(f"{kind} {', '.join(names)}", lambda: [name for name in names if self.api.get(kind, "", name)])

    def one(self, kind: str, name: str) -> Polled[KubeObject | None]:
        """Return a source of an object of this namespace, None if it does not exist."""
        return self.polled(f"{kind} {name}", lambda: self.api.get(kind, self.namespace, name))

    def fetched(self, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace, read from the API server; HarnessError if it does not exist."""
        return self._required(self.api.get(kind, self.namespace, name), kind, name)

    def polled(self, what: str, pull: Callable[[], T]) -> Polled[T]:
        """Return a source that calls `pull` at each reading; `what` names it in messages."""
        return Polled(what, pull, self.waiter.clock)

    def present(self, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace as last watched; HarnessError if it does not exist."""
        return self._required(self.objects.read().one(kind, name), kind, name)

    def _required(self, resource: KubeObject | None, kind: str, name: str) -> KubeObject:
        if resource is None:
            raise HarnessError(f"namespace {self.namespace}: no {kind} {name}")
        return resource
