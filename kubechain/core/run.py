"""Who this run is: its id, its folders, and the labels that mark what it made."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kubechain.core.settings import PROJECT

RUN_LABEL = f"{PROJECT}/run"
EXPIRES_LABEL = f"{PROJECT}/expires"
# Of the witnesses of an upgrade, which may take days.
UPGRADE_LABEL = f"{PROJECT}/upgrade"
LIFETIME = timedelta(hours=2)
# In the folder of a run: keys by which it asks the cluster. They go with it, also if it was killed.
SECRETS = "secrets"
# In the folder of the results: where runs work until they publish.
FOLDERS = ".runs"


@dataclass(frozen=True)
class Run:
    """One run of the suite.

    `id` is 8 characters of [a-z0-9]; `folder` holds everything the run writes until it is published;
    `started` is the wall time in UTC.
    """

    id: str
    folder: Path
    started: datetime

    @property
    def name(self) -> str:
        """The name of the kind cluster that this run makes."""
        return f"{PROJECT}-{self.id}"

    @property
    def lock(self) -> Path:
        """The file whose lock tells that the run is alive and its folder not left over."""
        return self.folder.with_name(f"{self.id}.lock")

    @property
    def secrets(self) -> Path:
        """The folder for keys, which are never published."""
        return self.folder / SECRETS

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every namespace of this run; the expiry is in Unix seconds, so that leftovers can be told."""
        return {RUN_LABEL: self.id, EXPIRES_LABEL: str(int((self.started + LIFETIME).timestamp()))}


def new(out: Path, run_id: str | None = None) -> Run:
    """Begin a run (or, in an xdist worker, join the run `run_id`), whose folder lies under `out`."""
    name = run_id or secrets.token_hex(4)
    return Run(name, out / FOLDERS / name, datetime.now(UTC))
