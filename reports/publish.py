"""Putting a finished run's results where people look for them."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from pathlib import Path

from fixtures.run import SECRETS

# Of the run's folder, only for the run itself.
PRIVATE = {"kubeconfig", SECRETS, "target.json", "collected.json", "finished", "stories.json"}


def publish(folder: Path, out: Path) -> None:
    """Move the results of a run from its folder to `out`, in place of those of the run before; remove the folder."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in out.iterdir():
            if not old.name.startswith("."):
                remove(old)
        for new in folder.iterdir():
            if new.name not in PRIVATE:
                new.rename(out / new.name)
    remove(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
