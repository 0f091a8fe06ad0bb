"""A steady stream of requests to the nodePort of a chain."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from kubechain.claims.premises import NODE_PORTS, SPREAD
from kubechain.conditions.http import every_backend
from kubechain.observe.wait import Polled
from kubechain.probes import http
from kubechain.probes.load import Prober, Tally, together
from kubechain.workload import node_reach, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WELCOME

# LEAST is the number of requests a claim needs. RATE is requests per second and prober; LASTING_RATE is for scenarios of more
# than a minute, so that the source ports last. LIMIT ends a prober after some minutes.
LEAST = 2000
RATE, LASTING_RATE = 100.0, 75.0
LIMIT = 20_000
PROBERS = 3
# A Node keeps the conntrack entry of an unanswered connection for 2 minutes, and sends a connection from the same source port
# to the same Pod, even if it is deleted. So no port is used twice within that time.
FIRST_PORT, PORTS = 2_000, 9_300


@dataclass(frozen=True)
class Load:
    """Probers that send requests to the nodePort of a chain, each on a new connection."""

    chain: Chain
    probers: tuple[Prober, ...]

    def tally(self) -> Tally:
        """Return the samples of all probers so far."""
        return together("NodePort", [prober.tally() for prober in self.probers])

    @property
    def requests(self) -> Polled[Tally]:
        """The source of the samples so far."""
        return Polled("requests through the NodePort", self.tally, self.chain.waiter.clock)


@contextmanager
def load(chain: Chain, urls: list[str], rate: float = RATE) -> Generator[Load]:
    """Send requests during the body: PROBERS probers, each to its share of the URLs in turn, `rate` requests per second each.

    It begins once every Pod answers on every Node, so that only the body can cause lost requests.

    Raises:
        NotApplicable: admission has changed the Service so that this is not promised, or this machine does not reach the Nodes.

    """
    chain.require([*NODE_PORTS, *SPREAD])
    chain.waiter.eventually(sources.backends_at_nodes(chain), every_backend(chain.pod_names, WELCOME))
    node_reach.require_host(chain)
    probers = tuple(
        Prober(
            f"NodePort {number}",
            asking(urls[number % len(urls) :: PROBERS], ports_of(number)),
            chain.waiter.clock,
            1 / rate,
            LIMIT,
        )
        for number in range(PROBERS)
    )
    with ExitStack() as running:
        for prober in probers:
            running.enter_context(prober)
        yield Load(chain, probers)


def ports_of(number: int) -> range:
    """Return the source ports of a prober."""
    first = FIRST_PORT + number * PORTS
    return range(first, first + PORTS)


def asking(urls: Sequence[str], ports: range) -> Callable[[], str]:
    """Return a function that sends one request, each time to the next of these URLs, from the next of these source ports.

    It returns "" for the page of nginx, else the kind of failure or the HTTP status.
    """
    source_ports, places = itertools.cycle(ports), itertools.cycle(urls)

    def ask() -> str:
        url = next(places)
        page = next(page for port in source_ports if (page := http.fetch(url, port=port)).failure != "local")
        return "" if page.status == 200 and WELCOME in page.body else page.failure or f"status {page.status}"

    return ask
