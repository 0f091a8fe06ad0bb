"""Locks on files, against other processes: the operating system releases them when their process ends, however it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, lock_descriptor


def lock(path: Path) -> FileLock:
    """Return the lock of a file, not yet held; whoever holds it makes the file, and leaves it there."""
    # Where a file system has no locks, the library's substitute outlives a process that is killed.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


@contextmanager
def unless_held(path: Path) -> Generator[bool]:
    """Hold the lock of a file for the time of the body, and yield True; yield False if it is held already."""
    try:
        file = path.open("r+")
    except FileNotFoundError:
        yield True
        return
    with file:
        # A FileLock would make the file if its owner has just removed it.
        yield lock_descriptor(file.fileno(), blocking=False)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; another process that asks just now counts as a holder."""
    with unless_held(path) as free:
        return not free
