"""The hooks of kubechain: a plugin that reports on runs implements these, and imports no plugin of the project.

Their names begin with `pytest_`, because pytest looks at no others.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kubechain.claims.records import ClaimRecord
from kubechain.diagnostics.evidence import Section
from kubechain.pytest.results import RunResult
from kubechain.upgrade.model import UpgradeRecord


@pytest.hookspec
def pytest_kubechain_claim_finished(item: pytest.Item, record: ClaimRecord, evidence: Sequence[Section]) -> None:
    """A claim has ended: called in the process that ran it, while its chain still stands.

    `evidence` is redacted, and empty for a claim that passed or whose evidence another claim has shown already.
    """


@pytest.hookspec
def pytest_kubechain_upgrade_finished(item: pytest.Item, record: UpgradeRecord, *, failed: bool) -> None:
    """A claim about an upgrade has ended: what was seen of the upgrade, and whether the claim did not pass."""


@pytest.hookspec
def pytest_kubechain_run_finished(run: RunResult) -> None:
    """A run has ended: called once, in the controller; what is written to `run.folder` is redacted and published afterwards."""
