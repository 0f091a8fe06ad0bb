"""What the cases of a rig came to, in a file: one JSON object a line, written as each case ends, so that a long run can go on.

A case counts only for the code that it ran on: whatever is changed, its cases run again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubechain.core.bundle import ROOT

# What a run consists of; a rig adds its own folder.
CODE = ("kubechain", "suites", "fixtures", "reports/*.py", "images/*.toml", "conftest.py", "pyproject.toml")


def code(*more: str) -> str:
    """Return the first digits of the digest of the code under the project's folder, and under more of its folders."""
    digest = hashlib.sha256()
    for path in sorted({path for each in (*CODE, *more) for path in _files(each)}):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _files(pattern: str) -> Iterable[Path]:
    for path in ROOT.glob(pattern):
        yield from ([path] if path.is_file() else (each for each in path.rglob("*.py")))


def commit() -> str:
    """Return the commit of the project's folder, with "-dirty" if files differ from it; "" outside of a repository."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


@dataclass
class Ledger:
    """The file of a rig, None for none, and the code that its cases run on now."""

    path: Path | None
    code: str
    commit: str = field(default_factory=commit)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problems(self) -> dict[str, list[str]]:
        """Return what the cases that ran on this code came to at last: name of a case -> what did not hold."""
        return {row["case"]: row["problems"] for row in self._rows() if row["code"] == self.code}

    def held(self) -> set[str]:
        """Return the cases that held on this code, and need not run again."""
        return {case for case, problems in self.problems().items() if not problems}

    def add(self, case: str, problems: Sequence[str], **more: object) -> None:
        """Write what a case came to, at once; `more` are further fields."""
        if not self.path:
            return
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        row = {"case": case, "problems": list(problems), **more, "code": self.code, "commit": self.commit, "at": at}
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A rig that was killed has left half a line.
            begun = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
            with self.path.open("a", encoding="utf-8") as file:
                file.write(("\n" if begun else "") + json.dumps(row) + "\n")

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path or not self.path.exists():
            return []
        rows: list[dict[str, Any]] = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # half a line
                rows.append(json.loads(line))
        return rows
