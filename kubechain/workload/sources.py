"""How a chain is asked: the sources that claims wait on, each a function of the chain.

What has to be asked is `Polled`: pages, DNS answers, environments, objects that are not watched. The watched objects are
`chain.objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from kubechain.conditions import disruption
from kubechain.conditions.dns import Answer, nameservers
from kubechain.conditions.endpoints import ready_endpoints, slices_list_exactly
from kubechain.conditions.http import Page
from kubechain.conditions.text import some
from kubechain.core.errors import NotApplicable, Transient
from kubechain.kube.errors import ApiRefused, ApiUnavailable, refusal
from kubechain.kube.families import RECORDS, family_of
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Polled
from kubechain.probes import http, udp
from kubechain.probes.kubectl import Listener
from kubechain.probes.pod import PodProbe
from kubechain.workload import actions, node_reach
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, SERVICE_PORT, WEB
from kubechain.workload.urls import counted, url

T = TypeVar("T")
# 12 connections to two random backends miss one with probability 2^-11; the wait then repeats the probe.
ROUND = 12
DNS_PORT = 53


def proxied(chain: Chain, *paths: str) -> Polled[list[Page]]:
    """Return a source of the pages at proxy paths of the API server."""
    return _polled(chain, "answers through the API proxy", lambda: [_proxy(chain, path) for path in paths])


def _proxy(chain: Chain, path: str) -> Page:
    try:
        return Page(path, status=200, body=chain.api.call("GET", path, accept="*/*"))
    except ApiUnavailable as error:
        # With 502 and 503, the proxy reports the backend.
        return Page(path, failure="other", detail=str(error))
    except ApiRefused as refused:
        if refused.of_the_account:
            raise
        # The proxy says that a Pod or Service that the chain has is not there: what the claim is about.
        return Page(path, failure="other", detail=str(refused))


def pages(chain: Chain, *urls: str) -> Polled[list[Page]]:
    """Return a source of the pages at these URLs of Nodes, asked from where they can be reached (`node_reach`)."""
    return _polled(chain, f"answers at {counted(urls)}", lambda: node_reach.fetch(chain, *urls))


def pages_at_nodes(chain: Chain, port: int = 0) -> Polled[list[Page]]:
    """Return a source of a page at the nodePort of each Node that should serve, 0 for that of the chain's Service.

    The URL of a page names the Node. Which Nodes there are is read again at each reading.
    """

    def ask() -> list[Page]:
        nodes = {name: url(address, port or chain.node_port) for name, address in chain.asked.items()}
        return at_nodes(nodes, node_reach.fetch(chain, *nodes.values()))

    return _polled(chain, "answers at the nodePort of each Node", ask)


def pages_at_node(chain: Chain, node: str, port: int, count: int) -> Polled[list[Page]]:
    """Return a source of so many pages at a nodePort of one Node, whose URLs name it."""
    where = [url(chain.asked[node], port)] * count
    return _polled(
        chain, f"{count} answers at port {port} of Node {node}", lambda: at_nodes([node] * count, node_reach.fetch(chain, *where))
    )


def pages_at(chain: Chain, urls: Mapping[str, str]) -> Polled[list[Page]]:
    """Return a source of the pages at these URLs, node name -> URL, which name the Nodes."""
    what = f"answers at {counted([*urls.values()])}"
    return _polled(chain, what, lambda: at_nodes(urls, node_reach.fetch(chain, *urls.values())))


def at_nodes(nodes: Iterable[str], pages: Iterable[Page]) -> list[Page]:
    """Return pages whose URLs name the Nodes that were asked."""
    return [replace(page, url=f"{page.url} of Node {name}") for name, page in zip(nodes, pages, strict=True)]


def pages_at_nodes_inside(chain: Chain, place: PodProbe, port: int, address: str) -> Polled[list[Page]]:
    """Return a source of a page at a nodePort of each Node, at its address of the family of a clusterIP, asked inside a Pod."""

    def ask() -> list[Page]:
        nodes = {name: url(own, port) for name, own in chain.asked_at(address).addresses.items()}
        return at_nodes(nodes, place.fetch(*nodes.values()))

    return _polled(chain, f"answers at the {family_of(address)} nodePort of each Node", ask)


def loopback(chain: Chain, listener: Listener, path: str) -> Polled[list[Page]]:
    """Return a source of the page at a path of a kubectl that listens on loopback, requested from this machine."""
    return _polled(chain, f"answers at {path} of kubectl", lambda: [http.fetch(f"http://{listener.address()}{path}")])


def echoes(chain: Chain, port: int) -> Polled[Mapping[str, str]]:
    """Return a source that sends a UDP datagram to a port of each Node: node name -> reply, or ""."""
    return _polled(chain, f"UDP echo at port {port}", lambda: _echo(chain, port))


def _echo(chain: Chain, port: int) -> dict[str, str]:
    from_pods = node_reach.inside(chain, [url(address, port) for address in chain.asked.values()])

    def send(address: str) -> str:
        place = from_pods.get(url(address, port))
        return place.echo(address, port) if place else udp.echo(address, port)

    # One after another: socat takes datagrams of several clients for one's, if they come while it forks.
    return {node: send(address) for node, address in chain.asked.items()}


def echoed_bodies(chain: Chain, place: PodProbe, address: str) -> Polled[tuple[str, str]]:
    """Return a source that sends a large body from inside a Pod to a Service that echoes it; see PodProbe.echo_body."""
    return _polled(chain, f"body from pod {place.pod} to {address}", lambda: place.echo_body(address, SERVICE_PORT))


def pages_inside(chain: Chain, place: PodProbe, *urls: str) -> Polled[list[Page]]:
    """Return a source of the pages at these URLs, requested from inside a Pod."""
    return _polled(chain, f"answers from pod {place.pod} at {counted(urls)}", lambda: place.fetch(*urls))


def repeated(chain: Chain, place: PodProbe, url: str, count: int) -> Polled[list[Page]]:
    """Return a source of `count` pages at a URL, requested from inside a Pod; it stops after a failed request."""
    return _polled(chain, f"{count} answers from pod {place.pod} at {url}", lambda: place.repeat(url, count))


def drawn(chain: Chain, place: PodProbe, url: str, count: int) -> Polled[list[Page]]:
    """Return a source of `count` pages at a URL of the chain's Service, requested from inside a Pod while its endpoints stay.

    A Pod that is not ready for a moment gets no requests meanwhile: such a reading says nothing of their spread.
    """
    listed = slices_list_exactly(WEB, LABELS, CONTAINER_PORT, chain.replicas)

    def ask() -> list[Page]:
        before, first = chain.objects.sequence(), chain.objects.read()
        pages = place.repeat(url, count)
        chain.objects.refresh()
        if not all(listed(state).met for state in (first, *chain.objects.since(before))):
            raise Transient(f"the endpoints of {WEB} changed while {count} requests were sent")
        return pages

    return _polled(chain, f"{count} answers from pod {place.pod} at {url}", ask)


def api_pages(chain: Chain, place: PodProbe, *paths: str, method: str = "GET") -> Polled[list[Page]]:
    """Return a source of responses of the API server to the ServiceAccount of a Pod, requested from inside the Pod."""
    return _polled(chain, f"API server from pod {place.pod}", lambda: place.ask_api(*paths, method=method))


def backends_at_nodes(chain: Chain) -> Polled[Mapping[str, list[Page]]]:
    """Return a source of ROUND pages at the nodePort of each Node: node name -> pages.

    It stops at a Node after a failed request, because that is enough to fail.
    """

    def ask() -> dict[str, list[Page]]:
        urls = chain.node_urls()
        asked = node_reach.each(chain, urls.values(), _round, lambda place, where: place.repeat(where, ROUND))
        return dict(zip(urls, asked, strict=True))

    return _polled(chain, "backends behind each node", ask)


def _round(url: str) -> list[Page]:
    pages: list[Page] = []
    while len(pages) < ROUND and not (pages and pages[-1].failure):
        pages.append(http.fetch(url))
    return pages


def backends_inside(chain: Chain, place: PodProbe, *urls: str) -> Polled[Mapping[str, list[Page]]]:
    """Return a source of ROUND pages at each URL, requested from inside a Pod: URL -> pages; see backends_at_nodes."""
    return _polled(chain, f"backends seen from pod {place.pod}", lambda: {where: place.repeat(where, ROUND) for where in urls})


def answers(
    chain: Chain, place: PodProbe, *names: str, record: str = "", server: str = "", tcp: bool = False
) -> Polled[list[Answer]]:
    """Return a source of DNS answers for these names, requested from inside a Pod; see PodProbe.lookup.

    Without `record`, addresses of the family of the chain's Service are asked for.
    """
    return _polled(
        chain,
        f"DNS from pod {place.pod}",
        lambda: place.lookup(*names, record=record or RECORDS[chain.family], server=server, tcp=tcp),
    )


def resolver(chain: Chain, place: PodProbe) -> Polled[str]:
    """Return a source of the resolv.conf of a Pod."""
    return _polled(chain, f"resolv.conf of pod {place.pod}", place.resolver)


def answers_of_servers(chain: Chain, place: PodProbe, name: str) -> Polled[list[Answer]]:
    """Return a source of the answers of each ready replica of the DNS for a name, requested from inside a Pod.

    The replicas are looked up at each reading: one that is replaced meanwhile need not answer any more.
    """
    record = RECORDS[chain.family]
    return _polled(
        chain,
        f"DNS servers from pod {place.pod}",
        lambda: [place.lookup(name, record=record, server=server)[0] for server in dns_servers(chain, place)],
    )


def dns_servers(chain: Chain, place: PodProbe) -> list[str]:
    """Return the ready replicas behind the DNS servers that a Pod's resolv.conf names, sorted, each as "ADDRESS#PORT".

    Raises:
        NotApplicable: none of the servers is the clusterIP of a Service: it is a cache on the Node, or outside of the cluster.

    """
    servers = nameservers(place.resolver())
    listed = [each for server in servers for each in chain.api.list("Service", only=f"spec.clusterIP={server}").items]
    found = [each for each in listed if each.at("spec.clusterIP") in servers]
    if not found:
        named = some(servers)
        raise NotApplicable(f"the replicas of the cluster's DNS cannot be found: {named} in resolv.conf is of no Service")
    replicas: set[str] = set()
    for service in found:
        selector = f"kubernetes.io/service-name={service.name}"
        slices = chain.api.list("EndpointSlice", str(service.at("metadata.namespace")), selector).items
        for each in slices:
            ports: list[Json] = each.at("ports", [])
            number = next((int(port["port"]) for port in ports if port.get("protocol") == "UDP"), DNS_PORT)
            replicas |= {f"{address}#{number}" for entry in ready_endpoints(each) for address in entry["addresses"]}
    return sorted(replicas)


def environment(chain: Chain, place: PodProbe) -> Polled[Mapping[str, str]]:
    """Return a source of the environment variables of a Pod's container."""
    return _polled(chain, f"environment of pod {place.pod}", place.environment)


def evictions(chain: Chain, pod: KubeObject) -> Polled[int]:
    """Return a source that evicts a Pod at each reading and returns the HTTP status."""
    return _polled(chain, f"eviction of {pod.name}", lambda: actions.evict(chain, pod))


def eviction_results(chain: Chain, pod: KubeObject) -> Polled[tuple[int, list[str]]]:
    """Return a source that evicts a Pod at each reading and returns the HTTP status and the reasons of its causes.

    A busy API server answers 429 too, without a cause: this is Transient, as 5xx is.
    """

    def evict() -> tuple[int, list[str]]:
        status, text = actions.eviction(chain, pod)
        causes = disruption.causes(text)
        error = refusal(status, text)
        if not causes and isinstance(error, ApiUnavailable):
            raise error
        return status, causes

    return _polled(chain, f"eviction of {pod.name}", evict)


def budget(chain: Chain, name: str) -> Polled[KubeObject]:
    """Return a source of a PodDisruptionBudget of this namespace; HarnessError if it does not exist."""
    return _polled(chain, f"PodDisruptionBudget {name}", lambda: fetched(chain, "PodDisruptionBudget", name))


def remaining(chain: Chain, kind: str, *names: str) -> Polled[list[str]]:
    """Return a source of the names of those cluster-scoped objects that still exist."""
    return _polled(chain, f"{kind} {', '.join(names)}", lambda: [name for name in names if chain.api.get(kind, "", name)])


def one(chain: Chain, kind: str, name: str) -> Polled[KubeObject | None]:
    """Return a source of an object of this namespace, None if it does not exist."""
    return _polled(chain, f"{kind} {name}", lambda: chain.api.get(kind, chain.namespace, name))


def fetched(chain: Chain, kind: str, name: str) -> KubeObject:
    """Return an object of this namespace, read from the API server; HarnessError if it does not exist."""
    return chain.required(chain.api.get(kind, chain.namespace, name), kind, name)


def _polled(chain: Chain, what: str, pull: Callable[[], T]) -> Polled[T]:
    """Return a source that calls `pull` at each reading, and keeps the answer as evidence; `what` names it in messages."""

    def read() -> T:
        answer = pull()
        chain.last_answers.keep(what, answer)
        return answer

    return Polled(what, read, chain.waiter.clock)
