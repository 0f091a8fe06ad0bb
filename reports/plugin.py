"""The pytest plugin of the reports: Allure results of claims, and the files of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import allure
import pytest
from jinja2 import TemplateError
from rich.console import Console

from kubechain.claims import claim
from kubechain.claims.records import RunRecord, read_run
from kubechain.core import files, publish, redact
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import HarnessError
from kubechain.diagnostics.evidence import Section
from kubechain.pytest.results import RunResult
from kubechain.results import history
from kubechain.upgrade.model import UpgradeRecord

from . import (
    allure_html,
    allure_results,
    allure_run,
    chain_page,
    ci,
    closing,
    fault_matrix,
    fault_table,
    junit,
    metrics,
    run_json,
    summary,
    traces,
    trend_view,
    upgrade_json,
    upgrade_page,
)

# The page of the change, after it was attached to the first claim.
PICTURE = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set the Allure labels of a claim."""
    metadata = claim.of(item)
    if metadata:
        name = item.name.partition("[")[0]
        # After the setup, Allure's plugin overwrites the title from allure.dynamic.title with this attribute.
        function: Any = getattr(item, "obj", None)
        function.__allure_display_name__ = allure_results.title(name, metadata)
        allure_results.label(name, item.nodeid, metadata)


@pytest.hookimpl
def pytest_kubechain_claim_finished(evidence: Sequence[Section]) -> None:
    """Attach the evidence of a claim that did not pass to its Allure result."""
    for section in evidence:
        allure.attach(section.text, section.title, allure.attachment_type.TEXT)


@pytest.hookimpl
def pytest_kubechain_upgrade_finished(item: pytest.Item, record: UpgradeRecord, failed: bool) -> None:  # noqa: FBT001  # pluggy hands on no keyword-only argument
    """Attach the page of the change to the first claim about it and to each claim that did not pass."""
    stash = item.config.stash
    if failed or PICTURE not in stash:
        picture = stash.setdefault(PICTURE, upgrade_page.page(record, ""))
        allure.attach(picture, "the change over time", allure.attachment_type.HTML)


@pytest.hookimpl
def pytest_kubechain_run_finished(run: RunResult) -> None:
    """Write the files of the run into its folder."""
    if run.faults:
        faults = fault_matrix.document(run.faults, run.verdict.line)
        files.write(run.folder / "faults.json", json.dumps(redact.tree(faults.as_json()), indent=2))
        files.write(run.folder / "faults.svg", redact.text(fault_matrix.svg(run.faults)))
        files.write(run.folder / "faults.md", redact.text(fault_table.markdown(run.faults, run.verdict.line)))
    if run.upgrade:
        upgrade = upgrade_json.document(run.upgrade, run.verdict.line)
        files.write(run.folder / "upgrade.json", json.dumps(redact.tree(upgrade.as_json()), indent=2))
        files.write(run.folder / "upgrade.html", upgrade_page.page(run.upgrade, run.verdict.line))
    content = run_json.document(run)
    write_chain_page(run, content)
    content = run_json.reported(content, run, html_report(run, content))
    files.write(run.folder / "run.json", json.dumps(content.as_json(), indent=2))
    files.write(run.folder / "summary.md", summary.markdown(content))
    files.write(run.folder / "junit.xml", junit.document(content, run.faults))
    files.write(run.folder / "metrics.txt", metrics.document(content))


@pytest.hookimpl
def pytest_kubechain_run_published(run: RunResult, folder: Path) -> None:
    """Hand the results on to a CI system, and print the last lines; a nested run is part of the outer run."""
    if run.settings.join:
        return
    result = read_run(folder / "run.json")
    for line in (*ci.write(folder, os.environ), *traces.send(result, os.environ)):
        run.progress.console.print(f"  {line}", soft_wrap=True, markup=False)
    # GitHub reads standard output; a line must not be wrapped.
    errors = ci.errors(result) if os.environ.get("GITHUB_ACTIONS") == "true" else []
    for line in (*errors, *closing.lines(result, folder)):
        Console(highlight=False).print(line, soft_wrap=True, markup=False)


def html_report(run: RunResult, content: RunRecord) -> str | None:
    """Write the HTML report; return its path relative to the run's folder, or None after an error, which is printed."""
    results = run.folder / "allure-results"
    about = RunRecord.model_validate(redact.tree(content.as_json()))
    allure_run.write(about, run.folder, os.environ)
    allure_results.write_statuses(run.records, results)
    if not run.settings.html or not any(results.glob("*-result.json")):
        return None
    try:
        with run.progress.step("HTML report"):
            allure_results.write_lost(run.records, results)
            allure_results.write_steps(run.records, results)
            line = redact.text(run.verdict.line)
            gate = allure_run.gate_rules(about, run.settings.gate, run.settings.history)
            allure_html.generate(results, run.folder / "report", BuildCache(run.settings.cache / "builds"), line, gate)
    except (HarnessError, OSError) as error:
        # Half a report is none, and on a full disk the results need its space.
        publish.remove(run.folder / "report")
        run.progress.console.print(f"  no HTML report: {error}", soft_wrap=True, markup=False)
        return None
    return "report/index.html"


def write_chain_page(run: RunResult, content: RunRecord) -> None:
    """Write chain.html; an error of its templates is printed, because the other results do not depend on it."""
    try:
        with run.progress.step("chain page"):
            kept = run.settings.history
            earlier = history.recent(kept, content, trend_view.LAST - 1) if kept else []
            files.write(run.folder / "chain.html", chain_page.published(content, run.folder, earlier))
    except TemplateError as error:
        run.progress.console.print(f"  no chain page: {error}", soft_wrap=True, markup=False)
