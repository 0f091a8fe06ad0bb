"""One run of the suite: its id, its folders, and the labels of its namespaces."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from kubechain.core.default_folders import PROJECT
from kubechain.core.setting_groups import PREFIX

RUN_LABEL = f"{PROJECT}/run"
EXPIRES_LABEL = f"{PROJECT}/expires"
# Annotation of a Node that a run cordoned: the id of the run.
CORDONED_BY = f"{PROJECT}/cordoned-by"
# Label of the witnesses of an upgrade: the id of the run that made them.
UPGRADE_LABEL = f"{PROJECT}/upgrade"
# Annotation of a namespace or of a cordoned Node: for whom it was made, for people who find it.
OWNED_BY = f"{PROJECT}/owner"
# Annotation of the same: NAMESPACE/NAME/UID of the Pod of the run, if it is in one of that cluster.
POD = f"{PROJECT}/pod"
LIFETIME = timedelta(hours=2)
# Of the witnesses of an upgrade, which may take days, and which each of its phases renews.
WITNESS_LIFETIME = timedelta(days=14)
# Subfolder for the keys to the cluster, in the folder of the run, so that they are removed with it.
SECRETS = "secrets"
# Subfolder for temporary files of pytest and its workers.
TEMPORARY = "tmp"
# Subfolder of the results, in which each run has a folder until it publishes.
FOLDERS = ".runs"
# Files in the folder of a run: the claims that it has collected, and the node ids of those that have ended.
COLLECTED, FINISHED = "collected.json", "finished"
# Subfolder in which each process writes what it does now.
PRESENT = "present"
# File in the folder of a run that is a part of a suite: the ids of the claims of all parts.
ALL_PARTS = "all-parts.json"
# File in the folder of a run that tries a part of the claims of its level: what it leaves out.
SELECTION = "selection.json"


@dataclass(frozen=True)
class Run:
    """One run of the suite.

    `id` is 8 hex digits; `folder` holds all files of the run until they are published; `started` is the time of day in
    UTC.
    """

    id: str
    folder: Path
    started: datetime

    @property
    def name(self) -> str:
        """The name of the kind cluster that this run creates, and the beginning of the names of its namespaces."""
        return f"{PROJECT}-{self.id}"

    @property
    def lock(self) -> Path:
        """The file whose lock this run holds while it lives; without a holder, the next run removes `folder`."""
        return self.folder.with_name(f"{self.id}.lock")

    @property
    def secrets(self) -> Path:
        """The folder for the keys to the cluster, which are never published."""
        return self.folder / SECRETS

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every namespace of this run: its id, and when the namespace may be removed by others (Unix seconds)."""
        return {RUN_LABEL: self.id, EXPIRES_LABEL: str(int((self.started + LIFETIME).timestamp()))}


def owner() -> str:
    """Return the user and the machine of this process, such as ann@laptop."""
    return f"{psutil.Process().username()}@{socket.gethostname()}"


def owner_marks() -> dict[str, str]:
    """Return the annotations that name the owner of what this run makes, and the Pod of the run if it is in one."""
    pod = os.environ.get(f"{PREFIX}POD", "")
    return {OWNED_BY: owner(), **({POD: pod} if pod else {})}


def new(out: Path, run_id: str | None = None) -> Run:
    """Return a new run, or in an xdist worker the run `run_id`; its folder is below `out` and is not created."""
    name = run_id or secrets.token_hex(4)
    return Run(name, out / FOLDERS / name, datetime.now(UTC))
