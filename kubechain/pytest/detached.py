"""A change that is watched by one run after another: each goes on where the one before it was evicted or killed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.claims.records import RunRecord, read_run
from kubechain.cluster import existing
from kubechain.core import redact
from kubechain.core.change_settings import MOST_SECONDS
from kubechain.core.errors import HarnessError, Transient, Unmet
from kubechain.core.in_cluster_settings import placed
from kubechain.kube.client import Api
from kubechain.kube.errors import starting_up
from kubechain.observe.clock import Clock, RealClock
from kubechain.observe.wait import Waiter
from kubechain.pytest import upgrade
from kubechain.pytest.session import end, uncaptured
from kubechain.pytest.state import RunState, run_state
from kubechain.pytest.upgrade import SETTLE_SECONDS, WATCH_SECONDS, is_upgrade, upgraded
from kubechain.results.runs import RUN_JSON
from kubechain.upgrade import cluster_watch, figures, kept_state, presence, samplers, snapshot, witnesses
from kubechain.upgrade.change import WitnessCare
from kubechain.upgrade.kept_state import KeptState
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.observed import Observed
from kubechain.upgrade.observing import Observing
from kubechain.upgrade.phases import Before, During
from kubechain.upgrade.sample_store import SampleStore

# A write of the state for each: with a killed run, so much is lost at most of what it sampled itself.
SAVE_SECONDS = 20.0
# An evicted Pod has 120 s to end.
LAST_SAVES, LAST_PAUSE_SECONDS = 15, 2.0
# The API server of the only control plane is away for two minutes while it is upgraded.
BACK_SECONDS = 300.0
# For how long no Node has changed when an upgrade is over.
QUIET_SECONDS = 60.0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Read what an earlier run has left, before the cluster is looked at."""
    state = run_state(session.config)
    if state.settings.state and state.chosen and not state.settings.join and is_upgrade(session.config):
        try:
            restore(state)
        except HarnessError as error:
            end(session.config, error)


def restore(state: RunState) -> None:
    """Read what an earlier run has left in the ConfigMap of --state.

    Raises:
        HarnessError: it cannot be read, or is something else.

    """
    settings, secrets = state.settings, state.run.secrets
    kubeconfig = existing.kubeconfig(str(settings.kubeconfig or ""), settings.context, secrets)
    api = existing.connect(kubeconfig, settings.context, secrets)
    kept = KeptState(api, *placed(settings.state), state.run.folder / "state")
    state.upgrade.kept = kept
    if restored(kept, RealClock()) and (kept.folder / kept_state.SNAPSHOT).exists():
        state.upgrade.snapshot = snapshot.read(kept.folder / kept_state.SNAPSHOT)


def restored(kept: KeptState, clock: Clock) -> bool:
    """Restore a state; an API server that is away is waited for, because the change may be what replaces it.

    Raises:
        HarnessError: it stays away for BACK_SECONDS, or the state cannot be read.

    """
    waiter, end, away = Waiter(clock), clock.now() + BACK_SECONDS, False
    while True:
        try:
            # One that has just started refuses everything until it knows the roles.
            with starting_up() if away else nullcontext():
                return kept.restore()
        except Transient:
            if clock.now() >= end:
                raise
        away = True
        waiter.pause(LAST_PAUSE_SECONDS)


def chain_before(kept: KeptState, run: Callable[[], object], published: Path) -> RunRecord:
    """Return the results of the quick claims before the change: those of an earlier run, or those that `run` publishes."""
    file = kept.folder / kept_state.BEFORE
    if not file.exists():
        run()
        snapshot.write_atomically(file, (published / RUN_JSON).read_text(encoding="utf-8"))
        kept.save()
    return read_run(file)


@contextmanager
def room(kept: KeptState, api: Api, identity: str) -> Generator[None]:
    """Remove the witnesses that an interrupted run has not finished to make, and those of the run `identity` if they fail."""
    file = kept.folder / kept_state.WITNESSES
    if file.exists():
        unfinished = file.read_text(encoding="utf-8")
        witnesses.remove(api, witnesses.name_of(unfinished), unfinished)
    snapshot.write_atomically(file, identity)
    kept.save()
    try:
        yield
    except (HarnessError, Unmet):
        # This run says why, and no other goes on.
        witnesses.remove(api, witnesses.name_of(identity), identity)
        kept.clear()
        raise


def watch(config: pytest.Config, before: Before, kept: KeptState, clock: Clock) -> During:
    """Sample every route and watch the cluster until the change is over; return what all runs have seen of it.

    Raises:
        KeyboardInterrupt: this run is told to end; another can go on.
        HarnessError: a watch ended before the change.

    """
    state = run_state(config)
    seen = kept.observed()
    if not seen.ended:
        with uncaptured(config):
            seen = observe(state, before, kept, clock, seen)
    record = record_of(state, before, kept, seen)
    state.upgrade.record = record
    return During(before, record, seen.state(), seen.changes(), frozenset(seen.unseen), seen.trouble)


def observe(state: RunState, before: Before, kept: KeptState, clock: Clock, earlier: Observed) -> Observed:
    """Sample and watch until the change is over, after what earlier runs saw; return what all have seen, which is kept."""
    chain, settings = before.witnesses, state.settings
    folder = kept.folder / kept_state.SAMPLES
    with cluster_watch.watching(chain.api, clock, earlier.positions[1:]) as watched:
        observing = Observing(chain, watched, earlier, chain.objects.sequence())
        if earlier.at:
            observing.come_back(chain.waiter)
        try:
            with samplers.sampling(chain, watched.nodes, folder, clock, settings.ask, stay=True) as running:
                observing.began = running.began
                _sample(state, before, observing, _Saver(kept, observing, clock))
                ended = clock.wall()
                chain.waiter.pause(SETTLE_SECONDS)
        except KeyboardInterrupt:
            leave(kept, observing, clock)
            raise
        running.store.describe(f"unasked-{running.run}", running.nodes.unasked())
        running.fold()
        # Raises the error of a watch that ended early, whose log is incomplete.
        chain.objects.read()
        seen = observing.now(ended, ended=ended)
        seen.write(kept.folder)
        kept.save()
        return seen


@dataclass
class _Saver:
    """Keeps what was seen, every SAVE_SECONDS; `trouble` says why the state could not be kept, "" while it can."""

    kept: KeptState
    observing: Observing
    clock: Clock
    saved: float = 0.0
    trouble: str = ""

    def tend(self) -> None:
        """Save if it is time to, and say what keeps it from that, once."""
        if self.clock.now() - self.saved < SAVE_SECONDS:
            return
        self.saved, before = self.clock.now(), self.trouble
        self.trouble = self.save()
        if self.trouble != before:
            self.observing.watched.record_step(f"the state of the run: {self.trouble or 'kept again'}")

    def save(self) -> str:
        """Keep what was seen up to now; return "" or why that is not possible now."""
        try:
            self.observing.now(self.clock.wall()).write(self.kept.folder)
            self.kept.save()
        except HarnessError as error:
            return str(error)
        return ""


def _sample(state: RunState, before: Before, observing: Observing, saver: _Saver) -> None:
    """Let the samplers run until the change is over."""
    settings, watched, waiter = state.settings, observing.watched, before.witnesses.waiter
    care = WitnessCare(before, watched, waiter.clock)
    length = settings.for_ or MOST_SECONDS
    until = f"for {settings.for_:g} s" if settings.for_ else "until every Node is upgraded and quiet"
    with state.progress.step(redact.text(f"sampling {until}; with SIGTERM, another run goes on")):
        while waiter.clock.wall() < observing.began + length:
            if not settings.for_ and upgraded(before, watched) and watched.quiet(QUIET_SECONDS):
                return
            care.tend()
            saver.tend()
            waiter.pause(WATCH_SECONDS)


def leave(kept: KeptState, observing: Observing, clock: Clock) -> None:
    """Keep what was seen, for the run that goes on, as soon as the API server answers."""
    store = SampleStore(kept.folder / kept_state.SAMPLES)
    for name in store.samplers():
        store.fold(name, again=False)
    saver = _Saver(kept, observing, clock)
    for _ in range(LAST_SAVES if observing.began else 0):
        if not saver.save():
            return
        observing.witnesses.waiter.pause(LAST_PAUSE_SECONDS)


def record_of(state: RunState, before: Before, kept: KeptState, seen: Observed) -> UpgradeRecord:
    """Return the record of all runs."""
    settings, folder = state.settings, kept.folder / kept_state.SAMPLES
    began = samplers.began(folder, before.witnesses.waiter.clock)
    found = (
        presence.counted(route, tally, seen.spans, began, seen.ended, seen.absences)
        for route, tally in SampleStore(folder).tallies()
    )
    routes = tuple(each for each in found if each)
    return upgrade.record_of(state, before, seen, began, routes, figures.BY_HAND if settings.for_ else "")
