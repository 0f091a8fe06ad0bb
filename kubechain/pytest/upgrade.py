"""The pytest plugin that tells the story of an upgrade once, for all claims about it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from kubechain.claims.records import RunRecord
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings
from kubechain.images import pins
from kubechain.images.pins import Kubernetes
from kubechain.images.resolve import store_of
from kubechain.kube.client import Api
from kubechain.nested import suite_run
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter
from kubechain.pytest.given import CHAIN_KEY
from kubechain.pytest.session import PROGRESS_KEY, RUN_KEY, SETTINGS_KEY, TROUBLE_KEY, uncaptured
from kubechain.upgrade import cluster_watch, events, kubeadm, phases, routes, samplers, snapshot
from kubechain.upgrade import hops as route
from kubechain.upgrade import witnesses as witness
from kubechain.upgrade.cluster_watch import Watching
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.phases import After, Before, During
from kubechain.upgrade.snapshot import Snapshot
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory

SUITE = "suites/upgrade/"
PASSAGE_KEY = pytest.StashKey[UpgradeRecord]()
HOPS_KEY = pytest.StashKey[tuple[Kubernetes, ...]]()
DONE_KEY = pytest.StashKey[bool]()
# What the phases keep beside the snapshot: a folder of samples, and what was there after the upgrade.
ASKED, AFTER = "asked", "after.json"
KITS_KEY = pytest.StashKey[list[Path]]()
BASELINE_KEY = pytest.StashKey[Snapshot]()
# An answer that is late may take so long; then all samples are written.
SETTLE_SECONDS = 4.0
WATCH_SECONDS = 0.5
# An upgrade that takes less is asked on, for 5,000 samples of each path of the data plane.
LEAST_SECONDS = 5000 * routes.DATA_INTERVAL * 1.02


def of_upgrade(config: pytest.Config) -> bool:
    """Whether the command line names the suite of upgrades."""
    return any(str(argument).startswith(SUITE.rstrip("/")) for argument in config.args)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check what the run was told of an upgrade, before a cluster is made for it."""
    config = session.config
    if config.option.collectonly or not of_upgrade(config):
        return
    settings = config.stash[SETTINGS_KEY]
    try:
        if settings.phase:
            require_told(settings)
        if settings.phase in ("during", "after"):
            config.stash[BASELINE_KEY] = snapshot.read(snapshot_file(settings))
        elif not settings.phase and not settings.rehearsal:
            config.stash[HOPS_KEY] = route.hops(settings.k8s, settings.to, pins.load())
    except SetupError as error:
        end(config, error)


def require_told(settings: Settings) -> None:
    """Check that a phase is told of a cluster and of a file; SetupError if not."""
    if not settings.context:
        raise SetupError("CONTEXT= is not given: the cluster that is upgraded by other means", ExitCode.USAGE)
    file = snapshot_file(settings)
    if settings.phase == "before" and file.exists():
        raise SetupError(f"SNAPSHOT={file}: is there already, and its witnesses too; choose another name", ExitCode.SNAPSHOT)


def end(config: pytest.Config, error: SetupError) -> NoReturn:
    """End the run, which cannot go on."""
    config.stash[TROUBLE_KEY] = error
    pytest.exit(str(error), returncode=int(error.code))


def snapshot_file(settings: Settings) -> Path:
    """Return the snapshot file of the run."""
    if settings.snapshot is None:
        raise SetupError("SNAPSHOT= is not given: the file that make upgrade-before writes", ExitCode.USAGE)
    return settings.snapshot


def beside(settings: Settings, what: str) -> Path:
    """Return the file or folder beside the snapshot in which a phase keeps what it needs if it is interrupted."""
    file = snapshot_file(settings)
    return file.with_name(f"{file.name}.{what}")


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Note that the last claim was run: nothing was interrupted."""
    if nextitem is None:
        item.config.stash[DONE_KEY] = True


def wants(request: pytest.FixtureRequest, fixture: str) -> bool:
    """Whether any claim of the run uses a fixture."""
    return any(fixture in getattr(item, "fixturenames", ()) for item in request.session.items)


@pytest.fixture(scope="session")
def chain_before(request: pytest.FixtureRequest, target: Target) -> RunRecord:  # noqa: ARG001  # the cluster is there
    """What the run of the quick claims found on the cluster as it was before."""
    return whole_chain(request, "before")


@pytest.fixture(scope="session")
def chain_after(request: pytest.FixtureRequest, target: Target) -> RunRecord:
    """What the run of the quick claims found on the cluster as it is after the upgrade."""
    now: After = request.getfixturevalue("after")
    folder = request.config.stash[RUN_KEY].folder
    # Those who join look there for what the cluster is.
    replace(target, versions={**target.versions, "server": now.server}).write(folder)
    return whole_chain(request, "after")


def whole_chain(request: pytest.FixtureRequest, when: str) -> RunRecord:
    """Run the quick claims in a process of their own; what they found is published in a folder of that name."""
    folder, progress = request.config.stash[RUN_KEY].folder, request.config.stash[PROGRESS_KEY]
    with uncaptured(request.config), progress.step(f"the whole chain {when} the upgrade") as step:
        found = suite_run.verdict_of(folder, folder / when, (), 1.0)
        step.note(found.verdict)
    return found


@pytest.fixture(scope="session")
def before(request: pytest.FixtureRequest, chain_factory: ChainFactory) -> Iterator[Before]:
    """The witnesses and the snapshot: made now, or found where an earlier phase left them."""
    config = request.config
    settings, run, progress = config.stash[SETTINGS_KEY], config.stash[RUN_KEY], config.stash[PROGRESS_KEY]
    waiter = chain_factory.waiter()
    api, environment = chain_factory.api, chain_factory.environment
    if settings.phase in ("during", "after"):
        found = config.stash[BASELINE_KEY]
        try:
            found.require(environment.target.uid, snapshot_file(settings))
            if api.get("Namespace", "", found.namespace) is None:
                why = f"its witnesses are gone with the namespace {found.namespace}: was make upgrade-after run to its end?"
                raise SetupError(f"SNAPSHOT={snapshot_file(settings)}: {why}", ExitCode.SNAPSHOT)
        except SetupError as error:
            end(config, error)
        witnesses = witness.attach(api, environment, found.namespace, chain_factory.image_ids, waiter)
    else:
        verdict = request.getfixturevalue("chain_before").verdict if wants(request, "chain_before") else ""
        with uncaptured(config), progress.step("witnesses of the upgrade"):
            labels = run.labels if not settings.phase else {}
            witnesses = witness.make(api, environment, run.id, labels, chain_factory.image_ids, waiter)
            found = phases.capture(witnesses, run.id, verdict)
        found.write(run.folder / "snapshot.json" if not settings.phase else snapshot_file(settings))
    yield Before(witnesses, found)
    witnesses.observer.close()
    # A run that was interrupted can be run again: what it needs stays.
    if not settings.phase or (settings.phase == "after" and DONE_KEY in config.stash):
        witness.remove(api, found.namespace)
        if settings.phase:
            beside(settings, AFTER).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def during(request: pytest.FixtureRequest, before: Before, api: Api, clock: Clock) -> During:
    """Ask and watch all the time while the cluster is upgraded, by this run or by other means."""
    config = request.config
    settings, run, progress = config.stash[SETTINGS_KEY], config.stash[RUN_KEY], config.stash[PROGRESS_KEY]
    if HOPS_KEY in config.stash:
        cluster: Cluster = request.getfixturevalue("kind_cluster")
        with uncaptured(config):
            config.stash[KITS_KEY] = kubeadm.prepare(cluster, config.stash[HOPS_KEY], settings, store_of(settings), progress)
    chain, waiter = before.witnesses, before.witnesses.waiter
    start, first = chain.objects.sequence(), chain.objects.read()
    folder = beside(settings, ASKED) if settings.phase else run.folder / ASKED
    with (
        uncaptured(config),
        cluster_watch.watching(api, clock) as watched,
        samplers.probing(chain, folder, clock) as asked,
    ):
        began = asked.began
        drained, stopped = attempt(request, watched, before.snapshot, progress, waiter)
        if HOPS_KEY in config.stash and not stopped:
            waiter.pause(max(0.0, began + LEAST_SECONDS - clock.wall()))
        ended = clock.wall()
        waiter.pause(SETTLE_SECONDS)
    seen = asked.seen(began, ended)
    if settings.phase and watched.arrived(before.snapshot.server):
        shutil.move(folder, run.folder / ASKED)
    nodes, system = watched.nodes.log(), watched.system.log()
    happened = [*watched.steps, *events.upgrade_events(system, nodes, chain.objects.log(), began)]
    hops = config.stash.get(HOPS_KEY, ())
    record = UpgradeRecord(
        hops=tuple(each.version for each in hops) or (before.snapshot.server, watched.server or before.snapshot.server),
        began=began,
        ended=ended,
        routes=seen,
        events=tuple(sorted(happened, key=lambda event: event.at)),
        versions=events.versions(nodes, system, watched.servers, began),
        relists=sum(each.gaps for each in (chain.objects, watched.nodes, watched.system)),
        lost=sum(each.losses for each in (chain.objects, watched.nodes, watched.system)),
        control_planes=watched.control_planes,
        asked=bool(hops),
        drained=drained,
        warnings=tuple(before.snapshot.warnings),
    )
    config.stash[PASSAGE_KEY] = record
    if stopped:
        raise stopped
    # A watch that ended on the way has an error to raise here: its log would be taken for silence.
    chain.objects.read()
    return During(before, record, first, tuple(chain.objects.log(start)))


def attempt(
    request: pytest.FixtureRequest, watched: Watching, found: Snapshot, progress: Progress, waiter: Waiter
) -> tuple[tuple[str, ...], HarnessError | None]:
    """Do as `upgrade` does; return also what stopped it, so that what was seen until then is not lost."""
    try:
        return upgrade(request, watched, found, progress, waiter), None
    except HarnessError as error:
        watched.mark("the upgrade stopped")
        return (), error


def upgrade(
    request: pytest.FixtureRequest, watched: Watching, found: Snapshot, progress: Progress, waiter: Waiter
) -> tuple[str, ...]:
    """Upgrade the run's own cluster, or wait until others have; return the Nodes that were drained."""
    config = request.config
    settings = config.stash[SETTINGS_KEY]
    if settings.rehearsal:
        rehearse(config, waiter)
    elif settings.phase == "during":
        with contextlib.suppress(KeyboardInterrupt), progress.step("asking; ends with the upgrade of every Node, or with Ctrl-C"):
            while not watched.arrived(found.server):
                waiter.pause(WATCH_SECONDS)
        return watched.drained
    else:
        cluster: Cluster = request.getfixturevalue("kind_cluster")
        path, kits = config.stash[HOPS_KEY], config.stash[KITS_KEY]
        return kubeadm.travel(cluster, path, kits, watched.mark, progress, drain=settings.drain)
    return ()


def rehearse(config: pytest.Config, waiter: Waiter) -> None:
    """Show in the run's folder that a rehearsal has begun, and let its time pass, or wait until the sign is taken away."""
    seconds = config.stash[SETTINGS_KEY].rehearsal
    sign = config.stash[RUN_KEY].folder / suite_run.REHEARSING
    sign.touch()
    over = Condition[bool]("over", lambda there: expect(not there, "the sign is still there"))
    with contextlib.suppress(Unmet):
        waiter.eventually(Polled("rehearsal", sign.exists, waiter.clock), over, within=Timeout(seconds, "that was asked for"))


@pytest.fixture(scope="session")
def after(request: pytest.FixtureRequest, before: Before) -> After:
    """What is there now, looked at before any claim changes it."""
    config = request.config
    settings = config.stash[SETTINGS_KEY]
    if settings.phase != "after":
        wanted = [f"v{each.version}" for each in config.stash.get(HOPS_KEY, ())[-1:]]
        return phases.look(before, request.getfixturevalue("during"), "".join(wanted))
    kept = beside(settings, AFTER)
    if not kept.exists():
        phases.keep(phases.look(before, None, ""), kept)
    return phases.kept(before, kept)


@pytest.fixture
def witnesses(request: pytest.FixtureRequest, after: After, waiter: Any) -> Chain:
    """The chain of the witnesses, after the upgrade, to be changed by one claim after the other."""
    chain = after.before.witnesses
    request.node.stash[CHAIN_KEY] = chain
    return replace(chain, waiter=waiter)
