"""Files that only their owner can read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def folder(path: Path) -> Path:
    """Make a folder that only its owner can enter, so that nobody else reads what is in it; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def written(parent: Path, content: bytes) -> Path:
    """Write a secret to a file, named by its content, in a folder that is made if necessary; return the path."""
    path = folder(parent) / hashlib.sha256(content).hexdigest()[:16]
    if not path.exists():
        # Replaced atomically: other processes of the run write and read the same file.
        descriptor, new = tempfile.mkstemp(dir=parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).replace(path)
    return path
