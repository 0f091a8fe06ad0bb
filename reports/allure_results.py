"""Claims in Allure: labels and links from their metadata, equal in every run, and their waits as steps."""

# The allure package has no types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import allure

from kubechain.claims.claim import Claim, Link, Outcome
from kubechain.claims.records import ClaimRecord
from kubechain.core import redact
from kubechain.core.default_folders import PROJECT
from kubechain.observe.wait_record import WaitRecord

# Outcome of a claim -> status of its Allure result.
STATUS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.BLOCKED: "broken",
    Outcome.INCONCLUSIVE: "broken",
    Outcome.SKIPPED: "skipped",
    Outcome.NOT_RUN: "skipped",
}
# Label of an Allure result: the test, because all parameters of a test have the id of one claim.
NODE = "nodeid"
# If one of these links is broken, most later links are blocked.
BLOCKERS = {Link.DEPLOYMENT, Link.REPLICASET, Link.PODS, Link.SERVICE, Link.ENDPOINTS}


def severity(link: Link) -> allure.severity_level:
    """Return the severity of a broken link."""
    return allure.severity_level.BLOCKER if link in BLOCKERS else allure.severity_level.CRITICAL


def feature(link: Link) -> str:
    """Return the name of a link with its position, so that names sort in the order of the chain."""
    return f"{link.order + 1:02d} {link.value}"


def title(name: str, claim: Claim) -> str:
    """Return the title of a claim: its id, and the name of its test as words."""
    return f"{claim.id} {name.removeprefix('test_').replace('_', ' ')}"


def write_lost(records: Iterable[ClaimRecord], results: Path) -> None:
    """Write an Allure result for each claim without one: its worker process died before it reported, or it was not run."""
    known = {label["value"] for _, result in _read(results) for label in result.get("labels", [])}
    for record in records:
        if record.id in known:
            continue
        link = record.link
        labels = {"epic": PROJECT, "feature": feature(link), "story": record.id, "severity": severity(link).value}
        result = {
            "uuid": str(uuid.uuid4()),
            "name": f"{record.id} {record.must}",
            "fullName": record.nodeid,
            "status": STATUS[record.outcome],
            "statusDetails": {"message": record.message},
            "labels": [{"name": name, "value": value} for name, value in labels.items()],
        }
        (results / f"{result['uuid']}-result.json").write_text(json.dumps(result), encoding="utf-8")


def write_statuses(records: Iterable[ClaimRecord], results: Path) -> None:
    """Give each Allure result the outcome and message of its claim: of a test with subtests, Allure has the first not to pass.

    A claim that passed and whose process died afterwards has another outcome than its test, too.
    """
    by_node = {record.nodeid: record for record in records}
    for file, result in _read(results):
        record = by_node.get(_label(result, NODE))
        said = redact.text(" ".join(result.get("statusDetails", {}).get("message", "").split()))
        if record and (result.get("status") != STATUS[record.outcome] or (record.message or "") not in said):
            # As the name of the exception before the message, by which blocked claims have a category of their own.
            kind = "Blocked: " if record.outcome == Outcome.BLOCKED else ""
            result |= {"status": STATUS[record.outcome], "statusDetails": {"message": f"{kind}{record.message or ''}"}}
            file.write_text(json.dumps(result), encoding="utf-8")


def _read(results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the Allure results with their files, but for those that a process that died left incomplete."""
    for file in results.glob("*-result.json"):
        with contextlib.suppress(ValueError):
            yield file, json.loads(file.read_text(encoding="utf-8"))


def _label(result: Mapping[str, Any], name: str) -> str:
    return next((label["value"] for label in result.get("labels", []) if label["name"] == name), "")


def write_steps(records: Sequence[ClaimRecord], results: Path) -> None:
    """Add the waits of each claim to its Allure result as steps: the condition, and what ended the wait."""
    waits = {record.id: record.waits for record in records}
    known = {record.id: record.ending for record in records if record.known}
    for file, result in _read(results):
        claim = _label(result, "claim")
        if claim in known:
            details = result.setdefault("statusDetails", {})
            details |= {"known": True, "message": f"{known[claim]}: {details.get('message', '')}"}
            file.write_text(json.dumps(result), encoding="utf-8")
        if waits.get(claim):
            result["steps"] = steps(waits[claim], int(result.get("start", 0)), passed=result["status"] == "passed")
            file.write_text(json.dumps(result), encoding="utf-8")


def steps(waits: Sequence[WaitRecord], start: int, *, passed: bool) -> list[dict[str, Any]]:
    """Return waits as consecutive Allure steps from `start` (Unix ms); the last step of a claim that did not pass failed."""
    entries: list[dict[str, Any]] = []
    for wait in waits:
        stop = start + round(wait.seconds * 1000)
        ended = {"name": "ended by", "value": wait.ended_by or "the end of the claim"}
        observations = {"name": "observations", "value": str(wait.observations)}
        step = {"name": f"{wait.condition} ({wait.what})", "status": "passed", "stage": "finished"}
        parameters = [ended, observations]
        if wait.since_cause is not None:
            parameters.append({"name": "seconds since its cause", "value": f"{wait.since_cause:.2f}"})
        entries.append({**step, "start": start, "stop": stop, "parameters": parameters})
        start = stop
    if entries and not passed:
        entries[-1]["status"] = "failed"
    return entries


def label(name: str, nodeid: str, claim: Claim) -> None:
    """Set the Allure labels of the running test, which has this name, node id and claim."""
    allure.dynamic.title(title(name, claim))
    allure.dynamic.description(claim.must)
    allure.dynamic.epic(PROJECT)
    allure.dynamic.feature(feature(claim.link))
    allure.dynamic.story(claim.id)
    allure.dynamic.severity(severity(claim.link))
    allure.dynamic.tag(claim.level, *(requirement.id for requirement in claim.requirements))
    allure.dynamic.label("claim", claim.id)
    allure.dynamic.label(NODE, nodeid)
    allure.dynamic.link(claim.spec_url, name="specification")
    if claim.upstream:
        allure.dynamic.label("upstream", claim.upstream)
