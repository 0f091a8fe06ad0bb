"""How claims appear in Allure: labels and links from their metadata, nothing that changes from run to run."""

# The allure package has no types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import allure

from kubechain.claims.claim import Claim, Link
from kubechain.claims.records import ClaimRecord
from kubechain.core.settings import PROJECT
from kubechain.observe.wait import WaitRecord

# What breaks here takes everything behind it along.
BLOCKERS = {Link.DEPLOYMENT, Link.REPLICASET, Link.PODS, Link.SERVICE, Link.ENDPOINTS}


def severity(link: Link) -> allure.severity_level:
    """Return how grave it is that a link is broken."""
    return allure.severity_level.BLOCKER if link in BLOCKERS else allure.severity_level.CRITICAL


def feature(link: Link) -> str:
    """Return the name of a link that sorts in the order of the chain."""
    return f"{link.order + 1:02d} {link.value}"


def title(name: str, claim: Claim) -> str:
    """Return what Allure lists a claim as: its id and the name of its test in words."""
    return f"{claim.id} {name.removeprefix('test_').replace('_', ' ')}"


def write_lost(records: Iterable[ClaimRecord], results: Path) -> None:
    """Write an Allure result for each claim that has none, because its worker died before it reported."""
    known = {
        each["value"]
        for file in results.glob("*-result.json")
        for each in json.loads(file.read_text(encoding="utf-8")).get("labels", [])
    }
    for record in records:
        if record.id in known:
            continue
        link = record.link
        named = {"epic": PROJECT, "feature": feature(link), "story": record.id, "severity": severity(link).value}
        result = {
            "uuid": str(uuid.uuid4()),
            "name": f"{record.id} {record.must}",
            "fullName": record.nodeid,
            "status": "broken",
            "statusDetails": {"message": record.message},
            "labels": [{"name": name, "value": value} for name, value in named.items()],
        }
        (results / f"{result['uuid']}-result.json").write_text(json.dumps(result), encoding="utf-8")


def write_steps(records: Sequence[ClaimRecord], results: Path) -> None:
    """Put the waits of each claim into its Allure result as steps: what was waited for, and what ended the wait."""
    waits = {record.id: record.waits for record in records}
    for file in results.glob("*-result.json"):
        result = json.loads(file.read_text(encoding="utf-8"))
        claim = next((each["value"] for each in result.get("labels", []) if each["name"] == "claim"), "")
        if waits.get(claim):
            result["steps"] = steps(waits[claim], int(result.get("start", 0)), passed=result["status"] == "passed")
            file.write_text(json.dumps(result), encoding="utf-8")


def steps(waits: Sequence[WaitRecord], start: int, *, passed: bool) -> list[dict[str, Any]]:
    """Return waits as Allure steps, one after the other from `start` (ms); in a claim that did not pass the last one failed."""
    made: list[dict[str, Any]] = []
    for wait in waits:
        stop = start + round(wait.seconds * 1000)
        ended = {"name": "ended by", "value": wait.ended_by or "the end of the claim"}
        seen = {"name": "observations", "value": str(wait.observations)}
        step = {"name": f"{wait.condition} ({wait.what})", "status": "passed", "stage": "finished"}
        made.append({**step, "start": start, "stop": stop, "parameters": [ended, seen]})
        start = stop
    if made and not passed:
        made[-1]["status"] = "failed"
    return made


def label(name: str, claim: Claim) -> None:
    """Tell Allure about the claim whose test, of that name, is running."""
    allure.dynamic.title(title(name, claim))
    allure.dynamic.description(claim.must)
    allure.dynamic.epic(PROJECT)
    allure.dynamic.feature(feature(claim.link))
    allure.dynamic.story(claim.id)
    allure.dynamic.severity(severity(claim.link))
    allure.dynamic.tag(claim.level, *(requirement.id for requirement in claim.requirements))
    allure.dynamic.label("claim", claim.id)
    allure.dynamic.link(claim.spec_url, name="specification")
    if claim.upstream:
        allure.dynamic.label("upstream", claim.upstream)
