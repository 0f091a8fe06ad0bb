"""The cache of builds. Each artifact is a folder named by a hash of its inputs, and appears only when it is complete."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.file_locks import is_held, lock, unless_held

GIB = 1024**3


def key(*parts: str | Path) -> str:
    """Return 12 hex digits of a SHA-256 over texts and over the content of files and folders (with the names of their files)."""
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
class BuildCache:
    """A folder of artifacts, shared by all runs on the machine."""

    root: Path

    def artifact(self, name: str, key: str, make: Callable[[Path], None], *, needs_gib: float = 1.0) -> Path:
        """Return the folder of an artifact; call `make` with an empty folder if it does not exist yet.

        A second process waits for the first. If `make` raises, its folder is removed. An older artifact of the same name
        stays, because another checkout may use it.

        Raises:
            SetupError: the artifact has to be made and less than `needs_gib` GiB are free (exit code DISK).

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
        """Hold the lock `name` of this cache for the time of the body; wait while another process holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with lock(self.root / f".lock-{name}"):
            yield

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """Yield an empty folder, which is removed after the body.

        This process holds a lock beside it; without a holder, `sweep` removes the folder. It is in the cache, because the
        docker client of a snap has a /tmp of its own.
        """
        with ExitStack() as stack:
            with self.locked("scratch"):
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.root, prefix=".scratch-")))
                stack.enter_context(lock(home / "lock"))
            folder = home / "files"
            folder.mkdir()
            yield folder

    def sweep(self) -> list[Path]:
        """Remove the unfinished folders of processes that died, and return their paths."""
        if not self.root.is_dir():
            return []
        removed: list[Path] = []
        with self.locked("scratch"):
            locks = {path: path / "lock" for path in self.root.glob(".scratch-*")}
            locks |= {path: self.root / path.name.replace(".half-", ".lock-", 1) for path in self.root.glob(".half-*")}
            for path, lock_file in sorted(locks.items()):
                with unless_held(lock_file) as free:
                    if free:
                        remove(path)
                        removed.append(path)
        return removed

    def busy(self) -> bool:
        """Whether a process is making an artifact."""
        return any(is_held(path) for path in self.root.glob(".lock-*"))

    def require_space(self, gib: float) -> None:
        """Raise a SetupError (exit code DISK) unless `gib` GiB are free on the disk of the cache."""
        self.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.root).free / GIB
        if free < gib:
            raise SetupError(f"{free:.1f} GiB free in {self.root}, {gib:g} GiB needed: free space on that disk", ExitCode.DISK)


def remove(path: Path) -> None:
    """Remove a file or a folder, also where its folders are read-only, as in the Go module cache."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
