"""A steady stream of requests to a chain while something is done to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from kubechain.conditions.http import every_backend
from kubechain.observe.wait import Polled
from kubechain.probes import http
from kubechain.probes.load import Prober, Tally, together
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WELCOME

# Requests in all; the stream ends by itself after some minutes. How many a second of each prober, and how many where it may
# take more than a minute: the ports must last.
LEAST = 2000
RATE, LASTING_RATE = 100.0, 75.0
LIMIT = 20_000
PROBERS = 3
# A Node remembers for 2 minutes to which Pod it sent a connection that was never answered, and sends the next one from
# the same port there too, be the Pod gone or not. So no port is used twice within that time.
FIRST_PORT, PORTS = 2_000, 9_300


@dataclass(frozen=True)
class Load:
    """Probers that ask the nodePort of each of some Nodes, new connections each time."""

    chain: Chain
    probers: tuple[Prober, ...]

    def tally(self) -> Tally:
        """Return all that was asked so far."""
        return together("NodePort", [prober.tally() for prober in self.probers])

    @property
    def requests(self) -> Polled[Tally]:
        """The source of what was asked so far."""
        return Polled("requests through the NodePort", self.tally, self.chain.waiter.clock)


@contextmanager
def load(chain: Chain, urls: list[str], rate: float = RATE) -> Generator[Load]:
    """Ask these URLs in turn, PROBERS at a time and `rate` times a second each, until the body ends.

    It begins when every Pod answers on every Node, so that what is lost is lost by what the body does.
    """
    chain.waiter.eventually(sources.backends_at_nodes(chain), every_backend(chain.pod_names, WELCOME))
    probers = tuple(
        Prober(
            f"NodePort {number}",
            asking(urls[number % len(urls)], ports_of(number)),
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
    """Return the ports of this machine from which a prober asks."""
    first = FIRST_PORT + number * PORTS
    return range(first, first + PORTS)


def asking(url: str, ports: range) -> Callable[[], str]:
    """Return a function that asks a URL once, each time from the next of these ports of this machine.

    It returns "" if nginx's page came, else what came instead.
    """
    turn = itertools.cycle(ports)

    def ask() -> str:
        page = next(page for port in turn if (page := http.fetch(url, port=port)).failure != "local")
        return "" if page.status == 200 and WELCOME in page.body else page.failure or f"status {page.status}"

    return ask
