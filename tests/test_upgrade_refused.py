"""Phases of an upgrade that do not fit the cluster end with one line that says what to do, and change nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.core.errors import ExitCode
from kubechain.core.run import UPGRADE_LABEL
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.furniture import namespace
from tests.test_upgrade_snapshot import WRITTEN
from tests.upgrades.child import follow

SPACE = WRITTEN.namespace


def with_witnesses(made: Cluster, _file: Path) -> None:
    made.store.create(namespace(SPACE, **{UPGRADE_LABEL: WRITTEN.run}))


def of_another_cluster(made: Cluster, file: Path) -> None:
    with_witnesses(made, file)
    WRITTEN.write(file)


def without_witnesses(made: Cluster, file: Path) -> None:
    uid = made.store.required(("Namespace", "", "kube-system"))["metadata"]["uid"]
    WRITTEN.model_copy(update={"cluster_uid": uid}).write(file)


@pytest.mark.parametrize(
    ("phase", "prepare", "says"),
    [
        ("before", with_witnesses, f"upgrade before: the witnesses of run {WRITTEN.run} exist, in the namespace {SPACE}"),
        ("after", of_another_cluster, "of another cluster: kube-system has UID "),
        ("during", without_witnesses, f"the namespace of its witnesses, {SPACE}, does not exist; `kubechain upgrade after`"),
    ],
)
def test_phase_that_does_not_fit_ends_with_one_line(
    tmp_path: Path, phase: str, prepare: Callable[[Cluster, Path], None], says: str
) -> None:
    file, lines = tmp_path / "snapshot.json", list[str]()
    with cluster(tmp_path, plain(), lambda made: prepare(made, file)) as made:
        spaces = made.store.names("Namespace")
        words = ["upgrade", phase, "--context", CONTEXT, "--kubeconfig", str(made.kubeconfig), "--snapshot", str(file)]
        given = {name: "" for name in os.environ if name.startswith("KUBECHAIN_")}
        ended = follow(words, tmp_path / "out", {**given, "KUBECHAIN_CACHE": str(tmp_path / "cache")}, lines.append)
        assert made.store.names("Namespace") == spaces
    assert ended.exit_code == ExitCode.SNAPSHOT, "".join(lines)
    assert len([line for line in lines if line.startswith("no verdict: ") and says in line]) == 1, "".join(lines)
    assert not [line for line in lines if "Traceback" in line or "INTERNALERROR" in line]
