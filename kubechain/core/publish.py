"""Putting a finished run's results where people look for them, and taking away only what an earlier run put there."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from kubechain.core import file_locks, redact_files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.run import SECRETS

# Of the run's folder, only for the run itself.
PRIVATE = {"kubeconfig", SECRETS, "target.json", "collected.json", "finished", "scenarios.json", "rehearsing"}
# Names what the last publication put into the folder, so that the next one removes that and nothing else.
MANIFEST = ".published.json"
# Where the results of a run go that could not begin: they replace nothing.
NOT_BEGUN = "not-begun"
# What versions of the project published that left no manifest.
BEFORE_MANIFESTS = frozenset(
    {"report", "summary.md", "run.json", "junit.xml", "allure-results", "evidence", "kind.log", "faults", "faults.json"}
    | {"faults.svg", "upgrade.json", "upgrade.svg", "snapshot.json", "asked", "before", "after"}
)


def require_ours(out: Path) -> None:
    """Refuse a folder for results that holds what no run has put there.

    Raises:
        SetupError: `out` is no folder, or is neither empty nor ours (exit code USAGE).

    """
    if not out.is_dir():
        if out.exists() or out.is_symlink():
            raise SetupError(f"{out}: not a folder; name a new or empty one for the results (--out)", ExitCode.USAGE)
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _ours(out))
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        what = f"holds {shown}, which no run of kubechain put there; name a new or empty folder for the results (--out)"
        raise SetupError(f"{out}: {what}", ExitCode.USAGE)


def _ours(out: Path) -> set[str]:
    """Return the names in a folder that the project put there."""
    always = {MANIFEST, NOT_BEGUN, ".lock", ".runs"}
    published = _published(out)
    if published is None and (out / "run.json").is_file():
        return always | BEFORE_MANIFESTS
    return always | set(published or ())


def _published(out: Path) -> list[str] | None:
    """Return the names that the last publication put into the folder, None without a manifest that can be read."""
    try:
        names: list[str] = json.loads((out / MANIFEST).read_text())["names"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if Path(name).name == name and name not in ("", ".", "..")]


def publish(folder: Path, out: Path, *, begun: bool = True) -> Path:
    """Move the results of a run from its folder to `out`, in place of those of the run before; remove the folder.

    The results of a run that could not begin go to the folder NOT_BEGUN in `out`, and replace nothing else. Return where
    the results are.

    Raises:
        SetupError: `out` holds what no run put there (exit code USAGE); nothing is removed.

    """
    redact_files.folder(folder, private=PRIVATE)
    out.mkdir(parents=True, exist_ok=True)
    # Against other runs that publish there.
    with file_locks.lock(out / ".lock"):
        require_ours(out)
        where = out if begun else out / NOT_BEGUN
        where.mkdir(exist_ok=True)
        for name in _ours(where) - {MANIFEST, NOT_BEGUN, ".lock", ".runs"}:
            remove(where / name)
        found = sorted(path.name for path in folder.iterdir() if path.name not in PRIVATE)
        # First the list: what is published by a process that is killed half-way is known as ours.
        (where / MANIFEST).write_text(json.dumps({"names": found}, indent=2))
        for name in found:
            (folder / name).rename(where / name)
    remove(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
    return where


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a folder; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
