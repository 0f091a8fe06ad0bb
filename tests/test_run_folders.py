"""Folders of dead runs are removed at the next start and by clean."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.cleanup import processes, run_folders, run_locks
from kubechain.cluster import docker_engine
from kubechain.core import run as runs
from kubechain.core.errors import SetupError
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings
from kubechain.provision import cluster
from kubechain.provision.cluster import Choice, Provided

Start = Callable[[runs.Run, Settings, Choice, Progress], Provided]


def died(out: Path, name: str = "dead") -> runs.Run:
    """Make what a killed run leaves: a folder with keys, and a lock file without a holder."""
    run = runs.new(out, name)
    run.secrets.mkdir(parents=True)
    (run.secrets / "key").write_text("secret")
    run_locks.hold(run.lock).lock.release()
    return run


def alive(out: Path, name: str = "alive") -> tuple[runs.Run, run_locks.RunLock]:
    run = runs.new(out, name)
    run.folder.mkdir(parents=True)
    return run, run_locks.hold(run.lock)


def test_only_folders_of_dead_runs_are_removed(tmp_path: Path) -> None:
    dead, (living, lock) = died(tmp_path), alive(tmp_path)
    progress = Progress()
    run_folders.remove_dead(tmp_path, progress)
    assert sorted(dead.folder.parent.iterdir()) == [living.folder, living.lock]
    assert [step.title for step in progress.steps] == [f"removing {dead.folder}"]
    lock.release()
    run_folders.remove_dead(tmp_path, progress)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_removed_is_reported_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck, dead = died(tmp_path, "a"), died(tmp_path, "b")

    def refused(path: Path) -> None:
        if path == stuck.folder:
            raise PermissionError
        remove(path)

    remove = run_folders.remove
    monkeypatch.setattr(run_folders, "remove", refused)
    run_folders.remove_dead(tmp_path, Progress())
    assert (stuck.folder.exists(), dead.folder.exists()) == (True, False)
    assert f"failed removing {stuck.folder}" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("start", [cluster.attach, cluster.kind_cluster])
def test_next_start_removes_the_folder_of_a_dead_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    dead, (living, _lock) = died(tmp_path / "out"), alive(tmp_path / "out")

    def ends(*_: object) -> None:
        raise SetupError("far enough")

    def nothing(_: Progress) -> None:
        assert dead.folder.exists(), "the folder is removed before the programs that write to it have ended"

    def located(*_: object) -> Path:
        return tmp_path / "kubeconfig"

    # Other dead runs of this machine are no part of this test.
    monkeypatch.setattr(processes, "end", nothing)
    monkeypatch.setattr(docker_engine, "ensure", ends)
    monkeypatch.setattr(cluster.existing, "kubeconfig", located)
    monkeypatch.setattr(cluster.existing, "connect", ends)
    settings = Settings.model_validate({"cache": tmp_path / "cache", "out": tmp_path / "out", "context": "x"})
    choice = Choice(name="", kubeconfig="", keep=False, node_image="", kind=None, kubectl=None)
    with pytest.raises(SetupError, match="far enough"):
        start(living, settings, choice, Progress())
    assert sorted(living.folder.parent.iterdir()) == [living.folder, living.lock]
