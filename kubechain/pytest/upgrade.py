"""The phases of an upgrade in a run: their input checked before a cluster is created, recorded, continued if interrupted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kubechain.claims.records import RunRecord
from kubechain.cluster.kind import Cluster
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import Timeout
from kubechain.core import bundle, redact
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from kubechain.core.interrupts import INTERRUPTS
from kubechain.core.settings import Settings
from kubechain.images import pins
from kubechain.images.resolve import store_of
from kubechain.kube.traffic import TRAFFIC
from kubechain.nested import suite_run
from kubechain.observe.changes import latest
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.wait import Polled
from kubechain.pytest.session import end, uncaptured
from kubechain.pytest.state import RunState, run_state
from kubechain.upgrade import (
    change,
    cluster_watch,
    figures,
    kubeadm,
    phases,
    presence,
    routes,
    samplers,
    snapshot,
    versions,
)
from kubechain.upgrade.change import WitnessCare
from kubechain.upgrade.cluster_watch import ClusterWatch
from kubechain.upgrade.kept_state import SAMPLES, SNAPSHOT
from kubechain.upgrade.kubeadm import HopFiles
from kubechain.upgrade.model import NodeSpan, RouteSamples, UpgradeRecord
from kubechain.upgrade.observed import Observed
from kubechain.upgrade.observing import Observing
from kubechain.upgrade.phases import Before, During
from kubechain.upgrade.workers import way_of

# A sampler waits for a late answer for up to 3 s, and writes its samples every 0.25 s.
SETTLE_SECONDS = 4.0
WATCH_SECONDS = 0.5
# Sampling lasts at least this long, for 5,000 samples of each route of the data plane.
LEAST_SECONDS = 5000 * routes.DATA_INTERVAL * 1.02


def is_upgrade(config: pytest.Config) -> bool:
    """Return whether the command line names the suite of upgrades."""
    suite = bundle.ROOT / "suites" / "upgrade"
    paths = [Path(str(argument).partition("::")[0]).resolve() for argument in config.args]
    return any(path == suite or suite in path.parents for path in paths)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check the input of the run before a cluster is created."""
    config = session.config
    state = run_state(config)
    if config.option.collectonly or not state.chosen or not is_upgrade(config):
        return
    settings = state.settings
    try:
        if settings.phase:
            require_input(settings)
        if settings.phase in ("during", "after"):
            state.upgrade.snapshot = snapshot.read(snapshot_file(state))
        elif not settings.phase and not settings.rehearsal and not is_change(settings):
            state.upgrade.hops = versions.hops(settings.k8s, settings.to, pins.load())
    except SetupError as error:
        end(config, error)


def is_change(settings: Settings) -> bool:
    """Return whether a run of this suite is that of `kubechain during`: before, during and after a change."""
    return bool(settings.context) and not (settings.phase or settings.join)


def require_input(settings: Settings) -> None:
    """Check that a phase has a cluster and a snapshot file; SetupError if not."""
    if not settings.context:
        raise SetupError("--context is missing: name the context of the cluster that is upgraded", ExitCode.USAGE)
    file = settings.snapshot
    if file is None:
        raise SetupError("--snapshot is missing: name the file that `kubechain upgrade before` writes", ExitCode.USAGE)
    if settings.phase == "before" and file.exists():
        raise SetupError(f"--snapshot={file}: the file exists, and so may its witnesses; choose another file", ExitCode.SNAPSHOT)


def snapshot_file(state: RunState) -> Path:
    """Return the snapshot file of the run: that of its phases, that of its kept state, or one in its folder."""
    folder = state.upgrade.kept.folder if state.upgrade.kept else state.run.folder
    return (state.settings.snapshot if state.settings.phase else None) or folder / SNAPSHOT


def beside(state: RunState, what: str) -> Path:
    """Return the file or folder beside the snapshot, SNAPSHOT.WHAT, that an interrupted phase needs to continue."""
    file = snapshot_file(state)
    return file.with_name(f"{file.name}.{what}")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Record after the last claim that the run was not interrupted, and did not end early."""
    if item is item.session.items[-1]:
        run_state(item.config).upgrade.complete = True


def whole_chain(config: pytest.Config, when: str) -> RunRecord:
    """Run the quick claims in a process of their own; their results are published in the folder `when`, before or after."""
    state = run_state(config)
    with uncaptured(config), state.progress.step(f"the whole chain {when} the change") as step:
        record = suite_run.verdict_of(state.run.folder, state.run.folder / when)
        step.note(record.verdict)
    return record


def watch(config: pytest.Config, before: Before, cluster: Cluster | None, clock: Clock) -> During:
    """Sample every route and watch the cluster while it is upgraded, by this run (`cluster`) or by other means.

    Raises:
        HarnessError: the upgrade failed, or a watch ended before it; the record up to then is kept.

    """
    state = run_state(config)
    settings, run = state.settings, state.run
    files = _prepare(config, cluster) if cluster else []
    chain, waiter = before.witnesses, before.witnesses.waiter
    start, unseen = chain.objects.sequence(), chain.objects.unseen
    first = latest(chain.objects.log()[:start])
    folder = beside(state, SAMPLES) if settings.phase else run.folder / SAMPLES
    with (
        uncaptured(config),
        cluster_watch.watching(chain.api, clock) as watched,
        samplers.sampling(chain, watched.nodes, folder, clock, settings.ask) as running,
    ):
        began = running.began
        if running.silent:
            watched.record_step(f"no answer before the change: {some(running.silent)}")
        drained, failed = _attempt(lambda: _upgrade(state, before, watched, cluster, files), watched)
        restarted = drained if settings.reboot else ()

        def spans(until: float) -> tuple[NodeSpan, ...]:
            return presence.node_spans(watched.nodes.log(), began, until, listed=watched.began, restarted=restarted)

        if cluster and not failed:
            # Of each route of the Nodes that are there at the end.
            newest = max((span.start for span in spans(clock.wall()) if not span.ended), default=began)
            waiter.pause(max(0.0, newest + LEAST_SECONDS - clock.wall()))
        ended = clock.wall()
        waiter.pause(SETTLE_SECONDS)
    trouble = _trouble(chain.objects)
    nodes_served, samples = running.between(began, ended, spans(ended))
    if settings.phase and upgraded(before, watched):
        shutil.move(folder, run.folder / SAMPLES)
    observed = Observing(chain, watched, Observed(), start, began).now(ended)
    # Of an API server that went through several versions, the last.
    servers = (watched.server,) if watched.server else ()
    observed = replace(observed, servers=servers, spans=nodes_served, drained=drained, ended=ended)
    text = redact.text(settings.command) or figures.BY_HAND if is_change(settings) else ""
    record = record_of(state, before, observed, began, samples, text)
    state.upgrade.record = record
    if failed:
        raise failed
    # Raises the error of a watch that ended early, whose log is incomplete.
    chain.objects.read()
    seen = phases.versions(chain.objects.log(), start)
    return During(before, record, first, seen, chain.objects.unseen - unseen, trouble)


def record_of(
    state: RunState, before: Before, seen: Observed, began: float, routes: tuple[RouteSamples, ...], text: str
) -> UpgradeRecord:
    """Return the record since `began` (Unix seconds); `routes` are the samples that count, `text` is a change by other means."""
    hops = state.upgrade.hops
    return UpgradeRecord(
        hops=tuple(hop.version for hop in hops) or tuple(dict.fromkeys((before.snapshot.server, *seen.servers))),
        began=began,
        ended=seen.ended,
        routes=routes,
        events=seen.events,
        versions=seen.versions,
        relists=seen.relists,
        lost=seen.lost,
        control_planes=seen.control_planes,
        upgraded_by_this_run=bool(hops),
        change=text,
        ask_allowance=state.settings.ask_allowance,
        drained=seen.drained,
        nodes=seen.spans,
        warnings=tuple(before.snapshot.warnings),
        load=tuple(TRAFFIC.minutes(began, seen.ended)),
        absences=seen.absences,
    )


def upgraded(before: Before, watched: ClusterWatch) -> bool:
    """Whether every part of the cluster has left the version of the snapshot."""
    return watched.upgraded_from(before.snapshot.server, before.snapshot.nodes)


def _trouble(objects: History) -> str:
    """Bring a history up to date; return what keeps it from being so, "" if nothing does."""
    try:
        objects.refresh()
    except HarnessError as error:
        return str(error)
    return ""


def _prepare(config: pytest.Config, cluster: Cluster) -> list[HopFiles]:
    state = run_state(config)
    with uncaptured(config):
        return kubeadm.prepare(cluster, state.upgrade.hops, state.settings, store_of(state.settings), state.progress)


def _attempt(upgrade: Callable[[], tuple[str, ...]], watched: ClusterWatch) -> tuple[tuple[str, ...], HarnessError | None]:
    """Upgrade; return the drained Nodes, and the error if it failed, so that the record up to then is kept."""
    try:
        return upgrade(), None
    except HarnessError as error:
        watched.record_step("the upgrade stopped")
        return (), error


def _upgrade(
    state: RunState, before: Before, watched: ClusterWatch, cluster: Cluster | None, files: list[HopFiles]
) -> tuple[str, ...]:
    """Upgrade the cluster of the run, or wait for the end of an upgrade by other means; return the drained Nodes."""
    settings = state.settings
    if settings.rehearsal:
        _rehearse(state, before)
    elif cluster:
        # A client of its own: what the upgrade asks for on a cluster of the run is not what a claim declares.
        with contextlib.closing(before.witnesses.api.twin()) as api:
            return kubeadm.upgrade(cluster, api, state.upgrade.hops, files, watched.record_step, state.progress, way_of(settings))
    elif is_change(settings):
        until = f"until {settings.command} has ended" if settings.command else f"for {settings.for_:g} s" if settings.for_ else ""
        text = f"sampling {until}, or until Ctrl-C" if until else "sampling until Ctrl-C"
        with change.changing(settings.command, settings.for_, watched) as changed:
            _sample(state, before, watched, text, changed.over)
        changed.require_success()
        return watched.drained
    else:
        text = "sampling until every Node is upgraded, or until Ctrl-C"
        _sample(state, before, watched, text, partial(upgraded, before, watched))
        return watched.drained
    return ()


def _sample(state: RunState, before: Before, watched: ClusterWatch, text: str, over: Callable[[], bool]) -> None:
    """Let the samplers run until a change is over, or until a signal."""
    waiter = before.witnesses.waiter
    care = WitnessCare(before, watched, waiter.clock)
    with contextlib.suppress(KeyboardInterrupt), state.progress.step(redact.text(text)):
        while not over():
            care.tend()
            waiter.pause(WATCH_SECONDS)
    # The signal that ended the sampling does not end the run; the next signal does.
    INTERRUPTS.arm()


def _rehearse(state: RunState, before: Before) -> None:
    """Create a file in the run's folder when the rehearsal begins; return when it is deleted, or after the rehearsal's time."""
    waiter, file = before.witnesses.waiter, state.run.folder / suite_run.REHEARSING
    file.touch()
    over = Condition[bool](f"{file.name} deleted", lambda exists: expect(not exists, "the file"))
    within = Timeout(state.settings.rehearsal, "the setting --rehearsal")
    with contextlib.suppress(Unmet):
        waiter.eventually(Polled("rehearsal", file.exists, waiter.clock), over, within=within)
