"""The run and its cluster: provided by the controller, and shared by the xdist workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from kubechain.claims import claim, waivers
from kubechain.cleanup import run_locks
from kubechain.core import bundle, files, known_secrets, output, proxies, publish, redact, secret_files, start_up
from kubechain.core import run as runs
from kubechain.core import settings as given
from kubechain.core.cluster_names import cluster_name
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.core.process import OWNER, identity
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings
from kubechain.faults.mutants import catalogue, covering, drawn
from kubechain.images.mutation import Guard
from kubechain.images.resolve import store_of
from kubechain.kube import shape
from kubechain.provision import cluster
from kubechain.provision.cluster import Choice
from kubechain.pytest.state import RUN, RunState, run_state, worker_input
from kubechain.workload.gates import Gatekeeper

PYTEST_KIND_DEFAULT_NAME = "pytest-kind"
# Folder of a run in which its processes tell each other of broken links.
SHUT = "shut"
# File in the folder of a run in which a worker says that no claims can be chosen, as by a bad -k or --only.
NO_CHOICE = "no-choice"
NO_CLUSTER = "claims need a cluster: name it with --kube-context NAME"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --kube-context, which names the cluster for claims of another repository."""
    text = "run the collected claims on the cluster of this context; only the claims change the cluster"
    parser.getgroup("kubechain").addoption("--kube-context", default="", metavar="NAME", help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and make the state of the run."""
    controller = worker_input(config)
    if controller is None and asks_for_claims(config):
        _steady_output(config)
    proxies.spare_loopback(os.environ)
    known_secrets.of_environment(os.environ)
    try:
        settings = given.load()
        if is_own_suite(config) and controller is None:
            processes: int = getattr(config.option, "numprocesses", None) or 1
            cluster.require_alone(settings.namespace, settings.context, processes, disruptive=settings.disruptive)
        shape.of("", settings.overlay, settings.tolerate, settings.nodes)
        known = waivers.read(settings.waivers)
    except SetupError as error:
        raise pytest.UsageError(redact.text(str(error))) from error
    if config.option.kube_context:
        settings = settings.model_copy(update={"context": config.option.kube_context})
    run = runs.new(settings.out, controller["run"] if controller else None)
    config.stash[RUN] = RunState(settings, run, Progress(), known, gatekeeper=Gatekeeper(run.folder / SHUT))
    if asks_for_claims(config):
        # Before another plugin makes it, with rights for others.
        secret_files.folder(run.folder)
        config.option.basetemp = config.option.basetemp or str(run.folder / runs.TEMPORARY)
        # The files of Allure belong to the results; the option of another repository has priority.
        if is_own_suite(config) or not config.option.allure_report_dir:
            config.option.allure_report_dir = str(run.folder / "allure-results")


def _steady_output(config: pytest.Config) -> None:
    """Make the output one that a run survives, also if pytest was called directly; pytest keeps the streams that it finds."""
    manager: Any = config.pluginmanager.getplugin("capturemanager")
    if manager:
        manager.stop_global_capturing()
    output.steady()
    if manager:
        manager.start_global_capturing()
        manager.suspend_global_capture()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the id of the run to an xdist worker."""
    node.workerinput["run"] = run_state(node.config).run.id


def is_own_suite(config: pytest.Config) -> bool:
    """Whether the command line names suites of kubechain."""
    suites = bundle.ROOT / "suites"
    return any(path == suites or suites in path.parents for path in paths(config))


def paths(config: pytest.Config) -> list[Path]:
    """Return the files and folders that the command line of pytest names."""
    return [Path(argument.partition("::")[0]).resolve() for argument in config.args]


def asks_for_claims(config: pytest.Config) -> bool:
    """Whether this pytest runs claims: suites of kubechain, or claims of another repository with --kube-context."""
    return not config.option.collectonly and (is_own_suite(config) or bool(config.option.kube_context))


def is_of_a_run(item: pytest.Item) -> bool:
    """Whether a test needs the cluster of the run: a claim, or the test of a fault."""
    return claim.of(item) is not None or "fault" in getattr(item, "fixturenames", ())


def pytest_sessionstart(session: pytest.Session) -> None:
    """Acquire the locks of the run, after all plugins have been imported."""
    start_up.end()
    config = session.config
    if worker_input(config) is None and asks_for_claims(config):
        _hold_locks(run_state(config))
        # Inherited by the xdist workers: if this process is killed, the next run ends them.
        os.environ.setdefault(OWNER, identity())


def _hold_locks(state: RunState) -> None:
    """Acquire the lock of the run in the cache and the lock beside its folder, and make the folder, once."""
    if not state.locks:
        state.locks = [run_locks.acquire(state.settings.cache, state.run.name), run_locks.hold(state.run.lock)]
        secret_files.folder(state.run.folder)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config) -> Generator[None, object, object]:
    """Note that the claims of the run are chosen: pytest calls the hook below also after a bad --only or -k."""
    state = run_state(config)
    try:
        chosen = yield
    except pytest.UsageError as error:
        if worker_input(config) is None:
            raise
        # A worker cannot end the run; the controller reads this before a claim begins.
        files.write(state.run.folder / NO_CHOICE, str(error))
        return None
    state.chosen = True
    return chosen


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Without xdist: provide the cluster if the collection has claims."""
    config = session.config
    if worker_input(config) is not None or config.option.collectonly or not run_state(config).chosen:
        return
    if any(map(is_of_a_run, session.items)):
        if not asks_for_claims(config):
            raise pytest.UsageError(NO_CLUSTER)
        _provide(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """With xdist: provide the cluster when the first worker has collected; workers start claims only after this returns."""
    config: pytest.Config = node.config
    state = run_state(config)
    if (wrong := state.run.folder / NO_CHOICE).exists():
        end(config, SetupError(wrong.read_text(encoding="utf-8"), ExitCode.USAGE))
    if asks_for_claims(config) and ids and state.provided is None and state.trouble is None:
        _provide(config)


def _provide(config: pytest.Config) -> None:
    """Provide the cluster; if that fails, end the run with the exit code of the error."""
    state, option = run_state(config), config.option
    name = "" if option.cluster_name == PYTEST_KIND_DEFAULT_NAME else option.cluster_name
    _hold_locks(state)
    fresh_line(config)
    # With xdist, the controller is in its loop, where signals are kept.
    with uncaptured(config), INTERRUPTS.interruptible():
        try:
            choice = Choice(
                checked_name(name), option.kubeconfig or "", option.keep_cluster, option.kind_image or "", option.kind_bin,
                option.kind_kubectl_bin, guards=_guards(state),
            )  # fmt: skip
            state.provided = _cluster_of(config, state, choice)
        except HarnessError as error:
            end(config, error)
    state.provided.target.write(state.run.folder)


def checked_name(name: str) -> str:
    """Return the name of the cluster; SetupError (exit code USAGE) if no kind cluster can have it."""
    try:
        return cluster_name(name)
    except ValueError as error:
        raise SetupError(f"--cluster-name={name}: {error}", ExitCode.USAGE) from error


def _guards(state: RunState) -> tuple[Guard, ...]:
    """Return what is inserted into the programs of the run's cluster."""
    if not state.settings.mutants:
        return ()
    if state.settings.cover:
        return covering.guards(store_of(state.settings), state.progress)
    return (*catalogue.GUARDS, *drawn.GUARDS)


def _cluster_of(config: pytest.Config, state: RunState, choice: Choice) -> cluster.Provided:
    settings: Settings = state.settings
    if settings.join:
        return cluster.join(settings.join)
    if not is_own_suite(config):
        return cluster.look_at(state.run, settings, choice, state.progress)
    if settings.context:
        return cluster.attach(state.run, settings, choice, state.progress)
    if choice.name:
        state.locks.append(run_locks.acquire(settings.cache, choice.name))
    return cluster.kind_cluster(state.run, settings, choice, state.progress)


def end(config: pytest.Config, error: HarnessError) -> NoReturn:
    """End the run because of an error, which becomes its verdict and exit code."""
    run_state(config).trouble = error
    # Without a code: pytest would repeat the reason after the verdict, which is the last line of a run.
    pytest.exit(redact.text(str(error)))


@contextlib.contextmanager
def uncaptured(config: pytest.Config) -> Generator[None]:
    """Disable the capturing of output during the body, so that progress is visible."""
    manager: Any = config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled() if manager else contextlib.nullcontext():
        yield


def fresh_line(config: pytest.Config) -> None:
    """End the line in which pytest, or xdist, is."""
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if terminal:
        terminal.ensure_newline()
        writer = config.get_terminal_writer()
        if writer.width_of_current_line:
            # With xdist, pytest does not know that it is within a line.
            writer.line()
        writer.flush()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Release the locks of the run last, because other runs may then remove what is left of it."""
    state = config.stash.get(RUN, None)
    if state is None:
        return
    if state.locks:
        # A run that pytest ended before its session had begun.
        with contextlib.suppress(OSError):
            publish.discard(state.run.folder)
    for lock in state.locks:
        if state.leaves and lock.path.name == state.run.name:
            lock.abandon()
        else:
            lock.release()
    if worker_input(config) is None:
        with contextlib.suppress(OSError):
            # Empty, if the run was refused.
            state.run.folder.rmdir()
        with contextlib.suppress(OSError):
            state.run.folder.parent.rmdir()
