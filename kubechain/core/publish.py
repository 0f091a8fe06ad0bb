"""Move the results of a finished run to the folder of --out, and remove there only the results of earlier runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from kubechain.core import file_locks, files, redact_files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.run import PRESENT, SECRETS, TEMPORARY

# Entries of a run's folder that are not published.
PRIVATE = {
    "kubeconfig",
    "kind.yaml",
    SECRETS,
    "target.json",
    "collected.json",
    "all-parts.json",
    "finished",
    "scenarios.json",
    "rehearsing",
    "shut",
    "fail-fast",
    "unknown-claim",
    PRESENT,
    TEMPORARY,
    "replaced",
}
# Lists the entries that the last publication put into the folder, so that the next publication removes only those.
MANIFEST = ".published.json"
# Folder for the results of a run that could not begin, beside the results of the run before.
NOT_BEGUN = "not-begun"
# Folder for results that could not be published: each run has a folder there, which no run removes.
NOT_PUBLISHED = "not-published"
# Entries of the folder that are no results.
ALWAYS = frozenset({MANIFEST, NOT_BEGUN, NOT_PUBLISHED, ".lock", ".runs"})
# Entries that earlier versions of kubechain published, without a manifest.
BEFORE_MANIFESTS = frozenset(
    {"report", "summary.md", "run.json", "junit.xml", "allure-results", "evidence", "kind.log", "faults", "faults.json"}
    | {"faults.svg", "upgrade.json", "upgrade.html", "snapshot.json", "asked", "before", "after"}
)


def require_ours(out: Path) -> None:
    """Refuse a folder for results that holds anything else than results of kubechain.

    Raises:
        SetupError: `out` is not a folder, or holds files of others (exit code USAGE).

    """
    if not out.is_dir():
        if out.exists() or out.is_symlink():
            raise SetupError(f"--out={out}: not a folder; choose a new or empty folder", ExitCode.USAGE)
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _ours(out))
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        what = f"holds {shown}, which kubechain did not write; choose a new or empty folder"
        raise SetupError(f"--out={out}: {what}", ExitCode.USAGE)


def _ours(out: Path) -> set[str]:
    """Return the names of entries in a folder that kubechain wrote, or may write."""
    published = _published(out)
    if published is None and (out / "run.json").is_file():
        return set(ALWAYS | BEFORE_MANIFESTS)
    return {*ALWAYS, *(published or ())}


def _published(out: Path) -> list[str] | None:
    """Return the names in the manifest of the last publication, None if there is no readable manifest."""
    try:
        names: list[str] = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["names"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if Path(name).name == name and name not in ("", ".", "..")]


def publish(folder: Path, out: Path, *, begun: bool = True) -> Path:
    """Move the results of a run from its folder to `out`, replacing those of the run before.

    With `begun` false, the results go to the folder NOT_BEGUN in `out` and leave those of the run before in place. Return
    the folder of the results.

    Raises:
        SetupError: `out` holds files of others (exit code USAGE); nothing is removed.
        OSError: a file cannot be written or moved; the results of the run before are as they were.

    """
    redact_files.folder(folder, private=PRIVATE)
    out.mkdir(parents=True, exist_ok=True)
    # Another run may publish to the same folder.
    with file_locks.lock(out / ".lock"):
        require_ours(out)
        where = out if begun else out / NOT_BEGUN
        where.mkdir(exist_ok=True)
        new = sorted(path.name for path in folder.iterdir() if path.name not in PRIVATE)
        _exchange(folder, where, sorted(_ours(where) - ALWAYS), new)
    return where


def _exchange(folder: Path, where: Path, old: list[str], new: list[str]) -> None:
    """Move the results `old` out of `where`, and `new` from the run's folder into it; if that fails, put everything back.

    All that needs space on the disk is written first. If this process is killed between two moves, the manifest lists both,
    and the next publication replaces both.
    """
    aside, manifest = folder / "replaced", where / MANIFEST
    aside.mkdir()
    before = manifest.read_bytes() if manifest.exists() else None
    (aside / MANIFEST).write_text(json.dumps({"names": new}, indent=2), encoding="utf-8")
    files.write(manifest, json.dumps({"names": sorted({*old, *new})}, indent=2))
    moves = [(where / name, aside / name) for name in old if os.path.lexists(where / name)]
    moves += [(folder / name, where / name) for name in new]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
        (aside / MANIFEST).replace(manifest)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        manifest.write_bytes(before) if before is not None else manifest.unlink()
        raise
    remove(aside)


def keep(folder: Path, out: Path) -> Path | None:
    """Keep the results of a run that could not be published, redacted and without its keys; return where, None without results.

    Raises:
        OSError: they cannot be kept.

    """
    redact_files.folder(folder, private=PRIVATE)
    for name in PRIVATE:
        remove(folder / name)
    if not any(folder.iterdir()):
        return None
    where = out / NOT_PUBLISHED / folder.name
    where.parent.mkdir(exist_ok=True)
    return folder.rename(where)


def discard(folder: Path) -> None:
    """Remove the folder of a run with all that is not published."""
    remove(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def remove(path: Path) -> None:
    """Remove a file, a symbolic link (not its target) or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
