import subprocess
import sys
from pathlib import Path

from kubechain.cleanup import run_locks
from kubechain.core.bundle import ROOT

SHOW = """
import pathlib, sys
from kubechain.cleanup import run_locks
lock = run_locks.acquire(pathlib.Path(sys.argv[1]), "run")
print(1, flush=True)
input()
"""


def test_lock_is_held_until_its_process_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SHOW, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == b"1\n"
        assert run_locks.is_alive(tmp_path, "run")
        assert not run_locks.has_died(tmp_path, "run")
        process.kill()
    assert not run_locks.is_alive(tmp_path, "run")
    assert run_locks.has_died(tmp_path, "run")
    assert run_locks.living(tmp_path) == []


def test_withdrawn_lock_is_neither_alive_nor_dead(tmp_path: Path) -> None:
    lock = run_locks.acquire(tmp_path, "run")
    assert run_locks.living(tmp_path) == ["run"]
    lock.release()
    assert not run_locks.is_alive(tmp_path, "run")
    assert not run_locks.has_died(tmp_path, "run")
    assert not run_locks.is_alive(tmp_path, "another")


def test_query_creates_no_lock(tmp_path: Path) -> None:
    assert not run_locks.is_alive(tmp_path, "run")
    assert not (tmp_path / "runs").exists()


def test_marks_on_a_cluster_are_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    run_locks.mark_kept(tmp_path, "c", "uid")
    run_locks.mark_made(tmp_path, "c", ["n1", "n2"])
    assert run_locks.is_kept(tmp_path, "c")
    assert run_locks.made(tmp_path, "c") == {"n1", "n2"}
    assert run_locks.made(tmp_path, "other") == set()
    assert run_locks.names(tmp_path) == ["c"]
    run_locks.forget(tmp_path, "c")
    assert not run_locks.is_kept(tmp_path, "c")
    assert run_locks.names(tmp_path) == []


def test_visit_records_the_cluster_of_a_run(tmp_path: Path) -> None:
    run_locks.mark_visited(tmp_path, "run", "my context", "u-1")
    assert run_locks.visited(tmp_path, "run") == run_locks.Visit("u-1", "my context")
    assert run_locks.visited(tmp_path, "other") is None
    assert run_locks.visitors(tmp_path, "my context") == ["run"]
    assert run_locks.visitors(tmp_path, "another") == []


def test_lock_file_of_a_run_that_died_before_it_made_anything_is_removed(tmp_path: Path) -> None:
    for name in ("dead", "alive", "visitor"):
        run_locks.acquire(tmp_path, name).abandon()
    run_locks.mark_visited(tmp_path, "visitor", "test", "uid")
    living = run_locks.acquire(tmp_path, "alive")
    run_locks.forget_unmarked(tmp_path)
    assert run_locks.names(tmp_path) == ["alive", "visitor"]
    living.release()


def test_dead_visitors_of_a_cluster_are_forgotten_with_it_and_those_of_others_are_not(tmp_path: Path) -> None:
    run_locks.mark_kept(tmp_path, "c", "uid-1")
    for name, uid in (("dead", "uid-1"), ("elsewhere", "uid-2")):
        (run_locks.folder(tmp_path) / name).touch()
        run_locks.mark_visited(tmp_path, name, "kind-c", uid)
    run_locks.forget(tmp_path, "c")
    assert run_locks.names(tmp_path) == ["elsewhere"]
