"""The state of a run and the state of a claim, each typed and in one stash key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kubechain.claims.chain_records import ChainRecord
from kubechain.claims.claim import Link
from kubechain.claims.requirements import Environment
from kubechain.claims.waivers import Waivers
from kubechain.cleanup.run_locks import RunLock
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.faults.fault import Fault
from kubechain.faults.records import Score
from kubechain.images.pins import Kubernetes
from kubechain.kube.rights import Permit
from kubechain.observe.clock import RealClock
from kubechain.observe.pace import Pace
from kubechain.observe.wait_record import WaitRecord
from kubechain.provision.cluster import Provided
from kubechain.upgrade.kept_state import KeptState
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.snapshot import Snapshot
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper


@dataclass
class Schedule:
    """How many claims run before those that need the cluster for themselves, those that fill its Nodes, and many chains."""

    before_exclusive: int = 0
    before_alone: int = 0
    before_chains: int = 0


@dataclass
class FaultsState:
    """The faults of a run.

    `wanted` is the number of their tests, `upstream` the version of upstream's tests ("" without), `scores` those so far.
    """

    chosen: list[Fault] = field(default_factory=list[Fault])
    wanted: int = 0
    upstream: str = ""
    scores: list[Score] = field(default_factory=list[Score])


@dataclass
class UpgradeState:
    """The upgrade of a run.

    `hops` are the versions from the first to the last (empty for an upgrade by other means), `snapshot` is that of an earlier
    phase, `record` is made during the upgrade, and `complete` says that the last claim has run; `kept` is the state of a run
    that another one may continue, None without --state.
    """

    hops: tuple[Kubernetes, ...] = ()
    snapshot: Snapshot | None = None
    record: UpgradeRecord | None = None
    complete: bool = False
    kept: KeptState | None = None


@dataclass
class RunState:
    """The state of a run in one process.

    `locks` are held until its end; `chosen` says that its claims are known; `provided` is its cluster; `trouble` is the error
    that ended it; `leaves` says that something of it is left on a cluster that stays; `at_end` says what failed after the last
    claim; `gatekeeper` knows the links that are broken, `pace` how long waits took; `shared_chain` is the chain of the claims
    that change nothing, `measured` its measurements (timeline, changeToWaitMs, probeFrom), `factory` makes chains, `chains`
    are the records of those that have ended; `permit` is what the present claim may use; `permissions` are what it and the
    user may do; `waivers` are the known issues.
    """

    settings: Settings
    run: Run
    progress: Progress
    waivers: Waivers = field(default_factory=Waivers)
    locks: list[RunLock] = field(default_factory=list[RunLock])
    chosen: bool = False
    provided: Provided | None = None
    trouble: HarnessError | None = None
    leaves: bool = False
    at_end: list[str] = field(default_factory=list[str])
    gatekeeper: Gatekeeper = field(default_factory=Gatekeeper)
    pace: Pace = field(default_factory=Pace)
    shared_chain: Chain | None = None
    factory: ChainFactory | None = None
    measured: dict[str, Any] | None = None
    chains: list[ChainRecord] = field(default_factory=list[ChainRecord])
    permit: Permit = field(default_factory=Permit)
    permissions: Environment | None = None
    schedule: Schedule = field(default_factory=Schedule)
    faults: FaultsState = field(default_factory=FaultsState)
    upgrade: UpgradeState = field(default_factory=UpgradeState)
    # Monotonic seconds.
    began: float = field(default_factory=RealClock().now)
    # What the cluster shows of the components behind a broken link.
    suspects: dict[Link, str] = field(default_factory=dict[Link, str])
    # Messages of inconclusive claims that were shown with their traceback.
    troubles: set[str] = field(default_factory=set[str])
    # (namespace of a chain, link) with evidence.
    evidence: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


@dataclass
class ClaimState:
    """The state of a running claim: its waits, its recorded metrics and its chain for evidence; `began` is in monotonic s."""

    began: float = field(default_factory=lambda: RealClock().now())
    waits: list[WaitRecord] = field(default_factory=list[WaitRecord])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    chain: Chain | None = None


RUN = pytest.StashKey[RunState]()
CLAIM = pytest.StashKey[ClaimState]()


def run_state(config: pytest.Config) -> RunState:
    """Return the state of the run."""
    return config.stash[RUN]


def claim_state(item: pytest.Item) -> ClaimState:
    """Return the state of the claim of a test; make it at the first call."""
    return item.stash.setdefault(CLAIM, ClaimState())


def chain_of(item: pytest.Item) -> Chain | None:
    """Return the chain of a claim: its own, the shared one, or that of a scenario; None if it has no chain."""
    if chain := claim_state(item).chain:
        return chain
    values: list[Any] = list(getattr(item, "funcargs", {}).values())
    chains = (value if isinstance(value, Chain) else getattr(value, "chain", None) for value in values)
    return next((chain for chain in chains if isinstance(chain, Chain)), None)


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return the input of the controller to this xdist worker, None in the controller and without xdist."""
    return getattr(config, "workerinput", None)
