"""Requests to Nodes: from this machine, or from Pods where this machine does not reach a Node.

A Node may have a private address that another machine has in the network of this one. That machine may accept or refuse
connections as well: only an answer of a Pod of the chain, at the nodePort itself, shows that the Node is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from kubechain.conditions.http import Page
from kubechain.conditions.services import node_port
from kubechain.core.errors import Blocked, HarnessError, NotApplicable
from kubechain.kube.client import Api
from kubechain.probes import http
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.manifests import WEB
from kubechain.workload.reached import Reached
from kubechain.workload.urls import addresses_of, url

T = TypeVar("T")
# Places that are asked at once. A Node that drops packets takes 3 s.
AT_ONCE = 10


def fetch(chain: Chain, *urls: str) -> list[Page]:
    """Return the pages at these URLs of Nodes, from this machine or (`inside`) from Pods."""
    from_pods = inside(chain, urls)
    numbers: defaultdict[PodProbe | None, list[int]] = defaultdict(list)
    for number, where in enumerate(urls):
        numbers[from_pods.get(where)].append(number)
    pages: dict[int, Page] = {}
    for place, of_place in numbers.items():
        asked = [urls[number] for number in of_place]
        pages |= zip(of_place, place.fetch(*asked) if place else _at_once(http.fetch, asked), strict=True)
    return [pages[number] for number in range(len(urls))]


def each(chain: Chain, urls: Collection[str], from_here: Callable[[str], T], from_pod: Callable[[PodProbe, str], T]) -> list[T]:
    """Return what each URL of a Node answers, from this machine up to AT_ONCE at once, or (`inside`) from a Pod."""
    from_pods = inside(chain, urls)
    here = [where for where in urls if where not in from_pods]
    answers = dict(zip(here, _at_once(from_here, here), strict=True))
    # The client of the API, through which a Pod is asked, belongs to one thread.
    answers |= {where: from_pod(place, where) for where, place in from_pods.items()}
    return [answers[where] for where in urls]


def inside(chain: Chain, urls: Iterable[str]) -> dict[str, PodProbe]:
    """Return URL -> the Pod from which it is asked, for those of the URLs of Nodes that this machine does not ask."""
    if chain.probe_from == "cluster":
        return dict.fromkeys(urls, chain.client)
    if chain.reached is None:
        return {}
    addresses = {where: urlsplit(where).hostname or "" for where in urls}
    # A chain that is not up says nothing.
    with suppress(HarnessError, Blocked):
        _learn(chain, chain.reached, addresses.values())
    return {where: _place(chain, address) for where, address in addresses.items() if address in chain.reached.from_pods}


def far(chain: Chain, addresses: Collection[str], api: Api) -> set[str]:
    """Return those of the addresses of Nodes that Pods alone reach; `api`, of the calling thread, runs commands in these."""
    if chain.probe_from == "cluster":
        return set(addresses)
    if chain.reached is None:
        return set()
    reached = replace(chain.reached, api=api if chain.reached.api else None)
    with suppress(HarnessError, Blocked):
        _learn(chain, reached, addresses)
    return reached.from_pods.intersection(addresses)


def require_host(chain: Chain) -> None:
    """Raise NotApplicable unless this machine reaches each Node that is asked at the nodePort of the chain's Service."""
    from_pods = inside(chain, chain.node_urls().values())
    if from_pods:
        places = ", ".join(sorted(urlsplit(where).netloc for where in from_pods))
        raise NotApplicable(f"needs this machine to reach the addresses of the Nodes: Pods alone reach {places}")


def _learn(chain: Chain, reached: Reached, addresses: Iterable[str]) -> None:
    """Ask the nodePort of the chain's Service at addresses of which it is not known who reaches them."""
    service = chain.objects.read().one("Service", WEB)
    port, backends = node_port(service) if service else 0, chain.pod_names
    unknown = {url(address, port): address for address in addresses if not reached.knows(address)}
    if not (port and backends and unknown):
        return

    def answered(pages: Iterable[Page]) -> list[str]:
        return [page.url for page in pages if page.backend in backends]

    here = answered(_at_once(http.fetch, unknown))
    reached.from_here.update(unknown[where] for where in here)
    if reached.api is None:
        return
    there: list[str] = []
    for where in unknown.keys() - here:
        there += answered(replace(_place(chain, unknown[where]), api=reached.api).fetch(where))
    # The Node may have begun to serve between the two questions.
    here = answered(_at_once(http.fetch, there))
    reached.from_here.update(unknown[where] for where in here)
    reached.from_pods.update(unknown[where] for where in there if where not in here)


def _place(chain: Chain, address: str) -> PodProbe:
    """Return the client Pod, or if it is on the Node with this address, a Pod of the chain on another Node if there is one.

    What enters a Node from elsewhere may be lost where what its own Pods send is not. The witnesses of an upgrade have no client
    Pod: they are asked from their own.
    """
    has_client = bool(chain.objects.read().all("Pod", {"app": CLIENT}))
    client = chain.client if has_client or not chain.pods else chain.inside(chain.pods[0])
    node = next((node.name for node in chain.nodes_now if address in addresses_of(node)), "")
    pods = [*([chain.present("Pod", CLIENT)] if has_client else []), *chain.pods]
    away = next((pod for pod in pods if pod.at("spec.nodeName") != node), None)
    return chain.inside(away) if away else client


def _at_once(ask: Callable[[str], T], urls: Collection[str]) -> list[T]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, urls))
