"""A run deletes every node of its cluster, also those that joined after its creation."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from kubechain.cleanup import run_locks
from kubechain.cluster.kind import Cluster
from kubechain.core.progress import Progress
from kubechain.pytest import ending
from tests.engine_objects import run_state


def test_nodes_that_joined_later_are_deleted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[str] = []

    def delete(cluster: Cluster) -> None:
        deleted.extend(sorted(cluster.ids))

    monkeypatch.setattr(Cluster, "delete", delete)
    cluster = Cluster("c", tmp_path, "image", Path("kind"), Path("kubectl"), Path("docker"))
    cluster.ids = frozenset({"first"})
    run_locks.mark_made(tmp_path, "c", {"first", "joined"})
    state = run_state({"cache": tmp_path})
    state.progress = Progress(Console(file=io.StringIO()))
    ending.delete(state, cluster)
    assert deleted == ["first", "joined"]
    assert run_locks.made(tmp_path, "c") == frozenset()
