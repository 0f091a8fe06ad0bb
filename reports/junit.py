"""junit.xml: a row for each claim, or for each fault, in the form that Jenkins, GitLab, GitHub and prow read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree  # nosec B405  # only written, never parsed

from kubechain.claims.claim import Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import excused
from kubechain.core.default_folders import PROJECT
from kubechain.faults.records import Score

# Characters that XML does not have, not even escaped.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Element = ElementTree.Element
Kind = Literal["failure", "error", "skipped"]


@dataclass(frozen=True)
class Row:
    """A test case: its name, its class, its seconds, its properties, and what it ends with besides "passed"."""

    name: str
    classname: str
    seconds: float
    properties: dict[str, str] = field(default_factory=dict[str, str])
    kind: Kind | None = None
    type: str = ""
    message: str = ""
    text: str = ""


def document(run: RunRecord, faults: Sequence[Score] = ()) -> str:
    """Return the file: the verdict is the first property of its only test suite, and the rows are in the order of the chain.

    The verdict is a row of its own where it is not good, and no other row says so.
    """
    rows = [_of_fault(score) for score in faults] or list(_of_claims(run.claims))
    if not run.holds and not any(row.kind in ("failure", "error") for row in rows):
        # Of a run that could not begin, or whose waivers are stale: who reads the rows alone must not take it for a success.
        rows.append(Row("verdict", PROJECT, 0.0, {}, "error", f"exit code {int(run.exit_code)}", run.verdict, run.verdict))
    root = Element("testsuites", name=PROJECT)
    suite = ElementTree.SubElement(root, "testsuite", _attributes(run, rows))
    _properties(suite, {"verdict": run.verdict, "exitCode": str(int(run.exit_code)), "run": run.run})
    for row in rows:
        _add(suite, row)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _attributes(run: RunRecord, rows: Sequence[Row]) -> dict[str, str]:
    kinds = [row.kind for row in rows]
    return {
        "name": PROJECT,
        "tests": str(len(rows)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(row.seconds for row in rows):.3f}",
        # Jenkins' schema has no zone; it is UTC.
        "timestamp": run.started.replace(tzinfo=None, microsecond=0).isoformat(),
    }


def _of_claims(claims: Sequence[ClaimRecord]) -> Iterable[Row]:
    known = excused(claims)
    for claim in claims:
        kind, type_ = _kind(claim, known)
        behind = claim.outcome == Outcome.BLOCKED and claim.waits_for in known
        message = f"{claim.ending}: {claim.message}" if claim.known or behind else claim.message or ""
        properties = {"must": claim.must, "spec": claim.spec, "level": claim.level, "upstream": claim.upstream}
        text = "\n".join(filter(None, [claim.must, claim.message, claim.suspects and f"components: {claim.suspects}"]))
        yield Row(claim.id, claim.link, claim.seconds, properties, kind, type_, message, text)


def _kind(claim: ClaimRecord, known: set[str]) -> tuple[Kind | None, str]:
    """Return the element of a claim that did not pass, and its type; a known issue must not make a job red."""
    match claim.outcome:
        case Outcome.PASSED:
            return None, ""
        case Outcome.SKIPPED | Outcome.NOT_RUN:
            return "skipped", claim.outcome.value
        case Outcome.FAILED:
            return ("skipped", "known") if claim.known else ("failure", "failed")
        case Outcome.BLOCKED:
            return ("skipped" if claim.waits_for in known else "error"), "blocked"
        case Outcome.INCONCLUSIVE:
            return "error", "inconclusive"


def _of_fault(score: Score) -> Row:
    properties = {"title": score.title, "result": score.result, "expected": score.expected or "", "verdict": score.verdict}
    kind: Kind | None = None if score.good else "failure"
    return Row(score.fault, f"faults.{score.kind}", score.seconds.total, properties, kind, score.result, score.why, score.why)


def _add(suite: Element, row: Row) -> None:
    case = ElementTree.SubElement(suite, "testcase", name=row.name, classname=row.classname, time=f"{row.seconds:.3f}")
    _properties(case, row.properties)
    if row.kind:
        # The message is all that some readers show, and skipped has no text in Jenkins' schema.
        ended = ElementTree.SubElement(case, row.kind, type=row.type, message=_legal(row.message))
        ended.text = None if row.kind == "skipped" else _legal(row.text)


def _properties(parent: Element, values: dict[str, str]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in values.items():
        if value:
            ElementTree.SubElement(properties, "property", name=name, value=_legal(value))


def _legal(text: str) -> str:
    return ILLEGAL.sub("?", text)
