"""Whether `kubechain during` says of a change what it must. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.core.errors import ExitCode
from tests.changes.records import Change

# Such a run says neither go nor no-go of the change.
UNDECIDED = {ExitCode.HARNESS, ExitCode.UNREACHABLE, ExitCode.CLUSTER}


@dataclass(frozen=True)
class Tried:
    """A change that was tried: what was said of it, which claims failed, and what does not hold."""

    change: Change
    said: str
    failed: tuple[str, ...]
    line: str
    problems: tuple[str, ...]


def tried(change: Change, run: RunRecord, line: str) -> Tried:
    """Return what a run says of a change; `line` is the last line of upgrade.json."""
    failed = tuple(claim.id for claim in run.claims if claim.outcome is Outcome.FAILED)
    said = "go" if run.exit_code == 0 else "undecided" if run.exit_code in UNDECIDED else "no-go"
    problems: list[str] = []
    if said == "undecided" or (change.go is not None and (said == "go") != change.go):
        problems.append(f"said {said}: {run.verdict}")
    if said == "no-go" and change.suffers and not {*failed} & {*change.suffers}:
        problems.append(f"none of {', '.join(change.suffers)} failed, but {', '.join(failed) or 'none'}")
    if not line.startswith("change `"):
        problems.append(f"not called a change: {line}")
    failures = [claim for claim in run.claims if claim.outcome is Outcome.FAILED]
    problems += [f"{claim.id} says upgrade: {claim.message}" for claim in failures if "upgrade" in (claim.message or "")]
    return Tried(change, said, failed, line, tuple(problems))


def table(all_tried: Sequence[Tried]) -> str:
    """Return the changes as a Markdown table, the line of each, and what does not hold."""
    expected = {True: "go", False: "no-go", None: "recorded"}
    lines = ["| change | expected | said | failed |", "|---|---|---|---|"]
    lines += [
        f"| {each.change.title} | {expected[each.change.go]} | {each.said} | {', '.join(each.failed) or '-'} |"
        for each in all_tried
    ]
    lines += ["", *(f"- {each.change.id}: {each.line}" for each in all_tried)]
    lines += [f"- PROBLEM {each.change.id}: {text}" for each in all_tried for text in each.problems]
    return "\n".join(lines) + "\n"
