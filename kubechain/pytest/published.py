"""What a run does with its published results: the history, a bucket, reports to others, and the quality gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubechain.claims.records import read_run
from kubechain.core.errors import SetupError
from kubechain.core.settings import Settings
from kubechain.pytest.outcomes import one_line
from kubechain.pytest.results import RunResult
from kubechain.results import gate, history, rules, upload
from kubechain.results.gate import GateResult
from kubechain.results.runs import RUN_JSON


def hand_on(config: pytest.Config, result: RunResult, folder: Path) -> list[str]:
    """Keep the run.json in the history, put all files into the bucket, and call the hook for published results.

    Return one line for each thing that failed.
    """
    failed: list[str] = []
    kept = result.settings.history
    try:
        if kept:
            history.keep(folder, kept)
    except (SetupError, OSError) as error:
        failed.append(f"run.json is not kept in {kept}: {one_line(error)}")
    place = result.settings.upload
    if place and (why := upload.put(folder, place, result.run.id)):
        failed.append(f"the results are not in {place}: {why}")
    try:
        config.hook.pytest_kubechain_run_published(run=result, folder=folder)
    except Exception as error:  # noqa: BLE001  # a report of another distribution may raise anything; the verdict counts
        failed.append(f"a report on the published results failed: {one_line(error)}")
    return failed


def checked(settings: Settings, folder: Path | None) -> GateResult | None:
    """Return the result of the gate for the results in a folder (None: they could not be published); None without a gate."""
    if settings.gate is None:
        return None
    if folder is None:
        return gate.unread("the results could not be published")
    try:
        return gate.check(rules.read(settings.gate, settings.history), read_run(folder / RUN_JSON))
    except (SetupError, OSError) as error:
        return gate.unread(one_line(error))
