"""The results of a run, as plugins that report on runs get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubechain.claims.chain_records import ChainRecord
from kubechain.claims.process_records import ProcessRecord
from kubechain.claims.records import ClaimRecord, SelectionRecord, ShardRecord
from kubechain.claims.verdict import Verdict
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.faults.records import Score
from kubechain.kube.traffic import LoadRecord
from kubechain.upgrade.model import UpgradeRecord


@dataclass(frozen=True)
class RunResult:
    """The results of one run.

    `records` has one entry per collected claim; `seconds` is the time from the beginning of the first claim to the end of the
    last; `cluster` is the content of target.json ({} without a cluster); `measured` has one entry per process with a shared
    chain; `faults` are the scores of a run of faults; `upgrade` is the record of an upgrade;
    `load` is what all processes of the run asked of the API server; `chains` are the records of all its chains; `processes` is
    what each of its processes did; `shard` is the part of the suite that it tried, None for all of it; `selection` is what
    options left out of the claims of its level, None if nothing.
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
    load: LoadRecord | None = None
    chains: Sequence[ChainRecord] = ()
    processes: Sequence[ProcessRecord] = ()
    shard: ShardRecord | None = None
    selection: SelectionRecord | None = None

    @property
    def folder(self) -> Path:
        """The folder of the run; files that plugins write there are redacted and published."""
        return self.run.folder
