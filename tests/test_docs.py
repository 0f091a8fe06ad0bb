"""The documents are complete, and their links lead to files and headings."""

import re
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.requirements import ALL
from kubechain.claims.verdict import verdict_of
from kubechain.cli import reference
from kubechain.cli.run import OWN_CLUSTER
from kubechain.core import run
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings, load
from kubechain.faults.records import Comparison, FaultSeconds, FaultsRecord, Score, TotalSeconds
from kubechain.probes.load import Sample, Tally
from kubechain.pytest.results import RunResult
from kubechain.upgrade.allowances import ALLOWANCES
from kubechain.upgrade.model import Route, RouteSamples, UpgradeRecord
from kubechain.upgrade.snapshot import SnapshotFile
from reports import run_json
from reports.upgrade_json import document
from tests.fakes import record

REFERENCE = (ROOT / "docs" / "REFERENCE.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def targets() -> list[str]:
    return re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE)


def test_every_setting_is_in_the_reference() -> None:
    names = [(info.alias or name).upper() for name, info in Settings.model_fields.items()]
    assert [name for name in names if f"`KUBECHAIN_{name}`" not in REFERENCE] == []


def test_settings_in_the_reference_are_those_of_the_model() -> None:
    assert reference.document(REFERENCE) == REFERENCE


def test_make_passes_exactly_the_settings_of_the_commands() -> None:
    listed = re.search(r"^VARIABLES := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert listed
    passed = {name: f"KUBECHAIN_{name}" for name in listed[1].replace("\\\n", " ").split()}
    named = re.findall(r"^export (KUBECHAIN_\w+) := \$\(call given,(\w+)\)$", MAKEFILE, re.MULTILINE)
    assert passed | {make: variable for variable, make in named} == reference.variables()


def test_options_that_a_context_excludes_are_in_the_reference() -> None:
    excluded = re.search(r"^`--context` excludes (.*?)\. ", REFERENCE, re.MULTILINE)
    assert excluded
    assert re.findall(r"`--([\w-]+)`", excluded[1]) == [name.replace("_", "-") for name in OWN_CLUSTER]


def test_every_exit_code_is_in_the_reference() -> None:
    assert [code for code in ExitCode if f"\n| {int(code)} | {code.name} |" not in REFERENCE] == []


def test_every_requirement_is_in_the_reference() -> None:
    assert [each.id for each in ALL if f"`{each.id}`" not in REFERENCE] == []


def test_every_field_of_run_json_is_in_the_reference() -> None:
    result = RunResult(run.new(Path("out")), load(), Progress(), verdict_of([], 0.0), [], 0.0, {}, [])
    made = run_json.document(result)
    section = REFERENCE.partition("### run.json")[2].partition("\n### ")[0]
    names = [*made.as_json(), *record(Link.PODS, "passed").as_json()]
    assert [name for name in names if f"`{name}`" not in section] == []


def test_every_field_of_faults_json_is_in_the_reference() -> None:
    section = REFERENCE.partition("### faults.json")[2]
    models = (FaultsRecord, Score, Comparison, FaultSeconds, TotalSeconds)
    names = [name for model in models for name in model.model_json_schema(mode="serialization")["properties"]]
    assert [name for name in names if f"`{name}`" not in section] == []


def test_every_allowance_is_in_the_reference() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| (new|kept|new, kept) \| (\d+) s \| (\d+) s \| (.*) \|$", REFERENCE, re.MULTILINE)
    told = {(kind, reuse): row for kind, which, *row in rows for reuse in (False, True) if ("new", "kept")[reuse] in which}
    for key, both in ALLOWANCES.items():
        *seconds, why = told[key]
        assert seconds == [f"{each.seconds:g}" for each in both]
        assert why == "; ".join(dict.fromkeys(each.reason for each in both))


def test_every_field_of_the_snapshot_is_in_the_reference() -> None:
    section = REFERENCE.partition("### The snapshot file")[2].partition("\n## ")[0]
    names = list(SnapshotFile.model_json_schema(mode="serialization")["properties"])
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == names


def test_every_field_of_upgrade_json_is_in_the_reference() -> None:
    section = REFERENCE.partition("### upgrade.json")[2].partition("\n### ")[0]
    path = RouteSamples(Route("DNS", "", "", reuse=False), Tally("", (Sample(0.0, 0.0, "down", "x"), Sample(1.0, 1.0, "up"))))
    made = document(UpgradeRecord(("1", "2"), 0.0, 1.0, (path,), (), (), 0, 0, 1, upgraded_by_this_run=True), "x").as_json()
    outage = made["routes"][0]["outages"][0]
    assert [field for field in (*made, *made["routes"][0], *outage) if f"`{field}`" not in section] == []


@pytest.mark.parametrize("target", targets())
def test_every_target_is_in_the_readme_or_for_contributors(target: str) -> None:
    assert f"`make {target}`" in (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    links = [found for found in re.findall(r"\]\(([^)\s]+)\)", document.read_text()) if "://" not in found]
    assert [link for link in links if not (document.parent / link.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_headings_lead_to_headings(document: Path) -> None:
    links = [found.partition("#") for found in re.findall(r"\]\(([^)\s]+#[^)\s]+)\)", document.read_text()) if "://" not in found]
    assert [
        (file, heading) for file, _, heading in links if heading not in anchors((document.parent / file) if file else document)
    ] == []


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
