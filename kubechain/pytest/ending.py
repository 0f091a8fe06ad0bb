"""What a run ends and undoes at its end: fixtures, workers, namespaces and Nodes of a cluster that stays, its own cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kubechain.cleanup import cordons, marked_objects, namespaces, processes, run_locks
from kubechain.cleanup.marked_objects import Space
from kubechain.cluster import existing
from kubechain.cluster.access import Access
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.files import full_disk
from kubechain.kube.client import Api
from kubechain.pytest.outcomes import one_line
from kubechain.pytest.session import asks_for_claims, fresh_line, uncaptured
from kubechain.pytest.state import RunState, run_state, worker_input

OUTPUT = "failedAtEnd"


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
    """Go on with the end of the run if a fixture or the hook of another plugin fails: the results count all the same."""
    if exitstatus == ExitCode.INTERRUPTED and asks_for_claims(session.config):
        _say_so(session.config)
    try:
        return (yield)
    except Exception as error:
        if not asks_for_claims(session.config):
            raise
        failed = [error, *_end_claims(session)]
    state = run_state(session.config)
    # That the disk is full has been said once.
    said = state.trouble is not None and state.trouble.code == ExitCode.DISK
    untold = [each for each in failed if not (said and full_disk(each, state.settings.out))]
    lines = [f"the end of the last claim failed: {one_line(each)}" for each in untold]
    state.at_end += lines
    if worker_input(session.config) is not None:
        vars(session.config)["workeroutput"][OUTPUT] = lines
    return None


def _say_so(config: pytest.Config) -> None:
    """Say in the controller what the run does: nothing else is printed until its fixtures are torn down, which may take long."""
    state = run_state(config)
    if worker_input(config) is None and state.provided and not state.trouble:
        fresh_line(config)
        state.progress.console.print("  .. interrupted: removing what the run has made")


def _end_claims(session: pytest.Session) -> list[Exception]:
    """Tear down the fixtures and end the workers, which pytest leaves out if another hook has failed; return what fails."""
    failed = list[Exception]()
    runner: Any = session.config.pluginmanager.getplugin("runner")
    distribution: Any = session.config.pluginmanager.getplugin("dsession")
    ends = [partial(runner.pytest_sessionfinish, session)] + ([distribution.pytest_sessionfinish] if distribution else [])
    for each in ends:
        try:
            each()
        except Exception as error:  # noqa: BLE001  # a fixture may raise anything; the workers are ended all the same
            failed.append(error)
    return failed


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the controller: keep what failed at the end of a worker."""
    run_state(node.config).at_end += getattr(node, "workeroutput", {}).get(OUTPUT, [])


def clean_up(config: pytest.Config) -> list[str]:
    """Undo what the run changed on its cluster; return one line for each thing that is left, and how it is removed."""
    state = run_state(config)
    provided = state.provided
    if state.settings.join:
        return []
    with uncaptured(config):
        # Programs of a worker that was killed; those of this process have ended with what started them.
        left = attempt(lambda: processes.end(state.progress), "kubechain clean")
        if provided is None:
            return left
        target = provided.target
        if visit := run_locks.visited(state.settings.cache, state.run.name):
            command = "kubechain clean" if target.owned else visit.command
            on_cluster = attempt(lambda: _leave(state, target), command)
            state.leaves = bool(on_cluster)
            left += on_cluster
        if provided.cluster and target.temporary:
            cluster = provided.cluster
            left += attempt(lambda: delete(state, cluster), "kubechain clean")
        elif provided.cluster:
            text = f"  cluster {target.name} is kept; use it again with: kubechain run --cluster {target.name} --keep"
            state.progress.console.print(text, soft_wrap=True, markup=False)
    return left


def attempt(undo: Callable[[], object], command: str) -> list[str]:
    """Undo something; return [] or one line that says what failed and which command tries again."""
    try:
        undo()
    except (HarnessError, OSError) as error:
        return [f"{' '.join(str(error).split())}; the next run there or `{command}` tries again"]
    return []


def _leave(state: RunState, target: Target) -> None:
    """Delete the namespaces of the run on a cluster that stays, and uncordon its Nodes; or its objects in the only namespace.

    Fixtures have begun to delete them. Here, after the verdict, one that stays is no fact about the chain.
    """
    api = existing.connect(Path(target.kubeconfig), target.context, state.run.secrets)
    try:
        existing.verify(api, target.server, target.uid, target.namespace)
        if target.namespace:
            access = Access(api, target.namespace)
            _remove_objects(state, Space(api, target.namespace, access, bool(target.pull_secret)))
        else:
            _remove(state, api)
    finally:
        api.close()


def _remove_objects(state: RunState, space: Space) -> None:
    if space.marked(state.run.id):
        marked_objects.remove_run(space, state.run.id, state.progress, ExitCode.CLEANUP)


def _remove(state: RunState, api: Api) -> None:
    for node in cordons.left_by(api, state.run.id):
        with state.progress.step(f"uncordoning the Node {node.name}"):
            cordons.uncordon(api, node.name, state.run.id)
    if namespaces.of_run(api, state.run.id):
        with state.progress.step("removing the namespaces of this run"):
            namespaces.remove_all(api, state.run.id)


def delete(state: RunState, cluster: Cluster) -> None:
    """Delete the cluster that the run made; its mark stays if that fails, so that the next run deletes it."""
    # An upgrade may have replaced nodes.
    cluster.ids |= run_locks.made(state.settings.cache, cluster.name)
    with state.progress.step(f"deleting the cluster {cluster.name}"):
        cluster.delete()
    run_locks.unmark(state.settings.cache, cluster.name)
