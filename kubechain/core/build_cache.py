"""The store of builds: each artifact a folder named by what it is built from, made once and never half."""

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
class BuildCache:
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
        with lock(self.root / f".lock-{name}"):
            yield

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """Yield an empty folder for the time of the body.

        Beside it is a lock, so that `sweep` can tell when its process has died. It lies in the store, because a
        docker client may not be able to read /tmp.
        """
        with ExitStack() as stack:
            with self.locked("scratch"):
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.root, prefix=".scratch-")))
                stack.enter_context(lock(home / "lock"))
            folder = home / "files"
            folder.mkdir()
            yield folder

    def sweep(self) -> list[Path]:
        """Remove what processes that died have left half-made, and return what that was."""
        if not self.root.is_dir():
            return []
        removed: list[Path] = []
        with self.locked("scratch"):
            found = [(path, path / "lock") for path in self.root.glob(".scratch-*")]
            halves = self.root.glob(".half-*")
            found += [(path, self.root / path.name.replace(".half-", ".lock-", 1)) for path in halves]
            for path, sign in sorted(found):
                with unless_held(sign) as free:
                    if free:
                        remove(path)
                        removed.append(path)
        return removed

    def busy(self) -> bool:
        """Whether some process makes an artifact just now."""
        return any(is_held(path) for path in self.root.glob(".lock-*"))

    def require_space(self, gib: float) -> None:
        """Raise a SetupError unless `gib` GiB are free where the store is."""
        self.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.root).free / GIB
        if free < gib:
            raise SetupError(f"{free:.1f} GiB free in {self.root}, {gib:g} GiB needed: make room there", ExitCode.DISK)


def remove(path: Path) -> None:
    """Remove a file or a folder, also one whose folders are read-only, as those of a Go module are."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
