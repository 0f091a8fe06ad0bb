"""The store of builds: each artifact a folder named by what it is built from, made once and never half."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixtures.errors import ExitCode, SetupError

GIB = 1024**3


def key(*parts: str | Path) -> str:
    """Return 12 hex digits that stand for these texts and for the content of these files and folders."""
    digest = hashlib.sha256()
    for part in parts:
        for chunk in _content(part):
            digest.update(len(chunk).to_bytes(8, "big"))
            digest.update(chunk)
    return digest.hexdigest()[:12]


def _content(part: str | Path) -> Iterable[bytes]:
    if isinstance(part, str):
        yield part.encode()
    elif part.is_dir():
        for file in sorted(p for p in part.rglob("*") if p.is_file()):
            yield str(file.relative_to(part)).encode()
            yield file.read_bytes()
    else:
        yield part.read_bytes()


@dataclass(frozen=True)
class Store:
    """A folder of artifacts, shared by all runs on the machine."""

    root: Path

    def artifact(self, name: str, key: str, make: Callable[[Path], None], *, needs_gib: float = 1.0) -> Path:
        """Return the folder of an artifact; call `make` with an empty folder if it does not exist yet.

        A second process waits for the first; what `make` leaves behind when it raises is removed. An older artifact
        of the same name is kept: another checkout may be using it.

        Raises:
            SetupError: less than `needs_gib` is free before it is made (exit code DISK).

        """
        done = self.root / f"{name}-{key}"
        if done.is_dir():
            return done
        with self.locked(name):
            if done.is_dir():
                return done
            self.require_space(needs_gib)
            half = self.root / f".half-{name}"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            try:
                make(half)
                half.rename(done)
            finally:
                shutil.rmtree(half, ignore_errors=True)
        return done

    @contextmanager
    def locked(self, name: str) -> Generator[None]:
        """Hold a lock of that name against all other processes."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f".lock-{name}").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def require_space(self, gib: float) -> None:
        """Raise a SetupError unless `gib` GiB are free where the store is."""
        free = shutil.disk_usage(self.root).free / GIB
        if free < gib:
            raise SetupError(f"{free:.1f} GiB free in {self.root}, {gib:g} GiB needed: make room there", ExitCode.DISK)
