"""The pytest plugin that gives a run its cluster: made by the run's one controller, shared by its workers."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kubechain.cleanup import run_locks
from kubechain.cluster import existing
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.core import bundle
from kubechain.core import run as runs
from kubechain.core import settings as given
from kubechain.core.errors import HarnessError, SetupError
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.provision import cluster
from kubechain.provision.cluster import Choice, Provided

SUITES = "suites/"
PYTEST_KIND_DEFAULT_NAME = "pytest-kind"
RUN_KEY = pytest.StashKey[Run]()
SETTINGS_KEY = pytest.StashKey[Settings]()
PROGRESS_KEY = pytest.StashKey[Progress]()
PROVIDED_KEY = pytest.StashKey[Provided]()
SIGNS_KEY = pytest.StashKey[list[run_locks.RunLock]]()
# Why the run could not begin, for the report.
TROUBLE_KEY = pytest.StashKey[HarnessError]()


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return what the controller told this xdist worker, None in the controller and without xdist."""
    return getattr(config, "workerinput", None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run its identity; read the settings."""
    told = worker_input(config)
    try:
        settings = given.load()
    except SetupError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SETTINGS_KEY] = settings
    config.stash[PROGRESS_KEY] = Progress()
    config.stash[RUN_KEY] = runs.new(settings.out, told["run"] if told else None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which run it belongs to."""
    node.workerinput["run"] = node.config.stash[RUN_KEY].id


def asks_for_claims(config: pytest.Config) -> bool:
    """Whether the command line names claims to be run."""
    suites = bundle.ROOT / "suites"
    paths = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return not config.option.collectonly and any(path == suites or suites in path.parents for path in paths)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Show that the run is alive; let SIGTERM end it as Ctrl-C does: with everything put back."""
    config = session.config
    if worker_input(config) is None:
        signal.signal(signal.SIGTERM, _interrupt)
        if asks_for_claims(config):
            _show_signs(config)


def _show_signs(config: pytest.Config) -> None:
    """Show that the run is alive: on this machine, and beside its folder."""
    run, settings = config.stash[RUN_KEY], config.stash[SETTINGS_KEY]
    if SIGNS_KEY not in config.stash:
        config.stash[SIGNS_KEY] = [run_locks.show(settings.cache, run.name), run_locks.hold(run.lock)]


def _interrupt(_number: int, _frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without xdist: get the cluster once it is known that there are claims to run on it."""
    config = session.config
    here = worker_input(config) is None and not config.option.collectonly
    if here and any(item.nodeid.startswith(SUITES) for item in session.items):
        _provide(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """With xdist: get the cluster when the first worker has collected; no worker runs a claim before this returns."""
    config: pytest.Config = node.config
    if PROVIDED_KEY not in config.stash and any(nodeid.startswith(SUITES) for nodeid in ids):
        _provide(config)


def _provide(config: pytest.Config) -> None:
    settings, run, progress = config.stash[SETTINGS_KEY], config.stash[RUN_KEY], config.stash[PROGRESS_KEY]
    option = config.option
    name = "" if option.cluster_name == PYTEST_KIND_DEFAULT_NAME else option.cluster_name
    choice = Choice(
        name, option.kubeconfig or "", option.keep_cluster, option.kind_image or "", option.kind_bin,
        option.kind_kubectl_bin,
    )  # fmt: skip
    _show_signs(config)
    run.folder.mkdir(parents=True, exist_ok=True)
    with uncaptured(config):
        try:
            if settings.join:
                provided = cluster.join(settings.join)
            elif settings.context:
                provided = cluster.attach(run, settings, choice, progress)
            else:
                if name:
                    config.stash[SIGNS_KEY].append(run_locks.show(settings.cache, name))
                provided = cluster.kind_cluster(run, settings, choice, progress)
        except HarnessError as error:
            config.stash[TROUBLE_KEY] = error
            pytest.exit(str(error), returncode=int(error.code))
    provided.target.write(run.folder)
    config.stash[PROVIDED_KEY] = provided


@contextlib.contextmanager
def uncaptured(config: pytest.Config) -> Generator[None]:
    """Let progress be seen while it happens."""
    manager: Any = config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled() if manager else contextlib.nullcontext():
        yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Delete the cluster that this run made, whatever ended the run; a second signal does not stop it."""
    config = session.config
    provided = config.stash.get(PROVIDED_KEY, None)
    for number in (signal.SIGINT, signal.SIGTERM):
        if worker_input(config) is None:
            signal.signal(number, signal.SIG_IGN)
    with uncaptured(config):
        progress = config.stash[PROGRESS_KEY]
        if provided and provided.cluster:
            if provided.target.temporary:
                with progress.step(f"deleting cluster {provided.target.name}"):
                    provided.cluster.delete()
                run_locks.unmark(config.stash[SETTINGS_KEY].cache, provided.target.name)
            else:
                name = provided.target.name
                progress.console.print(f"  cluster {name} is kept; use it again with: make e2e CLUSTER={name} KEEP=1")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the signs of life away when all else has ended: until then, what the run has made is nobody else's."""
    for sign in config.stash.get(SIGNS_KEY, list[run_locks.RunLock]()):
        sign.withdraw()
    run = config.stash.get(RUN_KEY, None)
    if run and worker_input(config) is None:
        with contextlib.suppress(OSError):
            run.folder.parent.rmdir()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The cluster under test; its identity is checked again in each process that uses it."""
    run = request.config.stash[RUN_KEY]
    found = Target.read(run.folder)
    api = existing.connect(Path(found.kubeconfig), found.context, run.secrets)
    existing.verify(api, found.server, found.uid)
    api.close()
    return found


@pytest.fixture(scope="session")
def kind_cluster(request: pytest.FixtureRequest, target: Target) -> Cluster:
    """The kind cluster of this run, for claims that reach for its nodes; replaces pytest-kind's fixture."""
    if not target.owned:
        pytest.skip("needs a kind cluster of this project")
    folder = request.config.stash[RUN_KEY].folder
    image = target.versions["nodeImage"]
    return Cluster(target.name, folder, image, Path(target.kind), Path(target.kubectl), Path(target.docker))
