"""How runs are reported: the results of claims in Allure's form, and the files that people and programs read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import allure
import pytest

from kubechain.claims import claim
from kubechain.core import redact
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import HarnessError
from kubechain.diagnostics.evidence import Section
from kubechain.pytest.results import RunResult
from kubechain.upgrade.model import UpgradeRecord

from . import allure_html, allure_results, fault_matrix, run_json, summary, upgrade_json, upgrade_svg

# The picture of the upgrade, as SVG, once it was attached to a claim.
PICTURE = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Describe the claim to Allure."""
    found = claim.of(item)
    if found:
        name = item.name.partition("[")[0]
        # allure.dynamic.title is not enough: the plugin names the result anew when the setup has ended.
        function: Any = getattr(item, "obj", None)
        function.__allure_display_name__ = allure_results.title(name, found)
        allure_results.label(name, found)


@pytest.hookimpl
def pytest_kubechain_claim_finished(evidence: Sequence[Section]) -> None:
    """Attach the evidence on a claim that did not pass to its result."""
    for section in evidence:
        allure.attach(section.text, section.title, allure.attachment_type.TEXT)


@pytest.hookimpl
def pytest_kubechain_upgrade_finished(item: pytest.Item, record: UpgradeRecord, *, failed: bool) -> None:
    """Attach the picture of the upgrade to the first claim about it, and to those that did not pass."""
    stash = item.config.stash
    if failed or PICTURE not in stash:
        picture = stash.setdefault(PICTURE, redact.text(upgrade_svg.svg(record)))
        allure.attach(picture, "the upgrade on one time axis", allure.attachment_type.SVG)


@pytest.hookimpl
def pytest_kubechain_run_finished(run: RunResult) -> None:
    """Write the results into the run's folder."""
    if run.faults:
        faults = fault_matrix.document(run.faults, run.verdict.line)
        (run.folder / "faults.json").write_text(json.dumps(redact.tree(faults.as_json()), indent=2), encoding="utf-8")
        (run.folder / "faults.svg").write_text(redact.text(fault_matrix.svg(run.faults)), encoding="utf-8")
    if run.upgrade:
        upgrade = upgrade_json.document(run.upgrade, run.verdict.line)
        (run.folder / "upgrade.json").write_text(json.dumps(redact.tree(upgrade.as_json()), indent=2), encoding="utf-8")
        (run.folder / "upgrade.svg").write_text(redact.text(upgrade_svg.svg(run.upgrade)), encoding="utf-8")
    content = run_json.document(run, html_report(run))
    (run.folder / "run.json").write_text(json.dumps(content.as_json(), indent=2), encoding="utf-8")
    (run.folder / "summary.md").write_text(summary.markdown(content), encoding="utf-8")


def html_report(run: RunResult) -> str | None:
    """Make the HTML report, and return its path in the folder of the run; None where there is none, and that is said."""
    results = run.folder / "allure-results"
    if not run.settings.html or not any(results.glob("*-result.json")):
        return None
    try:
        with run.progress.step("HTML report") as step:
            allure_results.write_lost(run.records, results)
            allure_results.write_steps(run.records, results)
            allure_html.generate(results, run.folder / "report", BuildCache(run.settings.cache / "builds"))
            step.note(str(run.settings.out / "report" / "index.html"))
    except HarnessError as error:
        run.progress.console.print(f"  no HTML report: {error}", soft_wrap=True, markup=False)
        return None
    return "report/index.html"
