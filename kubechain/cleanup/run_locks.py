"""Locks that show which runs live: each run holds the lock of a file until its process ends, also when it is killed.

Beside the lock files are marks, which are files too: a cluster was made by a run, a cluster is to be kept, or a run visited
a cluster that it does not delete.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from kubechain.core import file_locks

MARKS = ("made", "kept", "visited")


class Visit(NamedTuple):
    """The cluster that a run visited: its UID, its context, and the only namespace that the run used, "" if it made its own.

    With a namespace, the UID is that of the namespace.
    """

    uid: str
    context: str
    namespace: str = ""

    @property
    def command(self) -> str:
        """The command that removes what the run left there."""
        return f"kubechain clean --context {self.context}" + (f" --namespace {self.namespace}" if self.namespace else "")


@dataclass
class RunLock:
    """The lock of a living run, and the file of the lock."""

    path: Path
    lock: FileLock

    def release(self) -> None:
        """Remove the file and the mark of a visited cluster: the run has removed everything that it made."""
        self.path.with_name(f"{self.path.name}.visited").unlink(missing_ok=True)
        # Removed before the release: a file without a holder would mean that the run died.
        self.path.unlink(missing_ok=True)
        self.lock.release()

    def abandon(self) -> None:
        """Release the lock and keep the file and the mark: by them the next run finds what this run could not remove."""
        self.lock.release()


def folder(cache: Path) -> Path:
    """Return the folder of the lock files and marks."""
    return cache / "runs"


def acquire(cache: Path, name: str) -> RunLock:
    """Acquire the lock of the run `name` or of the cluster `name`; wait while another run holds it."""
    return hold(folder(cache) / name)


def hold(path: Path) -> RunLock:
    """Create a lock file and acquire its lock; wait while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = file_locks.lock(path)
    lock.acquire()
    return RunLock(path, lock)


def is_alive(cache: Path, name: str) -> bool:
    """Whether a living process on this machine holds the lock of the run `name` or of the cluster `name`."""
    return file_locks.is_held(folder(cache) / name)


def has_died(cache: Path, name: str) -> bool:
    """Whether the run `name` on this machine ended without releasing its lock."""
    return (folder(cache) / name).exists() and not is_alive(cache, name)


def names(cache: Path) -> list[str]:
    """Return the names of all runs and clusters with a lock file or a mark, sorted."""
    suffixes = tuple(f".{mark}" for mark in MARKS)
    return sorted({path.stem if path.name.endswith(suffixes) else path.name for path in folder(cache).glob("*")})


def living(cache: Path) -> list[str]:
    """Return the names of all runs and clusters whose lock is held, sorted."""
    return [name for name in names(cache) if is_alive(cache, name)]


def mark_made(cache: Path, name: str, nodes: Collection[str]) -> None:
    """Mark a cluster as made by a run, by the ids of its node containers, or before there are any by their image."""
    _mark(cache, name, "made", " ".join(sorted(nodes)))


def made(cache: Path, name: str) -> frozenset[str]:
    """Return the ids or the image of the node containers of the cluster of this name that a run made."""
    return frozenset((_read_mark(cache, name, "made") or "").split())


def mark_kept(cache: Path, name: str, uid: str) -> None:
    """Mark a cluster as kept on purpose (--keep); `uid` is that of the cluster."""
    _mark(cache, name, "kept", uid)


def is_kept(cache: Path, name: str) -> bool:
    """Whether a cluster is kept on purpose (--keep)."""
    return _read_mark(cache, name, "kept") is not None


def mark_visited(cache: Path, name: str, context: str, uid: str, namespace: str = "") -> None:
    """Mark that the run `name` makes namespaces, or objects in one, on a cluster that it does not delete."""
    _mark(cache, name, "visited", f"{uid} {context}\n{namespace}")


def visited(cache: Path, name: str) -> Visit | None:
    """Return the visit of a run to a cluster that it does not delete, None if it visited none."""
    first, _, namespace = (_read_mark(cache, name, "visited") or "").partition("\n")
    uid, _, context = first.partition(" ")
    return Visit(uid, context, namespace) if uid else None


def visitors(cache: Path, context: str) -> list[str]:
    """Return the names of dead runs that visited the cluster of a context."""
    visits = ((name, visited(cache, name)) for name in names(cache) if not is_alive(cache, name))
    return [name for name, visit in visits if visit and visit.context == context]


def unmark(cache: Path, name: str) -> None:
    """Remove the marks of a deleted cluster; the next cluster of that name may belong to another user.

    The dead runs on it are forgotten as well: what they left was on that cluster.
    """
    uid = _read_mark(cache, name, "kept")
    if uid:
        forget_visitors(cache, uid)
    for mark in MARKS:
        (folder(cache) / f"{name}.{mark}").unlink(missing_ok=True)


def forget(cache: Path, name: str) -> None:
    """Remove the lock file and the marks of an ended run or of a deleted cluster."""
    unmark(cache, name)
    (folder(cache) / name).unlink(missing_ok=True)


def forget_visitors(cache: Path, uid: str) -> None:
    """Forget the dead runs that visited the cluster, or the namespace, of this UID: nothing of theirs is left there."""
    for name in names(cache):
        visit = visited(cache, name)
        if visit and visit.uid == uid and not is_alive(cache, name):
            forget(cache, name)


def forget_unmarked(cache: Path) -> None:
    """Remove the lock files of runs that died before they made or visited a cluster: they have no mark."""
    for name in names(cache):
        if not is_alive(cache, name) and all(_read_mark(cache, name, mark) is None for mark in MARKS):
            forget(cache, name)


def _mark(cache: Path, name: str, mark: str, text: str = "") -> None:
    folder(cache).mkdir(parents=True, exist_ok=True)
    (folder(cache) / f"{name}.{mark}").write_text(text, encoding="utf-8")


def _read_mark(cache: Path, name: str, mark: str) -> str | None:
    try:
        return (folder(cache) / f"{name}.{mark}").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
