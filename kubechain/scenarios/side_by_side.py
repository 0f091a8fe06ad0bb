"""Many chains side by side on one cluster: whether each comes up and answers, and what that takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from kubechain.claims.claim import Link
from kubechain.claims.requirements import EXEC, NODE_REQUESTS, Requirement, refused
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.dns import resolves_to
from kubechain.conditions.endpoints import slices_list_exactly
from kubechain.conditions.http import every_backend
from kubechain.conditions.timeouts import PODS_READY, Timeout
from kubechain.core.errors import Blocked, HarnessError, NotApplicable, Unmet
from kubechain.kube.shape import selector_of_run
from kubechain.kube.traffic import TRAFFIC
from kubechain.observe.shared_watcher import Selected, SharedWatcher
from kubechain.probes.pod import PodProbe
from kubechain.workload import names, namespace, sources
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import gated
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, REPLICAS, WEB, WELCOME
from kubechain.workload.urls import url

# Threads that make, ask and delete chains.
AT_ONCE = 8
SECONDS_PER_CHAIN = 2.0
# Pods that a run makes besides: the shared chain, and what is still being deleted.
BESIDES = 10
# Each link that is asked, and what asking it needs.
ASKED: Mapping[Link, Requirement] = {Link.CLUSTERIP: EXEC, Link.NODEPORT: NODE_REQUESTS, Link.DNS: EXEC}
# Waits until a chain is up and asks it; returns link -> why that is not up.
Follow = Callable[[Chain], Mapping[Link, str]]
STOPPED = HarnessError("another chain side by side could not be made or asked, or the run was interrupted")
DOES = {
    Link.ENDPOINTS: "to come up",
    Link.CLUSTERIP: "to answer at its clusterIP",
    Link.NODEPORT: "to answer at the nodePort of each Node",
    Link.DNS: "to be found by its name",
}


def seconds_for(count: int) -> Timeout:
    """Return how long `count` chains may take to come up."""
    return Timeout(PODS_READY.seconds + SECONDS_PER_CHAIN * count, f"{count} chains, and a Node starts about one Pod a second")


@dataclass(frozen=True)
class SideBySide:
    """`count` chains that were made side by side.

    `chain` is one of them for the evidence: the first that failed, else the first. `failed` is link -> namespace -> why it is not
    up there, for each link that was asked; `seconds` is how long it took until all were made and asked, and `requests` is the
    number of requests to the API server for each chain, without those of its deletion.
    """

    chain: Chain
    count: int
    failed: Mapping[Link, Mapping[str, str]]
    seconds: float
    requests: float

    def of(self, link: Link) -> Mapping[str, str]:
        """Return namespace -> why a link is not up there.

        Raises:
            NotApplicable: no chain was asked for it.
            Blocked: a chain did not come up, so that nothing could answer.

        """
        if link not in self.failed:
            raise NotApplicable(f"needs the right to ask each chain {DOES[link]}, from this machine or a Pod")
        absent = self.failed[Link.ENDPOINTS]
        if absent and link != Link.ENDPOINTS:
            raise Blocked(Link.ENDPOINTS, f"{len(absent)} of {self.count} chains; {next(iter(absent.values()))}")
        return self.failed[link]


def each_of(count: int, link: Link) -> Condition[Mapping[str, str]]:
    """Return the condition that no chain of `count` failed at a link, of namespace -> why it did."""

    def check(failed: Mapping[str, str]) -> Result:
        first = next(iter(failed.items()), ("", ""))
        return expect(not failed, f"{count - len(failed)}; {first[0]}: {first[1]}")

    return Condition(f"each of {count} chains {DOES[link]}", check)


def require_room(factory: ChainFactory, count: int) -> None:
    """Raise NotApplicable if the Nodes have no room for `count` chains."""
    nodes = factory.environment.nodes
    room, needed = sum(int(node.at("status.allocatable.pods", 0)) for node in nodes), REPLICAS * count + BESIDES
    if nodes and room < needed:
        raise NotApplicable(f"needs room for {needed} Pods, of which the Nodes may have {room}: fewer --chains")


@dataclass
class Worker:
    """A thread with an API client of its own, which makes, asks and deletes its chains, one after another."""

    factory: ChainFactory
    watcher: SharedWatcher
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "chains"))
    stack: ExitStack = field(default_factory=ExitStack)
    stopped: threading.Event = field(default_factory=threading.Event)
    deleted: Future[None] | None = None

    def __post_init__(self) -> None:
        """Open the connections."""
        self.api = self.factory.api.twin(patient=True)

    def make(self) -> Future[Chain]:
        """Begin to make a chain."""
        return self.pool.submit(self._make)

    def follow(self, made: Future[Chain], follow: Follow) -> Future[Mapping[Link, str]]:
        """Begin to follow a chain that this worker makes."""

        def go_on() -> Mapping[Link, str]:
            self._require_going_on()
            return follow(made.result())

        return self.pool.submit(go_on)

    def _make(self) -> Chain:
        self._require_going_on()
        return self.stack.enter_context(self.factory.beside(self.api, self.watcher, self.factory.waiter()))

    def _require_going_on(self) -> None:
        if self.stopped.is_set():
            raise STOPPED

    def delete(self) -> None:
        """Make and follow no more, and begin to delete the chains."""
        self.stopped.set()
        self.deleted = self.deleted or self.pool.submit(self.stack.close)

    def end(self) -> None:
        """Wait until the deletions have begun, and close the connections; raise the first error of a deletion."""
        self.delete()
        self.pool.shutdown()
        self.api.close()
        if self.deleted:
            self.deleted.result()


@contextmanager
def side_by_side(factory: ChainFactory, shared: Chain, count: int) -> Generator[SideBySide]:
    """Make `count` chains side by side, wait until each is up, and ask it; delete them after the body.

    They are asked from the client Pod of the chain `shared`, and at nodePorts from this machine.

    Raises:
        NotApplicable: the Nodes have no room for them.
        Blocked: the shared chain is not up.

    """
    require_room(factory, count)
    # One chain shows soon what is broken for all.
    factory.gatekeeper.admit(gated([Link.ENDPOINTS]), shared, factory.waiter())
    factory.share()
    asked = [link for link, needed in ASKED.items() if not refused([needed], factory.environment) and _is_asked(link, shared)]
    client = shared.client if {Link.CLUSTERIP, Link.DNS} & set(asked) else None
    kinds, usual = namespace.watched_kinds(factory.environment.access), Selected(selector_of_run(factory.api.shape.run))
    clock, before = shared.waiter.clock, TRAFFIC.record().total
    began = clock.now()
    with SharedWatcher(factory.api, clock, kinds, usual, names.OF_CHAINS) as watcher, ExitStack() as stack:
        workers = [stack.enter_context(_working(factory, watcher)) for _ in range(min(AT_ONCE, count))]
        of_chain = [workers[number % len(workers)] for number in range(count)]
        made = [worker.make() for worker in of_chain]
        follow = _following(client, asked, seconds_for(count))
        ends = [worker.follow(chain, follow) for worker, chain in zip(of_chain, made, strict=True)]
        try:
            first = next((end for end in wait(ends, return_when=FIRST_EXCEPTION).done if end.exception()), None)
            failures = [end.result() for end in ([first] if first else ends)]
            chains = [chain.result() for chain in made]
            took, requests = clock.now() - began, (TRAFFIC.record().total - before) / count
            yield SideBySide(_shown(chains, failures), count, _by_link(chains, failures, asked), took, requests)
        except BaseException:
            # Also at an interrupt: no worker waits out its timeouts.
            watcher.fail(STOPPED)
            raise
        finally:
            for worker in workers:
                worker.delete()


@contextmanager
def _working(factory: ChainFactory, watcher: SharedWatcher) -> Generator[Worker]:
    worker = Worker(factory, watcher)
    try:
        yield worker
    finally:
        worker.end()


def _is_asked(link: Link, shared: Chain) -> bool:
    """Whether a link can be asked: nodePorts only from this machine, because no chain has a client Pod."""
    return link != Link.NODEPORT or (shared.node_ports and shared.probe_from == "host")


def _following(client: PodProbe | None, asked: Collection[Link], within: Timeout) -> Follow:
    """Return a function that waits until a chain is up and asks it; it returns link -> why that is not up."""
    domain = client.domain() if client and Link.DNS in asked else ""

    def follow(chain: Chain) -> Mapping[Link, str]:
        failed, waiter = dict[Link, str](), chain.waiter
        try:
            up = slices_list_exactly(WEB, LABELS, CONTAINER_PORT, chain.replicas)
            waiter.eventually(chain.objects, up, within=within, since=chain.begun)
        except Unmet as unmet:
            return dict.fromkeys([Link.ENDPOINTS, *asked], str(unmet))
        place = PodProbe(chain.api, client.namespace, client.pod, client.container) if client else None
        for link in asked:
            began = waiter.clock.now()
            try:
                _ask(link, chain, place, domain)
            except Unmet as unmet:
                failed[link] = str(unmet)
            else:
                chain.answered[link] = (began, waiter.clock.now())
        return failed

    return follow


def _ask(link: Link, chain: Chain, place: PodProbe | None, domain: str) -> None:
    """Wait until a chain answers at a link; Unmet if it does not."""
    until, all_answer = chain.waiter.eventually, every_backend(chain.pod_names, WELCOME)
    if link == Link.NODEPORT:
        until(sources.backends_at_nodes(chain), all_answer)
    elif place and link == Link.CLUSTERIP:
        until(sources.backends_inside(chain, place, url(chain.cluster_ip)), all_answer)
    elif place:
        until(sources.answers(chain, place, f"{WEB}.{chain.namespace}.svc.{domain}."), resolves_to(chain.cluster_ip))


def _by_link(
    chains: Sequence[Chain], failures: Sequence[Mapping[Link, str]], asked: Collection[Link]
) -> dict[Link, dict[str, str]]:
    """Return link -> namespace -> why it is not up there."""
    pairs = list(zip(chains, failures, strict=True))
    return {
        link: {chain.namespace: failed[link] for chain, failed in pairs if link in failed} for link in (Link.ENDPOINTS, *asked)
    }


def _shown(chains: Sequence[Chain], failures: Sequence[Mapping[Link, str]]) -> Chain:
    """Return the first chain that failed, else the first."""
    return next((chain for chain, failed in zip(chains, failures, strict=True) if failed), chains[0])
