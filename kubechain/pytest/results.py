"""What a run found, as its end hands it to every plugin that reports on runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubechain.claims.records import ClaimRecord
from kubechain.claims.verdict import Verdict
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.faults.records import Score
from kubechain.upgrade.model import UpgradeRecord


@dataclass(frozen=True)
class RunResult:
    """One run that has ended.

    `records` has one entry for each claim that was collected; `seconds` is the time from the first claim's beginning to the
    last one's end; `cluster` is the content of the run's target.json ({} without a cluster); `measured` has one entry for
    each process that measured its shared chain; `faults` are the scores of a run of faults; `upgrade` is what was seen of an
    upgrade.
    """

    run: Run
    settings: Settings
    progress: Progress
    verdict: Verdict
    records: Sequence[ClaimRecord]
    seconds: float
    cluster: Mapping[str, Any]
    measured: Sequence[Mapping[str, Any]]
    faults: Sequence[Score] = ()
    upgrade: UpgradeRecord | None = None

    @property
    def folder(self) -> Path:
        """The folder of the run: what is written there is redacted and published when every plugin is done."""
        return self.run.folder
