"""The chain under test: nginx, its Service and a Pod to look from, in a namespace of their own that is watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kubechain.claims.claim import Link
from kubechain.claims.requirements import ProbeOrigin
from kubechain.conditions import pods
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
from kubechain.workload.urls import address_of, each, url

T = TypeVar("T")
CLIENT = "client"
# With two backends picked at random, 12 connections miss one with probability 2^-11; the wait then asks again.
ROUND = 12


@dataclass(frozen=True)
class Chain:
    """One nginx Deployment with its NodePort Service and a client Pod, all in `namespace`.

    `nodes` are the cluster's Nodes when the chain was made; `vantage` is where NodePort probes come from; `image` is
    the nginx image, `image_ids` the digests under which the Nodes hold it (none where they cannot be known),
    `client_image` that of Pods to look from; `replicas` is what the Deployment was made with; `begun` is when all of it
    was (monotonic seconds).
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
    # Pods to look from that did not become ready, and why: what was waited for in vain once is not waited for again.
    lost: dict[str, str] = field(default_factory=dict[str, str])
    begun: float | None = None

    @property
    def objects(self) -> History:
        """The watched objects of the namespace: the source for most claims."""
        return self.observer.history

    @property
    def service(self) -> KubeObject:
        """The Service as last seen; HarnessError if it is not there."""
        return self.present("Service", WEB)

    @property
    def deployment(self) -> KubeObject:
        """The Deployment as last seen; HarnessError if it is not there."""
        return self.present("Deployment", WEB)

    @property
    def replica_set(self) -> KubeObject:
        """The Deployment's current ReplicaSet as last seen; HarnessError if it owns none."""
        found = current_replica_set(self.objects.read(), WEB)
        if found is None:
            raise HarnessError(f"no ReplicaSet of Deployment {WEB} in {self.namespace}")
        return found

    @property
    def pods(self) -> tuple[KubeObject, ...]:
        """The ready Pods of the Deployment as last seen."""
        return pods.ready_pods(self.objects.read(), LABELS)

    @property
    def pod_names(self) -> frozenset[str]:
        """The names of the ready Pods of the Deployment, which are what they answer as."""
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
        """The client Pod, to look from; waits until it is ready."""
        return self.ready_inside(CLIENT)

    def ready_inside(self, name: str) -> PodProbe:
        """Return a Pod of this namespace to look from, once it is ready.

        Raises:
            Blocked: it did not become ready.

        """
        if name in self.lost:
            raise Blocked(Link.PODS, self.lost[name])
        try:
            since = self.begun if name == CLIENT else None
            self.waiter.eventually(self.objects, pods.ready(name), since=since)
        except Unmet as unmet:
            self.lost[name] = str(unmet)
            raise Blocked(Link.PODS, str(unmet)) from unmet
        return PodProbe(self.api, self.namespace, name)

    def inside(self, pod: KubeObject) -> PodProbe:
        """Return a Pod of this namespace to look from."""
        return PodProbe(self.api, self.namespace, pod.name)

    def full_name(self, service: str, place: PodProbe) -> str:
        """Return the name of a Service of this namespace up to the root, which no search list changes."""
        return f"{service}.{self.namespace}.svc.{place.domain()}."

    def names_of(self, service: str, place: PodProbe) -> list[str]:
        """Return the three names of a Service: short, with its namespace, and in full."""
        return [service, f"{service}.{self.namespace}", self.full_name(service, place).rstrip(".")]

    def searched(self, name: str, place: PodProbe) -> list[str]:
        """Return what a name becomes in each of the cluster's own entries of a Pod's search list, up to the root."""
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
        """Return a source that asks the API server's proxy at each path."""
        return self.polled("answers through the API proxy", lambda: [self._proxy(path) for path in paths])

    def _proxy(self, path: str) -> Page:
        try:
            return Page(path, status=200, body=self.api.call("GET", path, accept="*/*"))
        except ApiUnavailable as error:
            # The proxy's own 502 and 503 are answers about the backend.
            return Page(path, failure="other", detail=str(error))

    def node_urls(self) -> dict[str, str]:
        """Return node name -> the URL of the Service's nodePort there."""
        return {name: url(address, self.node_port) for name, address in self.node_addresses.items()}

    def pages(self, *urls: str) -> Polled[list[Page]]:
        """Return a source that asks each URL once, from the vantage for NodePorts."""
        return self.polled(f"answers at {each(urls)}", lambda: self.fetch(*urls))

    def loopback(self, at: str) -> Polled[list[Page]]:
        """Return a source that asks a URL on this machine."""
        return self.polled(f"answers at {at}", lambda: [http.fetch(at)])

    def echoes(self, port: int) -> Polled[Mapping[str, str]]:
        """Return a source that sends a datagram to that port of each Node: node name -> what came back, or "" ."""
        return self.polled(f"UDP echo at port {port}", lambda: self._echo(port))

    def _echo(self, port: int) -> dict[str, str]:
        send = udp.echo if self.probe_from == "host" else self.client.echo
        return {name: send(address, port) for name, address in self.node_addresses.items()}

    def pages_inside(self, place: PodProbe, *urls: str) -> Polled[list[Page]]:
        """Return a source that asks each URL once, from inside a Pod."""
        return self.polled(f"answers from pod {place.pod} at {each(urls)}", lambda: place.fetch(*urls))

    def repeated(self, place: PodProbe, url: str, count: int) -> Polled[list[Page]]:
        """Return a source that asks a URL so many times from inside a Pod; a request without an answer is the last one."""
        return self.polled(f"{count} answers from pod {place.pod} at {url}", lambda: place.repeat(url, count))

    def api_pages(self, place: PodProbe, *paths: str, method: str = "GET") -> Polled[list[Page]]:
        """Return a source that asks the API server for each path from inside a Pod, as the Pod's ServiceAccount."""
        return self.polled(f"API server from pod {place.pod}", lambda: place.ask_api(*paths, method=method))

    def backends_at_nodes(self) -> Polled[Mapping[str, list[Page]]]:
        """Return a source that asks ROUND times at each node's nodePort: node name -> the answers.

        A request without an answer is the last one there, and shows that it is not as it must be: no need to wait for more.
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
        """Return a source that asks ROUND times at each URL from inside a Pod: URL -> the answers; see backends_at_nodes."""
        return self.polled(f"backends seen from pod {place.pod}", lambda: {where: place.repeat(where, ROUND) for where in urls})

    def answers(
        self, place: PodProbe, *names: str, record: str = "A", server: str = "", tcp: bool = False
    ) -> Polled[list[Answer]]:
        """Return a source that asks DNS for each name from inside a Pod."""
        return self.polled(f"DNS from pod {place.pod}", lambda: place.lookup(*names, record=record, server=server, tcp=tcp))

    def resolver(self, place: PodProbe) -> Polled[str]:
        """Return a source that reads the resolv.conf of a Pod."""
        return self.polled(f"resolv.conf of pod {place.pod}", place.resolver)

    def dns_servers(self) -> list[str]:
        """Return the address of each ready replica of the cluster's DNS (the Service kube-dns)."""
        slices = self.api.list("EndpointSlice", "kube-system", "kubernetes.io/service-name=kube-dns").items
        return sorted({address.ip for address in slice_addresses(slices)})

    def environment(self, place: PodProbe) -> Polled[Mapping[str, str]]:
        """Return a source that reads the environment of a Pod's container."""
        return self.polled(f"environment of pod {place.pod}", place.environment)

    def fetch(self, *urls: str) -> list[Page]:
        """Ask for each URL once, from the host, or from the client Pod where the host does not reach nodes."""
        return [http.fetch(each) for each in urls] if self.probe_from == "host" else self.client.fetch(*urls)

    def evict(self, pod: KubeObject) -> int:
        """Ask for the eviction of a Pod and return the HTTP status: 201, or 429 where a budget forbids it.

        https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
        """
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name}}
        return self.api.status("POST", path_of("Pod", self.namespace, pod.name, "eviction"), body=body)

    def evictions(self, pod: KubeObject) -> Polled[int]:
        """Return a source that asks for the eviction of a Pod again and again: the HTTP statuses."""
        return self.polled(f"eviction of {pod.name}", lambda: self.evict(pod))

    def budget(self, name: str) -> Polled[KubeObject]:
        """Return a source that reads a PodDisruptionBudget of this namespace; HarnessError if it is not there."""
        return self.polled(f"PodDisruptionBudget {name}", lambda: self.fetched("PodDisruptionBudget", name))

    def remaining(self, kind: str, *names: str) -> Polled[list[str]]:
        """Return a source that says which of these objects, which belong to no namespace, are still there."""
        return self.polled(f"{kind} {', '.join(names)}", lambda: [name for name in names if self.api.get(kind, "", name)])

    def one(self, kind: str, name: str) -> Polled[KubeObject | None]:
        """Return a source that reads an object of this namespace, None where it is not there."""
        return self.polled(f"{kind} {name}", lambda: self.api.get(kind, self.namespace, name))

    def fetched(self, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace as the API server has it now; HarnessError if it is not there."""
        found = self.api.get(kind, self.namespace, name)
        if found is None:
            raise HarnessError(f"no {kind} {name} in {self.namespace}")
        return found

    def polled(self, what: str, pull: Callable[[], T]) -> Polled[T]:
        """Return a source that has to be asked."""
        return Polled(what, pull, self.waiter.clock)

    def present(self, kind: str, name: str) -> KubeObject:
        """Return an object of this namespace as last seen; HarnessError if it is not there."""
        found = self.objects.read().one(kind, name)
        if found is None:
            raise HarnessError(f"no {kind} {name} in {self.namespace}")
        return found
