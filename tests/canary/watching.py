"""Watch the folders of a run while it runs: nobody else may read a file there at any moment."""

from __future__ import annotations

import stat
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

OTHERS = 0o077
SECONDS = 0.02


def open_to_others(folders: Iterable[Path]) -> list[str]:
    """Return the entries of these folders that others may read or enter."""
    found: list[str] = []
    for folder in folders:
        with suppress(FileNotFoundError):
            for path in folder.iterdir():
                # A file may vanish at any time. The lock of a run is empty.
                with suppress(FileNotFoundError):
                    mode = path.stat().st_mode
                    if stat.S_IMODE(mode) & OTHERS and not path.name.endswith(".lock"):
                        found.append(f"{path.name}: {stat.filemode(mode)}")
    return found


@contextmanager
def watched(*folders: Path) -> Generator[set[str]]:
    """Look at folders again and again during the body; yield the set of what others could read."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SECONDS):
            seen.update(open_to_others(folders))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
