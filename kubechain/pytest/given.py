"""The pytest plugin with the fixtures that claims are handed: chains, what is made on them, and the waits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim, Link
from kubechain.claims.requirements import Environment, missing
from kubechain.cluster.target import Target
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, empty
from kubechain.conditions.objects import seen
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.clock import Clock, RealClock
from kubechain.observe.latency import change_to_wait
from kubechain.observe.timeline import milestones
from kubechain.observe.wait import Observation, Polled, Source, Waiter, WaitRecord
from kubechain.observe.watcher import KINDS
from kubechain.probes.kubectl import Kubectl
from kubechain.pytest import outcomes
from kubechain.pytest.session import RUN_KEY, SETTINGS_KEY
from kubechain.workload import actions, namespace, service_manifests
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper, awaited, gated
from kubechain.workload.manifests import WEB

T = TypeVar("T")
# The chain that a claim looks at, for the evidence if it does not pass.
CHAIN_KEY = pytest.StashKey[Chain]()
KEEPER_KEY = pytest.StashKey[Gatekeeper]()
MEASURED = pytest.StashKey[dict[str, Any]]()


class Eventually(Protocol):
    """Wait until a source meets a condition; see fixtures.observe.wait.Waiter.eventually."""

    def __call__(self, source: Source[T], condition: Condition[T], *, within: Timeout | None = None) -> Observation[T]:
        """Return the observation that met the condition; Unmet at the deadline."""
        ...


class Consistently(Protocol):
    """Watch that a source meets a condition all the time; see fixtures.observe.wait.Waiter.consistently."""

    def __call__(self, source: Source[T], condition: Condition[T], *, during: Timeout) -> Observation[T]:
        """Return the last observation; Unmet at the first state that does not meet the condition."""
        ...


Create = Callable[[Chain, Json], KubeObject]
# Keeps a figure that a claim found, by name, for run.json and the summary.
RecordMetric = Callable[[str, float], None]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shut the gate of a link whose own claim says that it did not come up: no other claim waits for it again."""
    report = yield
    found, gatekeeper = claim.of(item), item.stash.get(KEEPER_KEY, None)
    error = call.excinfo.value if call.excinfo else None
    if found and found.opens and gatekeeper and isinstance(error, Unmet):
        gatekeeper.shut.setdefault(found.link, str(error))
    return report


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The machine's clock."""
    return RealClock()


@pytest.fixture
def waiter(request: pytest.FixtureRequest, clock: Clock) -> Waiter:
    """The one wait, whose record goes into the claim's."""
    record = list[WaitRecord]()
    request.node.stash[outcomes.WAITS] = record
    return Waiter(clock, record, request.config.stash[SETTINGS_KEY].patience)


@pytest.fixture
def eventually(waiter: Waiter) -> Eventually:
    """Wait until a source meets a condition."""
    return waiter.eventually


@pytest.fixture
def consistently(waiter: Waiter) -> Consistently:
    """Watch that a source meets a condition all the time."""
    return waiter.consistently


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest, target: Target) -> Iterator[Api]:
    """The API of the cluster under test, for the main thread of this process."""
    client = Api(Path(target.kubeconfig), target.context, request.config.stash[RUN_KEY].secrets)
    yield client
    client.close()


@pytest.fixture(scope="session")
def chain_factory(request: pytest.FixtureRequest, api: Api, target: Target, clock: Clock) -> Iterator[ChainFactory]:
    """What makes the chains of this process; at the end, their namespaces are gone from a cluster that stays."""
    run = request.config.stash[RUN_KEY]
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    nodes = tuple(api.list("Node").items)
    settings = request.config.stash[SETTINGS_KEY]
    environment = Environment(target, nodes, namespace.probe_from(nodes), settings.disruptive)
    loaded = frozenset(filter(None, [target.digests.get(target.nginx)]))
    shop = ChainFactory(api, environment, run.labels, f"{run.name}-{worker}", loaded, Waiter(clock, patience=settings.patience))
    yield shop
    shop.drop_spare()
    if not target.temporary:
        gone = Polled("namespaces of this run", lambda: present(api, shop.made), clock)
        Waiter(clock).eventually(gone, empty("namespace"), within=timeouts.NAMESPACE_GONE)


def present(api: Api, names: list[str]) -> list[str]:
    """Return which of the namespaces are still there."""
    return [name for name in names if api.get("Namespace", "", name)]


@pytest.fixture(scope="session")
def shared_chain(chain_factory: ChainFactory) -> Iterator[Chain]:
    """The chain that all claims of this process share which change nothing."""
    with chain_factory.chain(chain_factory.waiter()) as chain:
        yield chain


@pytest.fixture(scope="session")
def working_chain(request: pytest.FixtureRequest, shared_chain: Chain, chain_factory: ChainFactory, clock: Clock) -> Chain:
    """The shared chain once its Endpoints are up, and measured; Blocked if they do not come up."""
    chain_factory.gatekeeper.admit(gated([Link.ENDPOINTS]), shared_chain.objects, chain_factory.waiter())
    pod = shared_chain.client.pod
    request.config.stash[MEASURED] = {
        "timeline": [milestone.as_json() for milestone in milestones(shared_chain.objects.log(), WEB)],
        "changeToWaitMs": change_to_wait(shared_chain.api, shared_chain.objects, pod, clock),
        "vantage": shared_chain.probe_from,
    }
    return shared_chain


@pytest.fixture
def chain(request: pytest.FixtureRequest, shared_chain: Chain, chain_factory: ChainFactory, waiter: Waiter) -> Chain:
    """A chain to look at, not to change, whose links before the claim's own are up; else the claim is blocked."""
    request.node.stash[CHAIN_KEY] = shared_chain
    request.node.stash[KEEPER_KEY] = chain_factory.gatekeeper
    links = admit(claim_of(request), chain_factory.gatekeeper, shared_chain, waiter)
    if Link.ENDPOINTS in links:
        request.getfixturevalue("working_chain")
    return replace(shared_chain, waiter=waiter)


@pytest.fixture
def own_chain(request: pytest.FixtureRequest, chain_factory: ChainFactory, waiter: Waiter) -> Iterator[Chain]:
    """A chain of the claim's own, to be changed at will; the links before the claim's own are up."""
    with chain_factory.own(waiter) as made:
        request.node.stash[CHAIN_KEY] = made
        admit(claim_of(request), chain_factory.gatekeeper, made, waiter)
        yield made


def admit(found: Claim, gatekeeper: Gatekeeper, chain: Chain, waiter: Waiter) -> list[Link]:
    """Wait until the links before a claim's own are up, and return them.

    Raises:
        Blocked: one is not.
        Unmet: what the claim's own link is made of was refused.

    """
    links = awaited(found)
    gatekeeper.admit(links, chain.objects, waiter)
    gatekeeper.require_taken(found.link)
    return links


def of_claim(request: pytest.FixtureRequest, chain: Chain, waiter: Waiter) -> Chain:
    """Return a chain that claims share, as one claim sees it: its waits recorded, its state the claim's evidence."""
    request.node.stash[CHAIN_KEY] = chain
    return replace(chain, waiter=waiter)


def claim_of(request: pytest.FixtureRequest) -> Claim:
    """Return the claim that asks for a fixture; HarnessError if the test is none."""
    found = claim.of(request.node)
    if found is None:
        raise HarnessError(f"{request.node.nodeid} is not a claim, so no chain is made for it")
    return found


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:  # pyright: ignore[reportUnusedFunction]  # used by pytest
    """Skip a claim that the cluster gives no ground for, with the reason."""
    found = claim.of(request.node)
    if found and found.needs:
        shop: ChainFactory = request.getfixturevalue("chain_factory")
        lacking = missing(found.needs, shop.environment)
        if lacking:
            pytest.skip(f"needs {', '.join(lacking)}")


@pytest.fixture
def make() -> Iterator[Create]:
    """Make an object in a chain's namespace, from a manifest; it is deleted when the claim has ended."""
    with ExitStack() as made:

        def create(chain: Chain, manifest: Json) -> KubeObject:
            resource = chain.api.create(manifest, chain.namespace)
            made.callback(actions.remove, chain, resource.kind, resource.name)
            if resource.kind in KINDS:
                chain.waiter.eventually(chain.objects, seen(resource), within=timeouts.CONTROLLER)
            return resource

        yield create


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> RecordMetric:
    """Keep a figure that the claim found, for the report; it decides nothing."""
    return request.node.stash.setdefault(outcomes.FIGURES, {}).__setitem__


@pytest.fixture(scope="session")
def other_namespace(chain_factory: ChainFactory) -> Generator[str]:
    """The name of another namespace, with a Service "neighbour" that has no Pods."""
    with chain_factory.empty(chain_factory.waiter()) as name:
        chain_factory.api.create(service_manifests.service(name="neighbour", kind="ClusterIP"), name)
        yield name


@pytest.fixture(scope="session")
def kubectl(target: Target) -> Kubectl:
    """The program kubectl, with the run's own kubeconfig and context."""
    return Kubectl(Path(target.kubectl), Path(target.kubeconfig), target.context)
