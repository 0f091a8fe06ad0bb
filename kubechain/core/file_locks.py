"""Locks on files between processes. The operating system releases them when their process ends, also when it is killed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, lock_descriptor


def lock(path: Path) -> FileLock:
    """Return the lock of a file, not yet acquired; acquiring it creates the file, releasing it leaves the file in place."""
    # On a file system without locks, the fallback of filelock would stay locked after its process is killed.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


@contextmanager
def unless_held(path: Path) -> Generator[bool]:
    """Hold the lock of a file for the time of the body and yield True; yield False if a process holds it already.

    A file that does not exist has no holder and is not created.
    """
    try:
        file = path.open("r+", encoding="utf-8")
    except FileNotFoundError:
        yield True
        return
    with file:
        # A FileLock would create the file again if its owner has just removed it.
        yield lock_descriptor(file.fileno(), blocking=False)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; a process that is inside `unless_held` counts as a holder."""
    with unless_held(path) as free:
        return not free
