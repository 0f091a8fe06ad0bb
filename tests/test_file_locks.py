"""Locks on files: held, waited for, released with their process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.cleanup import run_locks
from kubechain.core import file_locks
from kubechain.core.bundle import ROOT

HOLD = """
import sys
from pathlib import Path
from kubechain.core import file_locks
with file_locks.lock(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of the file `lock`."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_lock_is_held_until_its_process_is_killed(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    assert file_locks.is_held(tmp_path / "lock")
    holder.kill()
    holder.wait()
    assert not file_locks.is_held(tmp_path / "lock")
    with file_locks.lock(tmp_path / "lock"):
        assert file_locks.is_held(tmp_path / "lock")


def test_lock_is_waited_for_until_its_holder_is_killed(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    taken = threading.Event()

    def wait() -> None:
        with file_locks.lock(tmp_path / "lock"):
            taken.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert not taken.wait(0.2)
    holder.kill()
    assert taken.wait(5)
    waiter.join()


def test_free_lock_is_held_for_the_time_of_the_body(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with file_locks.unless_held(path) as free, file_locks.unless_held(path) as free_twice:
        assert (free, free_twice) == (True, False)
    assert not file_locks.is_held(path)


def test_looking_for_a_holder_does_not_create_the_file(tmp_path: Path) -> None:
    with file_locks.unless_held(tmp_path / "lock") as free:
        assert free
    assert not file_locks.is_held(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []


def test_content_of_a_locked_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("content")
    with file_locks.lock(tmp_path / "lock"):
        assert file_locks.is_held(tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == "content"


def test_run_waits_for_the_lock_of_another_and_then_holds_it(tmp_path: Path) -> None:
    first, later = run_locks.acquire(tmp_path, "dev"), list[run_locks.RunLock]()
    waiter = threading.Thread(target=lambda: later.append(run_locks.acquire(tmp_path, "dev")))
    waiter.start()
    waiter.join(0.1)
    assert not later
    first.release()
    waiter.join(5)
    assert run_locks.is_alive(tmp_path, "dev")
    later[0].release()
    assert not run_locks.is_alive(tmp_path, "dev")
