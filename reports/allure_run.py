"""A run in Allure: what was tested, where and by whom, its quality gate, and its pages as global attachments."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from kubechain.claims.records import RunRecord
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import SetupError
from kubechain.results import gate, rules

# Files of a run -> their types. Allure knows an attachment by the end of its name.
ATTACHED = {"chain.html": "text/html", "upgrade.html": "text/html", "faults.svg": "image/svg+xml"}
GLOBALS = "kubechain-globals.json"


class GateRule(TypedDict):
    """A rule of the quality gate after its check, as Allure reads it."""

    rule: str
    success: bool
    expected: str
    actual: str
    message: str
    testResults: list[str]


def write(run: RunRecord, folder: Path, environment: Mapping[str, str]) -> None:
    """Write the files of Allure about a run, whose files are in `folder`, beside its results, if there are any."""
    results = folder / "allure-results"
    if not results.is_dir():
        return
    file = results / "environment.properties"
    others = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = [f"{name} = {_escaped(value)}\n" for name, value in _about(run)]
    file.write_text("".join(lines) + others, encoding="utf-8")
    (results / "executor.json").write_text(json.dumps(executor(run, environment)), encoding="utf-8")
    (results / GLOBALS).write_text(json.dumps(_globals(run, folder, results)), encoding="utf-8")


def executor(run: RunRecord, environment: Mapping[str, str]) -> dict[str, str]:
    """Return who made the run: the CI system that the environment shows, with the address of the job, else kubechain."""
    of_github = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"
    systems = {
        "github": ("GITHUB_RUN_ID", "GitHub Actions", of_github),
        "gitlab": ("CI_JOB_URL", "GitLab CI", "{CI_JOB_URL}"),
        "jenkins": ("BUILD_URL", "Jenkins", "{BUILD_URL}"),
    }
    build = f"run {run.run}"
    for kind, (sign, name, address) in systems.items():
        if environment.get(sign):
            url = address.format_map({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "", **environment})
            return {"name": name, "type": kind, "buildName": build, "buildUrl": url}
    return {"name": f"{PROJECT} {run.versions.get(PROJECT, '')}".strip(), "type": PROJECT, "buildName": build}


def gate_rules(run: RunRecord, file: Path | None, history: Path | None) -> list[GateRule]:
    """Return the rules of the gate in `file` after their check, without a file those that every result must keep."""
    try:
        checked = gate.check(rules.read(file, history) if file else rules.Gate(rules.Rules(), None), run)
    except (SetupError, OSError) as error:
        checked = gate.unread(str(error))
    return [
        {
            "rule": each.name,
            "success": not each.why,
            "expected": "kept",
            "actual": "not kept" if each.why else "kept",
            "message": each.why or each.note or "kept",
            "testResults": [],
        }
        for each in checked.rules
    ]


def _about(run: RunRecord) -> Iterator[tuple[str, str]]:
    yield "verdict", run.verdict
    yield "run", run.run
    yield "started", run.started.isoformat()
    for name, value in (("cluster", run.cluster.name), ("context", run.cluster.context), ("nodePorts.from", run.probe_from)):
        if value:
            yield name, value
    yield from (("kubernetes" if name == "server" else name, value) for name, value in run.versions.items())


def _escaped(value: str) -> str:
    """Return a value for a file of Java properties: on one line, and a backslash begins an escape."""
    return " ".join(value.split()).replace("\\", "\\\\")


def _globals(run: RunRecord, folder: Path, results: Path) -> dict[str, object]:
    """Copy the pages of the run beside the results; return them as attachments, and the verdict as an error unless it holds."""
    attachments: list[dict[str, str]] = []
    for name, kind in ATTACHED.items():
        if (folder / name).is_file():
            stem, end = name.split(".")
            source = f"kubechain-{stem}-attachment.{end}"
            shutil.copyfile(folder / name, results / source)
            attachments.append({"name": name, "source": source, "type": kind})
    return {"attachments": attachments, "errors": [] if run.holds else [{"message": run.verdict}]}
