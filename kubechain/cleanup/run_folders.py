"""Remove the folders of dead runs, in which runs work until they publish their results."""

from __future__ import annotations

import contextlib
from pathlib import Path

from kubechain.core.build_cache import remove
from kubechain.core.file_locks import unless_held
from kubechain.core.progress import Progress
from kubechain.core.run import FOLDERS


def remove_dead(out: Path, progress: Progress) -> None:
    """Remove the folders of dead runs, which hold keys to clusters; a living run holds the lock beside its folder."""
    runs = out / FOLDERS
    for name in sorted({path.name.removesuffix(".lock") for path in runs.glob("*")}):
        folder, lock = runs / name, runs / f"{name}.lock"
        # The folder of another user cannot be removed; the step is shown as failed, and the run goes on.
        with contextlib.suppress(OSError), unless_held(lock) as free:
            if free:
                with progress.step(f"removing {folder}"):
                    remove(folder)
                    remove(lock)
    with contextlib.suppress(OSError):
        runs.rmdir()
