"""Finished runs, read from a run.json or from all that a folder holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kubechain.claims.records import RunRecord, read_run
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.publish import NOT_BEGUN

RUN_JSON = "run.json"
# Name of a file in a history folder: the start of the run, and its id.
KEPT = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z-[0-9a-f]+\.json")
OWN = "kind cluster of its own"


def read_all(path: Path) -> list[RunRecord]:
    """Return the runs in a file or a folder, in the order of their start; a run that is found twice counts once.

    Of a folder, files named run.json and those of a history folder are read, and those of its folders. The folders beside a
    run.json are part of the results of that run, and are not entered, but for that of a later run that could not begin.

    Raises:
        SetupError: there is no such file, no run in the folder, or a file that is none (exit code USAGE).

    """
    if not path.exists():
        raise SetupError(f"{path}: no such file or folder; name a run.json, or a folder that has some", ExitCode.USAGE)
    files = _files(path) if path.is_dir() else [path]
    try:
        read = {file: read_run(file) for file in files}
    except SetupError as error:
        raise SetupError(str(error), ExitCode.USAGE) from error
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}", ExitCode.USAGE) from error
    runs = {run.run: run for file, run in read.items() if not _is_outdated(file, run, read)}
    if not runs:
        raise SetupError(f"{path}: has no run.json; name a run.json, or a folder that has some", ExitCode.USAGE)
    return sorted(runs.values(), key=lambda run: (run.started, run.run))


def _is_outdated(file: Path, run: RunRecord, read: Mapping[Path, RunRecord]) -> bool:
    """Whether a run could not begin, and a later one in the same folder could."""
    later = read.get(file.parent.parent / RUN_JSON)
    return file.parent.name == NOT_BEGUN and later is not None and later.started >= run.started


def _files(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir())
    own = [entry for entry in entries if entry.is_file() and (entry.name == RUN_JSON or KEPT.fullmatch(entry.name))]
    if folder / RUN_JSON in own:
        not_begun = folder / NOT_BEGUN / RUN_JSON
        return [*own, not_begun] if not_begun.is_file() else own
    folders = (entry for entry in entries if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."))
    return own + [file for inner in folders for file in _files(inner)]


def cluster(run: RunRecord) -> str:
    """Return the cluster of a run for people; each run that makes its own kind cluster has a new one, and these count as one."""
    return OWN if run.cluster.owned else run.cluster.context or run.cluster.name or "unknown cluster"


def kubernetes(run: RunRecord) -> str:
    """Return the version of the API server, "unknown version" if the run ended before it was known."""
    return run.versions.get("server", "unknown version")


def place(run: RunRecord) -> tuple[str, str]:
    """Return what runs must share to be of the same cluster and Kubernetes version."""
    return OWN if run.cluster.owned else run.cluster.uid or cluster(run), kubernetes(run)


def seconds(run: RunRecord) -> float:
    """Return the seconds from the beginning of the first claim to the end of the last."""
    return next((phase.seconds for phase in run.phases if phase.phase == "claims"), 0.0)


def of_place(runs: Iterable[RunRecord], run: RunRecord) -> list[RunRecord]:
    """Return the other runs of a run's cluster and Kubernetes version."""
    return [other for other in runs if place(other) == place(run) and other.run != run.run]
