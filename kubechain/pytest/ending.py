"""What a run undoes at its end: namespaces and Nodes of a cluster that stays, and a cluster that it made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.cleanup import cordons, namespaces, run_locks
from kubechain.cluster import existing
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.pytest.session import uncaptured
from kubechain.pytest.state import RunState, run_state


def clean_up(config: pytest.Config) -> list[str]:
    """Undo what the run changed on its cluster; return one line for each thing that is left, and how it is removed."""
    state = run_state(config)
    provided = state.provided
    if provided is None or state.settings.join:
        return []
    target, left = provided.target, list[str]()
    with uncaptured(config):
        if run_locks.visited(state.settings.cache, state.run.name):
            command = "kubechain clean" if target.owned else f"kubechain clean --context {target.context}"
            left += attempt(lambda: _leave(state, target), command)
            state.leaves = bool(left)
        if provided.cluster and target.temporary:
            cluster = provided.cluster
            left += attempt(lambda: _delete(state, cluster), "kubechain clean")
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
    """Delete the namespaces of the run on a cluster that stays, and uncordon its Nodes.

    Fixtures have begun to delete them. Here, after the verdict, one that stays is no fact about the chain.
    """
    api = existing.connect(Path(target.kubeconfig), target.context, state.run.secrets)
    try:
        existing.verify(api, target.server, target.uid)
        _remove(state, api)
    finally:
        api.close()


def _remove(state: RunState, api: Api) -> None:
    for node in cordons.left_by(api, state.run.id):
        with state.progress.step(f"uncordoning the Node {node.name}"):
            cordons.uncordon(api, node.name, state.run.id)
    if namespaces.of_run(api, state.run.id):
        with state.progress.step("removing the namespaces of this run"):
            namespaces.remove_all(api, state.run.id)


def _delete(state: RunState, cluster: Cluster) -> None:
    """Delete the cluster that the run made; its mark stays if that fails, so that the next run deletes it."""
    with state.progress.step(f"deleting the cluster {cluster.name}"):
        cluster.delete()
    run_locks.unmark(state.settings.cache, cluster.name)
