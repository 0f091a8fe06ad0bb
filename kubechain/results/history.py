"""The history folder: the run.json of each run in a file of its own, and what they say one after another."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import RunRecord, read_run
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord, rounded
from kubechain.results import runs as finished
from kubechain.results.runs import KEPT, RUN_JSON

# Files of a history folder that are read for the last runs of one cluster.
MOST_READ = 200


class HistoryRow(JsonRecord):
    """One run of a trend; `p50` is hand-over -> the median of its seconds."""

    started: AwareDatetime
    run: str
    verdict: str
    holds: bool
    first_broken_link: Link | None
    counts: dict[Outcome, int]
    known_issues: int
    seconds: Annotated[float, rounded(1)]
    p50: dict[str, float]


class Trend(JsonRecord):
    """The last runs on one cluster with one version of Kubernetes, the newest last."""

    cluster: str
    kubernetes: str
    rows: list[HistoryRow]


def keep(results: Path, folder: Path) -> Path:
    """Copy the published run.json of a run into a history folder, with its permissions; return the new file.

    Raises:
        SetupError: there is no run.json, or the folder has one of this run already; nothing is overwritten.
        OSError: the file cannot be written.

    """
    run = read_run(results / RUN_JSON)
    path = folder / f"{run.started.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{run.run}.json"
    if path.exists():
        raise SetupError(f"{path} exists, and is not overwritten", ExitCode.USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{path.name}.half"
    try:
        shutil.copy(results / RUN_JSON, half)
        half.rename(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
    return path


def recent(folder: Path, run: RunRecord, most: int) -> list[RunRecord]:
    """Return the last runs before a run that a history folder has of its cluster and Kubernetes version, the newest last.

    A file that is no run.json is left out: the page of a run does not depend on those before it.
    """
    files = sorted(file for file in folder.iterdir() if KEPT.fullmatch(file.name)) if folder.is_dir() else []
    found: list[RunRecord] = []
    for file in reversed(files[-MOST_READ:]):
        if len(found) == most:
            break
        with contextlib.suppress(SetupError, OSError):
            found += finished.of_place([read_run(file)], run)
    return found[::-1]


def trends(runs: Sequence[RunRecord], last: int) -> list[Trend]:
    """Return the trend of the last runs of each cluster and version of Kubernetes, in the order of their first run."""
    places: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        places.setdefault(finished.place(run), []).append(run)
    return [
        Trend(cluster=finished.cluster(group[-1]), kubernetes=finished.kubernetes(group[-1]), rows=list(map(_row, group[-last:])))
        for group in places.values()
    ]


def _row(run: RunRecord) -> HistoryRow:
    return HistoryRow(
        started=run.started,
        run=run.run,
        verdict=run.verdict,
        holds=run.holds,
        first_broken_link=run.first_broken_link,
        counts=run.counts,
        known_issues=sum(claim.known is not None for claim in run.claims),
        seconds=finished.seconds(run),
        p50={each.what: each.p50 for each in run.hand_overs},
    )
