"""Runs the samplers, two on the harness's machine and one in a Pod on every Node that is asked, and fetches their samples."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import PODS_READY, Timeout
from kubechain.core import secret_files
from kubechain.core.errors import ExitCode, HarnessError, Unmet, unmet_as
from kubechain.core.file_locks import unless_held
from kubechain.kube.client import Api
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.load import Tally
from kubechain.upgrade import pod_samplers, routes
from kubechain.upgrade.followed_nodes import FollowedNodes
from kubechain.upgrade.local_sampler import local_sampler
from kubechain.upgrade.model import NodeSpan, Route, RouteSamples
from kubechain.upgrade.presence import continued
from kubechain.upgrade.sample_store import SampleStore
from kubechain.upgrade.sampler_manifests import SAMPLER
from kubechain.workload.chain import Chain
from kubechain.workload.node_sample import SAMPLE

# With up to FULL_RATE_NODES samplers in Pods, and longer with more: each fetch is a new connection to the API server.
FETCH_SECONDS = 5.0
# How often the watched Nodes and Pods are looked at, which asks the API server nothing.
FOLLOW_SECONDS = 0.5
FETCHED = Timeout(60, "the API server may be restarting")
# In the folder of samples: when the first run that samples into it began.
BEGAN = "began"
ANSWERED = Timeout(5, "a request takes up to 3 s; a route that does not answer does not hold up the change")
BACK = Timeout(20, "a Node that came just now may still have no sampler, and gets it later")
T = TypeVar("T")


@dataclass
class RunningSamplers:
    """The running samplers; `began` is when all of them had sent a sample, `run` names the files of this run.

    `silent` are the names of the routes that had not answered then.
    """

    nodes: FollowedNodes
    store: SampleStore
    run: str
    began: float = 0.0
    silent: Sequence[str] = ()

    def without_samples(self) -> list[str]:
        """Fetch, and return the names of the routes without a sample whose Nodes are Ready."""
        return [route.name for route, tally in self._of_ready_nodes() if not tally.samples]

    def without_answers(self) -> list[str]:
        """Fetch, and return the names of the routes without an answer whose Nodes are Ready."""
        return [route.name for route, tally in self._of_ready_nodes() if not tally.up]

    def _of_ready_nodes(self) -> list[tuple[Route, Tally]]:
        fetch_all(self.nodes, self.nodes.chain.api)
        ready = self.nodes.ready()
        return [(route, tally) for route, tally in self.store.tallies() if ready.issuperset(route.nodes)]

    def between(
        self, began: float, ended: float, spans: tuple[NodeSpan, ...]
    ) -> tuple[tuple[NodeSpan, ...], tuple[RouteSamples, ...]]:
        """Return when each Node served, and the samples that count, from `began` to `ended` (Unix seconds).

        `spans` are those that this run saw; those of the interrupted runs before it are in the folder.
        """
        whole = continued(self.store.nodes(), spans)
        self.store.keep_nodes(self.run, spans)
        return whole, tuple(self.nodes.samples(whole, began, ended))

    def fold(self) -> None:
        """Condense what was fetched."""
        for name in self.store.samplers():
            self.store.fold(name, again=name.startswith(f"{SAMPLER}-"))


@contextmanager
def sampling(
    chain: Chain, nodes: History, folder: Path, clock: Clock, urls: str = "", *, stay: bool = False
) -> Generator[RunningSamplers]:
    """Run the samplers during the body, and threads that ask new Nodes and fetch the samples of those in Pods.

    `nodes` is the history of the Nodes; `folder` keeps the samples, so that an interrupted run can be continued; `urls` are
    sampled besides, from this machine. With `stay`, samplers in Pods ask every Node, and go on while the run is away.

    Raises:
        HarnessError: another process uses the folder, or a sampler does not start.

    """
    folder.mkdir(parents=True, exist_ok=True)
    store, run, chosen = SampleStore(folder), f"{clock.wall():.0f}", frozenset(chain.asked)
    # In the middle of a change, a Node may have come just now: what it lacks holds up no run that goes on.
    goes_on = (folder / BEGAN).exists()
    only = sorted(chosen) if len(chosen) >= SAMPLE else []
    with locked(folder), pod_samplers.running(chain, only, stay=stay) as owner, ExitStack() as running:
        followed = FollowedNodes(chain, nodes, owner, store, sampler=f"data-{run}", from_pods=stay)
        followed.begin(chosen)
        everywhere = Condition[list[str]](
            "a sampler on every Node that serves", lambda lacking: expect(not lacking, some(lacking))
        )
        source = Polled("samplers", lambda: followed.follow(chain.api), clock)
        require(chain.waiter, source, everywhere, PODS_READY, goes_on=goes_on)
        secrets = secret_files.folder(chain.api.secrets)
        requests, api = routes.api_server(chain), f"api-{run}"
        plan = routes.plan(requests, routes.API_INTERVAL, tls=chain.api.for_sampler(secrets))
        store.describe(api, [each.route for each in requests])
        running.enter_context(local_sampler(plan, store.file(api), secrets))
        if followed.requests:
            store.describe(followed.sampler, [each.route for each in followed.requests])
            out = store.file(followed.sampler)
            followed.local = running.enter_context(local_sampler(followed.plan(), out, secrets))
        outside, name = [*routes.load_balancer(chain), *routes.of_users(urls)], f"outside-{run}"
        if outside:
            # A sampler of its own: it must not have the credentials for the API server.
            store.describe(name, [each.route for each in outside])
            running.enter_context(local_sampler(routes.plan(outside, routes.OUTSIDE_INTERVAL), store.file(name), secrets))
        samplers = RunningSamplers(followed, store, run)
        begun = Condition[list[str]]("a sample of every route", lambda names: expect(not names, f"none of {some(names)}"))
        require(chain.waiter, Polled("samplers", samplers.without_samples, clock), begun, PODS_READY, goes_on=goes_on)
        answered = Condition[list[str]]("an answer on every route", lambda names: expect(not names, f"none on {some(names)}"))
        with contextlib.suppress(Unmet, HarnessError):
            chain.waiter.eventually(Polled("samplers", samplers.without_answers, clock), answered, within=ANSWERED)
        samplers.silent = samplers.without_answers()
        samplers.began = began(folder, clock)
        running.enter_context(_following(followed, clock))
        running.enter_context(_fetching(samplers, secrets))
        yield samplers


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Lock a folder of samples during the body; HarnessError if another process holds the lock (exit code SNAPSHOT)."""
    lock = folder / "lock"
    lock.touch()
    with unless_held(lock) as ours:
        if not ours:
            raise HarnessError(f"{folder}: another run samples into this folder; wait for its end, or stop it", ExitCode.SNAPSHOT)
        yield


def began(folder: Path, clock: Clock) -> float:
    """Return when the first run that samples into a folder began (Unix seconds): now, unless it continues an earlier one."""
    file = folder / BEGAN
    if not file.exists():
        file.write_text(repr(clock.wall()), encoding="utf-8")
    return float(file.read_text(encoding="utf-8"))


@contextmanager
def _following(followed: FollowedNodes, clock: Clock) -> Generator[None]:
    """Ask new Nodes, and those that are gone no more, during the body."""
    twin = followed.chain.api.twin()
    with run_periodically("ask new Nodes", FOLLOW_SECONDS, lambda: followed.follow(twin), clock):
        yield
    twin.close()


@contextmanager
def _fetching(samplers: RunningSamplers, secrets: Path) -> Generator[None]:
    """Fetch the samples of the samplers in Pods from time to time and at the end; renew the credentials of the local sampler.

    What an interrupted body leaves to the next run is fetched by that.
    """
    followed = samplers.nodes
    chain = followed.chain
    twin = chain.api.twin()

    def fetch() -> None:
        with contextlib.suppress(HarnessError):
            twin.for_sampler(secrets)
        fetch_all(followed, twin)
        samplers.fold()

    interrupted = False
    try:
        with run_periodically("fetch samples", routes.scaled(FETCH_SECONDS, len(followed.asked)), fetch, chain.waiter.clock):
            yield
    except KeyboardInterrupt:
        interrupted = followed.from_pods
        raise
    finally:
        twin.close()
        if not interrupted:
            source = Polled("samples", lambda: fetch_all(followed, chain.api), chain.waiter.clock, interval=1.0)
            fetched = Condition[list[str]]("every sample fetched", lambda errors: expect(not errors, some(errors, "; ")))
            require(chain.waiter, source, fetched, FETCHED)


def fetch_all(followed: FollowedNodes, api: Api) -> list[str]:
    """Fetch the samples of all samplers in Pods that can be reached; return "NODE: error" for each that failed.

    What was fetched of a sampler whose Pod or Node is gone stays in the folder.
    """
    errors: list[str] = []
    for sampler in [*followed.in_pods]:
        if not followed.present(sampler):
            continue
        try:
            sampler.fetch(api)
        except HarnessError as error:
            errors.append(f"{sampler.node.name}: {error}")
    return errors


def require(waiter: Waiter, source: Polled[T], condition: Condition[T], within: Timeout, *, goes_on: bool = False) -> None:
    """Wait for a condition of the samplers, no longer than BACK where a run `goes_on`; one that is seen late is as good.

    Raises:
        HarnessError: a run that begins does not meet it, which says nothing about the chain.

    """
    try:
        with unmet_as(HarnessError, "the samplers do not work"):
            waiter.eventually(source, condition, within=BACK if goes_on else within)
    except HarnessError:
        # With many Nodes, to look once may take longer than the time for all.
        if not (goes_on or condition(source.read()).met):
            raise
