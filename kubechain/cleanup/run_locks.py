"""Which runs are alive: each holds a lock on a file of its own for as long as its process lives, however it ends.

Beside the signs of life lie marks on clusters: made by the project, kept on purpose, or visited by a run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from kubechain.core import file_locks

MARKS = ("made", "kept", "visited")


@dataclass
class RunLock:
    """The sign of life of one run, which holds the lock of its file."""

    path: Path
    lock: FileLock

    def withdraw(self) -> None:
        """Remove the sign: the run has nothing left on the machine, nor on a cluster that it visited."""
        self.path.with_name(f"{self.path.name}.visited").unlink(missing_ok=True)
        # While it is held: nobody finds the file of a run that has ended, and takes it for one that died.
        self.path.unlink(missing_ok=True)
        self.lock.release()


def folder(cache: Path) -> Path:
    """Return where the signs are."""
    return cache / "runs"


def show(cache: Path, name: str) -> RunLock:
    """Show that the run `name`, or the one that uses the cluster `name`, is alive."""
    return hold(folder(cache) / name)


def hold(path: Path) -> RunLock:
    """Make a file that tells by its lock that this process is alive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = file_locks.lock(path)
    lock.acquire()
    return RunLock(path, lock)


def is_alive(cache: Path, name: str) -> bool:
    """Whether the run `name`, or one that uses the cluster `name`, lives on this machine."""
    return file_locks.is_held(folder(cache) / name)


def has_died(cache: Path, name: str) -> bool:
    """Whether the run `name` was on this machine and ended without taking its sign away."""
    return (folder(cache) / name).exists() and not is_alive(cache, name)


def names(cache: Path) -> list[str]:
    """Return the names of all runs and clusters of which anything is noted."""
    found = (path.name for path in folder(cache).glob("*"))
    return sorted({name.rpartition(".")[0] if name.endswith(tuple(f".{mark}" for mark in MARKS)) else name for name in found})


def living(cache: Path) -> list[str]:
    """Return the names whose run is alive."""
    return [name for name in names(cache) if is_alive(cache, name)]


def made(cache: Path, name: str, nodes: Collection[str] = ()) -> None:
    """Note that a cluster is made by a run: first that it will be, then with the ids of its node containers."""
    _mark(cache, name, "made", " ".join(sorted(nodes)))


def is_made(cache: Path, name: str, nodes: Collection[str]) -> bool:
    """Whether the cluster with these node containers was made by a run.

    Names alone do not tell: another user, or a run with another cache, may have a cluster of that name.
    """
    noted = _marked(cache, name, "made")
    return noted is not None and (not noted or not set(noted.split()).isdisjoint(nodes))


def is_ours(cache: Path, name: str, nodes: Collection[str]) -> bool:
    """Whether a run made just these node containers, so that they may be disturbed: a mark without their ids does not tell."""
    return bool(nodes) and set(nodes) <= set((_marked(cache, name, "made") or "").split())


def keep(cache: Path, name: str) -> None:
    """Note that a cluster is kept on purpose."""
    _mark(cache, name, "kept")


def is_kept(cache: Path, name: str) -> bool:
    """Whether a cluster is kept on purpose."""
    return _marked(cache, name, "kept") is not None


def visit(cache: Path, name: str, context: str, uid: str) -> None:
    """Note that the run `name` makes namespaces on a cluster that stays, known by its context and its UID."""
    _mark(cache, name, "visited", f"{uid} {context}")


def visited(cache: Path, name: str) -> tuple[str, str] | None:
    """Return (UID, context) of the cluster that stays on which a run makes namespaces, None if there is none."""
    uid, _, context = (_marked(cache, name, "visited") or "").partition(" ")
    return (uid, context) if uid else None


def visitors(cache: Path, context: str) -> list[str]:
    """Return the runs that died on the cluster of a context."""
    seen = ((name, visited(cache, name)) for name in names(cache) if not is_alive(cache, name))
    return [name for name, where in seen if where and where[1] == context]


def unmark(cache: Path, name: str) -> None:
    """Remove the marks on a cluster that is gone; the next of that name may be somebody else's."""
    for mark in MARKS:
        (folder(cache) / f"{name}.{mark}").unlink(missing_ok=True)


def forget(cache: Path, name: str) -> None:
    """Remove what is noted of a run or a cluster that is gone."""
    unmark(cache, name)
    (folder(cache) / name).unlink(missing_ok=True)


def _mark(cache: Path, name: str, mark: str, text: str = "") -> None:
    folder(cache).mkdir(parents=True, exist_ok=True)
    (folder(cache) / f"{name}.{mark}").write_text(text)


def _marked(cache: Path, name: str, mark: str) -> str | None:
    try:
        return (folder(cache) / f"{name}.{mark}").read_text()
    except FileNotFoundError:
        return None
