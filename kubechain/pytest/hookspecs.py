"""The hooks of kubechain, which plugins that report on runs implement.

Their names begin with `pytest_`, because pytest ignores other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kubechain.claims.records import ClaimRecord
from kubechain.diagnostics.evidence import Section
from kubechain.pytest.results import RunResult
from kubechain.upgrade.model import UpgradeRecord


@pytest.hookspec
def pytest_kubechain_claim_finished(item: pytest.Item, record: ClaimRecord, evidence: Sequence[Section]) -> None:
    """Handle the end of a claim; called in the process that ran it, while its chain still exists.

    `evidence` is redacted; it is empty for a claim that passed, and for a blocked claim if another claim had the same.
    """


@pytest.hookspec
def pytest_kubechain_upgrade_finished(item: pytest.Item, record: UpgradeRecord, failed: bool) -> None:  # noqa: FBT001  # pluggy hands on no keyword-only argument
    """Handle the end of a claim about an upgrade; `failed` if it did not pass."""


@pytest.hookspec
def pytest_kubechain_run_finished(run: RunResult) -> None:
    """Handle the end of a run; called once, in the controller, before the files in `run.folder` are redacted and published."""


@pytest.hookspec
def pytest_kubechain_run_published(run: RunResult, folder: Path) -> None:
    """Handle the results of a run after they are redacted and published in `folder`; called once, in the controller."""
