"""What a run knows while it lasts: one typed state for the run and one for the claim under way, each in one stash key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kubechain.cleanup.run_locks import RunLock
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.faults.fault import Fault
from kubechain.faults.records import Score
from kubechain.images.pins import Kubernetes
from kubechain.observe.wait import WaitRecord
from kubechain.provision.cluster import Provided
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.snapshot import Snapshot
from kubechain.workload.chain import Chain
from kubechain.workload.gates import Gatekeeper


@dataclass
class Schedule:
    """How many claims finish before those that need the cluster for themselves, and before those that fill its Nodes."""

    before_exclusive: int = 0
    before_alone: int = 0


@dataclass
class FaultsState:
    """The faults of a run, how many tests they became, the version of upstream's tests ("": none), and the scores so far."""

    chosen: list[Fault] = field(default_factory=list[Fault])
    wanted: int = 0
    upstream: str = ""
    scores: list[Score] = field(default_factory=list[Score])


@dataclass
class UpgradeState:
    """What an upgrade was asked for and what became of it.

    `hops` are the versions that this run goes through (none for an upgrade by other means), `snapshot` what an earlier phase
    wrote; `complete` says that the last claim was run.
    """

    hops: tuple[Kubernetes, ...] = ()
    snapshot: Snapshot | None = None
    record: UpgradeRecord | None = None
    complete: bool = False


@dataclass
class RunState:
    """The run of this process; `trouble` is why it could not begin or go on.

    `measured` is what the shared chain of this process showed: timeline, latency and where nodePorts are asked from.
    """

    settings: Settings
    run: Run
    progress: Progress
    locks: list[RunLock] = field(default_factory=list[RunLock])
    provided: Provided | None = None
    trouble: HarnessError | None = None
    measured: dict[str, Any] | None = None
    schedule: Schedule = field(default_factory=Schedule)
    faults: FaultsState = field(default_factory=FaultsState)
    upgrade: UpgradeState = field(default_factory=UpgradeState)
    # Namespace of a chain and link of which there is evidence already.
    evidence: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


@dataclass
class ClaimState:
    """The claim under way: its waits, the figures that it recorded, and the chain that is its evidence if it does not pass."""

    waits: list[WaitRecord] = field(default_factory=list[WaitRecord])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    chain: Chain | None = None
    gatekeeper: Gatekeeper | None = None


RUN = pytest.StashKey[RunState]()
CLAIM = pytest.StashKey[ClaimState]()


def run_state(config: pytest.Config) -> RunState:
    """Return the state of the run."""
    return config.stash[RUN]


def claim_state(item: pytest.Item) -> ClaimState:
    """Return the state of the claim that a test makes."""
    return item.stash.setdefault(CLAIM, ClaimState())


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return what the controller told this xdist worker, None in the controller and without xdist."""
    return getattr(config, "workerinput", None)
