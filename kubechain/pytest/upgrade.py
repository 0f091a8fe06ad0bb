"""The phases of an upgrade in a run: checks before the cluster is made, the record, and what an interrupted phase keeps."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.claims.records import RunRecord
from kubechain.cluster.kind import Cluster
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core import bundle
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from kubechain.core.settings import Settings
from kubechain.images import pins
from kubechain.images.resolve import store_of
from kubechain.nested import suite_run
from kubechain.observe.clock import Clock
from kubechain.observe.history import History, latest
from kubechain.observe.wait import Polled
from kubechain.pytest.session import end, uncaptured
from kubechain.pytest.state import RunState, run_state
from kubechain.upgrade import cluster_watch, events, kubeadm, phases, routes, samplers, snapshot, versions
from kubechain.upgrade.cluster_watch import Watching
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.phases import Before, During

# Names of what phases keep beside the snapshot: the folder of samples, and the state after the upgrade.
ASKED, AFTER = "asked", "after.json"
# The longest timeout of a sample; after it, all samples are written.
SETTLE_SECONDS = 4.0
WATCH_SECONDS = 0.5
# Sampling continues after a shorter upgrade, for 5,000 samples of each route of the data plane.
LEAST_SECONDS = 5000 * routes.DATA_INTERVAL * 1.02


def is_upgrade(config: pytest.Config) -> bool:
    """Whether the command line names suites/upgrade."""
    suite = bundle.ROOT / "suites" / "upgrade"
    paths = [Path(str(argument).partition("::")[0]).resolve() for argument in config.args]
    return any(path == suite or suite in path.parents for path in paths)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check the settings of an upgrade before the cluster is made."""
    config = session.config
    if config.option.collectonly or not is_upgrade(config):
        return
    state = run_state(config)
    settings = state.settings
    try:
        if settings.phase:
            require_input(settings)
        if settings.phase in ("during", "after"):
            state.upgrade.snapshot = snapshot.read(snapshot_file(settings))
        elif not settings.phase and not settings.rehearsal:
            state.upgrade.hops = versions.hops(settings.k8s, settings.to, pins.load())
    except SetupError as error:
        end(config, error)


def require_input(settings: Settings) -> None:
    """Raise a SetupError unless a phase has a context and a snapshot file, which must be new before the upgrade."""
    if not settings.context:
        raise SetupError("--context is missing: name the context of the cluster that is upgraded", ExitCode.USAGE)
    file = snapshot_file(settings)
    if settings.phase == "before" and file.exists():
        raise SetupError(f"--snapshot={file}: the file exists, and so may its witnesses; choose another file", ExitCode.SNAPSHOT)


def snapshot_file(settings: Settings) -> Path:
    """Return the snapshot file of the settings; SetupError without one."""
    if settings.snapshot is None:
        raise SetupError("--snapshot is missing: name the file that `kubechain upgrade before` writes", ExitCode.USAGE)
    return settings.snapshot


def beside(settings: Settings, what: str) -> Path:
    """Return the path beside the snapshot in which a phase keeps what it needs after an interruption."""
    file = snapshot_file(settings)
    return file.with_name(f"{file.name}.{what}")


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Record that the last claim has run."""
    if nextitem is None:
        run_state(item.config).upgrade.complete = True


def whole_chain(config: pytest.Config, when: str) -> RunRecord:
    """Run the quick claims in another process and return their record; results go to the folder `when` ("before", "after")."""
    state = run_state(config)
    with uncaptured(config), state.progress.step(f"quick claims {when} the upgrade") as step:
        record = suite_run.verdict_of(state.run.folder, state.run.folder / when, (), 1.0)
        step.note(record.verdict)
    return record


def watch(config: pytest.Config, before: Before, cluster: Cluster | None, clock: Clock) -> During:
    """Sample every route and watch the cluster while it is upgraded, by this run (`cluster`) or by other means.

    Raises:
        HarnessError: the upgrade failed, or a watch broke off; the state of the run has the record until then.

    """
    state = run_state(config)
    settings, run = state.settings, state.run
    bundles = _prepare(config, cluster) if cluster else []
    chain, waiter = before.witnesses, before.witnesses.waiter
    start, unseen = chain.objects.sequence(), chain.objects.unseen
    first = latest(chain.objects.log()[:start])
    folder = beside(settings, ASKED) if settings.phase else run.folder / ASKED
    with (
        uncaptured(config),
        cluster_watch.watching(chain.api, clock) as watched,
        samplers.probing(chain, folder, clock) as sampled,
    ):
        began = sampled.began
        drained, stopped = _attempt(lambda: _upgrade(state, before, watched, cluster, bundles), watched)
        if cluster and not stopped:
            waiter.pause(max(0.0, began + LEAST_SECONDS - clock.wall()))
        ended = clock.wall()
        waiter.pause(SETTLE_SECONDS)
    trouble = _trouble(chain.objects)
    sampled_routes = sampled.seen(began, ended)
    if settings.phase and watched.arrived(before.snapshot.server):
        shutil.move(folder, run.folder / ASKED)
    nodes, system = watched.nodes.log(), watched.system.log()
    observed = [*watched.steps, *events.upgrade_events(system, nodes, chain.objects.log(), began)]
    hops = state.upgrade.hops
    record = UpgradeRecord(
        hops=tuple(hop.version for hop in hops) or (before.snapshot.server, watched.server or before.snapshot.server),
        began=began,
        ended=ended,
        routes=sampled_routes,
        events=tuple(sorted(observed, key=lambda event: event.at)),
        versions=events.versions(nodes, system, watched.servers, began),
        relists=sum(history.relists for history in (chain.objects, watched.nodes, watched.system)),
        lost=sum(history.losses for history in (chain.objects, watched.nodes, watched.system)),
        control_planes=watched.control_planes,
        asked=bool(hops),
        drained=drained,
        warnings=tuple(before.snapshot.warnings),
    )
    state.upgrade.record = record
    if stopped:
        raise stopped
    # Raises the error of a watch that broke off, whose log would look as if nothing had happened.
    chain.objects.read()
    seen = phases.versions(chain.objects.log(), start)
    return During(before, record, first, seen, chain.objects.unseen - unseen, trouble)


def _trouble(objects: History) -> str:
    """Bring a history up to date; return what keeps it from being so, "" if nothing does."""
    try:
        objects.refresh()
    except HarnessError as error:
        return str(error)
    return objects.trouble() or ""


def _prepare(config: pytest.Config, cluster: Cluster) -> list[Path]:
    state = run_state(config)
    with uncaptured(config):
        return kubeadm.prepare(cluster, state.upgrade.hops, state.settings, store_of(state.settings), state.progress)


def _attempt(upgrade: Callable[[], tuple[str, ...]], watched: Watching) -> tuple[tuple[str, ...], HarnessError | None]:
    """Upgrade; return the drained Nodes and the error of a failed upgrade, so that the record is made before it is raised."""
    try:
        return upgrade(), None
    except HarnessError as error:
        watched.mark("the upgrade failed")
        return (), error


def _upgrade(state: RunState, before: Before, watched: Watching, cluster: Cluster | None, bundles: list[Path]) -> tuple[str, ...]:
    """Upgrade the run's own cluster, or wait until it has been upgraded by other means; return the drained Nodes."""
    settings, waiter = state.settings, before.witnesses.waiter
    if settings.rehearsal:
        _rehearse(state, before)
    elif cluster:
        return kubeadm.travel(
            cluster, before.witnesses.api, state.upgrade.hops, bundles, watched.mark, state.progress, drain=settings.drain
        )
    else:
        text = "sampling until every Node is upgraded; Ctrl-C ends it earlier"
        with contextlib.suppress(KeyboardInterrupt), state.progress.step(text):
            while not watched.arrived(before.snapshot.server):
                waiter.pause(WATCH_SECONDS)
        return watched.drained
    return ()


def _rehearse(state: RunState, before: Before) -> None:
    """Create the file REHEARSING in the folder of the run; wait until another process removes it, or the time is over."""
    waiter, file = before.witnesses.waiter, state.run.folder / suite_run.REHEARSING
    file.touch()
    over = Condition[bool]("over", lambda there: expect(not there, "the file still exists"))
    within = Timeout(state.settings.rehearsal, "the duration of the rehearsal")
    with contextlib.suppress(Unmet):
        waiter.eventually(Polled("rehearsal", file.exists, waiter.clock), over, within=within)
