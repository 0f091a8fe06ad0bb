"""The pytest plugin that breaks the cluster of the run in one way at a time, and always mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubechain.cluster.kind import Cluster
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, Result, met, unmet
from kubechain.core.errors import Blocked, HarnessError, SetupError, Unmet
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Fault, Prepared
from kubechain.faults.injections import StaticPod
from kubechain.faults.records import FaultSeconds, Score
from kubechain.faults.scoring import score
from kubechain.faults.testbed import SERVER, Testbed
from kubechain.faults.upstream import setup
from kubechain.faults.upstream.run import UpstreamTests
from kubechain.images import e2e_tests
from kubechain.nested import suite_run
from kubechain.observe.clock import Clock
from kubechain.pytest.session import PROGRESS_KEY, RUN_KEY, SETTINGS_KEY, uncaptured
from kubechain.workload.factory import ChainFactory

CHOSEN_KEY = pytest.StashKey[list[Fault]]()
JUDGEMENTS_KEY = pytest.StashKey[list[Score]]()
WANTED_KEY = pytest.StashKey[int]()
PEER_VERSION_KEY = pytest.StashKey[str]()
# Kinds of which some faults leave the cluster without leaders for a while.
LEADERLESS = ("control plane", "harmless")
Judge = Callable[[Fault], Score]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the faults of the run; begin the list of judgements."""
    settings = config.stash[SETTINGS_KEY]
    try:
        config.stash[CHOSEN_KEY] = selection.chosen(
            short=settings.short, only=frozenset(filter(None, settings.faults.split(",")))
        )
    except ValueError as error:
        raise pytest.UsageError(f"FAULTS={settings.faults}: {error}") from error
    try:
        config.stash[PEER_VERSION_KEY] = e2e_tests.version_of(settings.k8s) if settings.peer else ""
    except SetupError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[JUDGEMENTS_KEY] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each fault of the run, named by its id alone."""
    if "fault" in metafunc.fixturenames:
        chosen = metafunc.config.stash[CHOSEN_KEY]
        metafunc.config.stash[WANTED_KEY] = len(chosen)
        metafunc.parametrize("fault", chosen, ids=[fault.id for fault in chosen])


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, kind_cluster: Cluster, chain_factory: ChainFactory) -> Testbed:
    """The cluster of the run, to be broken; it worked from end to end before, and what faults need is ready."""
    config = request.config
    made = Testbed(kind_cluster, chain_factory, config.stash[RUN_KEY].folder, config.stash[SETTINGS_KEY])
    with uncaptured(config):
        for fault in config.stash[CHOSEN_KEY]:
            if isinstance(fault.injection, Prepared):
                fault.injection.prepare(made)
    made.require_whole()
    return made


@pytest.fixture(scope="session")
def peer(lab: Testbed, request: pytest.FixtureRequest) -> UpstreamTests | None:
    """Upstream's tests, all of which have passed on the lab's cluster; None unless they are to be compared with."""
    config = request.config
    version = config.stash[PEER_VERSION_KEY]
    with uncaptured(config):
        return setup.prepare(lab, version, config.stash[PROGRESS_KEY]) if version else None


@pytest.fixture
def judged(lab: Testbed, peer: UpstreamTests | None, clock: Clock, request: pytest.FixtureRequest) -> Judge:
    """Inject a fault, run the suite (and its peer) under it, heal it, see the chain whole again, and judge what was found."""
    config = request.config
    progress = config.stash[PROGRESS_KEY]

    def told(fault: Fault) -> Score:
        with uncaptured(config), progress.step(f"fault {fault.id}") as step:
            found = under(fault)
            step.note(found.result if found.good else f"NOT AS IT MUST BE: {found.result}: {found.why}")
        return found

    def under(fault: Fault) -> Score:
        start = clock.now()
        injected = start
        out = lab.folder / "faults" / fault.id
        try:
            if fault.kind == "upgrade":
                found = suite_run.rehearsal(lab.folder, out, fault.selected, lambda: inject(lab, fault), clock)
            else:
                inject(lab, fault)
                injected = clock.now()
                found = suite_run.verdict_of(lab.folder, out, fault.selected, fault.patience)
            ran = clock.now()
            compared = peer.under(fault, out / "upstream", clock) if peer else None
            began = clock.now()
        except Unmet as unmet:
            raise HarnessError(f"the fault did not take: {unmet}") from unmet
        finally:
            mended = heal(lab, fault) or (tidied(lab, fault) if peer else "")
        if mended:
            raise HarnessError(f"the chain is not whole after {fault.id}: {mended}")
        seconds = FaultSeconds(inject=injected - start, verdict=ran - injected, heal=clock.now() - began)
        result = score(fault, found, seconds, compared)
        config.stash[JUDGEMENTS_KEY].append(result)
        return result

    return told


def inject(lab: Testbed, fault: Fault) -> None:
    """Inject a fault and wait until it is seen to have taken, and nothing else has; Unmet if it does not."""
    fault.injection.inject(lab)
    lab.until(f"fault {fault.id}", Condition[Testbed](fault.title, fault.injection.took), timeouts.INJECTED)
    if fault.kind == "control plane" and fault.at != "unreachable":
        lab.require_led()
        if takes_api_away(fault):
            lab.restart_clients()
        lab.require_kubelets()


def heal(lab: Testbed, fault: Fault) -> str:
    """Heal a fault and wait until the chain is whole; return "" or why it is not.

    What mends the cluster goes through the API, which may itself be on its way back.
    """
    mending = Condition[Testbed]("mended", lambda lab: attempt(lambda: fault.injection.heal(lab)))
    gone = Condition[Testbed]("gone", lambda lab: has_gone(fault, lab))
    whole = Condition[Testbed]("whole", lambda lab: attempt(lab.require_whole))
    try:
        lab.until(f"fault {fault.id}", mending, timeouts.HEALED)
        lab.until(f"fault {fault.id}", gone, timeouts.HEALED)
        if fault.kind in LEADERLESS or takes_api_away(fault):
            lab.require_led()
        if takes_api_away(fault):
            lab.restart_clients()
        # Each look makes a chain and deletes it: too many would keep the controllers from anything else.
        lab.until(f"chain after {fault.id}", whole, timeouts.HEALED, interval=3.0)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def takes_api_away(fault: Fault) -> bool:
    """Whether the API server was away under a fault, or was restarted by it."""
    server = isinstance(fault.injection, StaticPod) and fault.injection.component == SERVER
    return server or fault.at == "unreachable"


def tidied(lab: Testbed, fault: Fault) -> str:
    """Remove what the peer has left; return "" or why that is not possible."""
    try:
        setup.tidy(lab, fault)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def has_gone(fault: Fault, lab: Testbed) -> Result:
    """Say whether nothing is left of a fault; where the cluster cannot be asked yet, something is."""
    if not fault.lasting:
        return met()
    try:
        left = fault.injection.took(lab)
    except HarnessError as error:
        return unmet(str(error))
    return unmet("it is still there") if left.met else met()


def attempt(what: Callable[[], None]) -> Result:
    """Do something that may not work yet, and say whether it did."""
    try:
        what()
    except (HarnessError, Unmet, Blocked) as error:
        return unmet(str(error))
    return met()
