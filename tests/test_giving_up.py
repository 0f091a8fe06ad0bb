"""A kind cluster that could not be made, or whose making was interrupted."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kubechain.cleanup import run_locks
from kubechain.cluster.kind import Cluster
from kubechain.core.errors import SetupError
from kubechain.core.progress import Progress
from kubechain.provision import cluster as provision


def give_up(cache: Path, delete: list[SetupError | None], exists: list[bool]) -> None:
    """Give up a cluster whose deletions have these errors, and which is there or not after each of them."""

    def next_delete() -> None:
        error = delete.pop(0)
        if error:
            raise error

    made = SimpleNamespace(name="c", delete=next_delete, remains=lambda: ["node"] * exists.pop(0))
    run_locks.mark_made(cache, "c", ["node"])
    provision.give_up(cast("Cluster", made), cache, Progress())


def test_cluster_that_cannot_be_deleted_keeps_its_mark_for_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give_up(tmp_path, [SetupError("deleting the cluster c failed")], [])
    assert run_locks.made(tmp_path, "c")
    assert "deleting the cluster c failed; the next run or `kubechain clean` deletes it" in capsys.readouterr().err


def test_node_that_the_engine_makes_late_is_deleted_too(tmp_path: Path) -> None:
    deletions: list[SetupError | None] = [None, None]
    give_up(tmp_path, deletions, [True, False])
    assert deletions == []
    assert not run_locks.made(tmp_path, "c")
