"""The one line that a run ends with, and why: from the records of its claims. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubechain.claims.claim import Link, Outcome
from kubechain.core.errors import ExitCode

Record = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a run found; `holds` only if every selected claim that applies passed."""

    holds: bool
    line: str
    first_broken_link: str | None
    counts: dict[str, int]
    exit_code: ExitCode


def complete(collected: Iterable[Record], reported: Iterable[Record]) -> list[Record]:
    """Return one record for each collected claim: the last that was reported, broken for one that never was."""
    last: dict[str, Record] = {}
    for record in reported:
        # A teardown that goes wrong does not take back that the claim was disproved.
        if last.get(record["nodeid"], {}).get("outcome") != Outcome.FAILED:
            last[record["nodeid"]] = record
    return [last.get(claim["nodeid"]) or lost(claim) for claim in collected]


def lost(claim: Record) -> Record:
    """Return the record of a claim that never reported, because its worker died or the run was ended."""
    message = "never reported: its worker died, or the run ended before it"
    rest: Record = {"waitsFor": None, "seconds": 0.0, "worker": "", "measured": {}, "waits": []}
    return {**claim, **rest, "outcome": Outcome.BROKEN.value, "message": message}


def judge(records: Sequence[Record], seconds: float, *, trouble: str | None = None, interrupted: bool = False) -> Verdict:
    """Return the verdict on a run that took `seconds` for its claims; `trouble` is why it could not begin or go on."""
    counts = {outcome.value: 0 for outcome in Outcome} | Counter(record["outcome"] for record in records)
    first = first_broken(records)
    link = first[0] if first else None
    broken = [record for record in records if record["outcome"] == Outcome.BROKEN]
    done = len(records) - len(broken)
    if first:
        also = f" ({len(broken)} more inconclusive)" if broken else ""
        line, code = f"chain broken at {first[0]}: {first[1]}{also}", ExitCode.CHAIN_BROKEN
    elif trouble:
        line, code = f"no verdict: {trouble}", ExitCode.HARNESS
    elif interrupted:
        line, code = f"no verdict: interrupted after {done} of {len(records)} claims", ExitCode.INTERRUPTED
    elif broken:
        line = f"no verdict: {len(broken)} claims inconclusive: {broken[0]['id']}: {broken[0]['message']}"
        code = ExitCode.HARNESS
    elif counts[Outcome.BLOCKED]:
        found = next(record for record in records if record["outcome"] == Outcome.BLOCKED)
        line = f"no verdict: {counts[Outcome.BLOCKED]} claims were not tried: {found['id']}: {found['message']}"
        code = ExitCode.HARNESS
    elif not counts[Outcome.PASSED]:
        line, code = "no verdict: no claim was run", ExitCode.NOTHING_SELECTED
    else:
        line, code = f"chain holds: {counts[Outcome.PASSED]} claims in {seconds:.1f} s", ExitCode.HOLDS
    return Verdict(code == ExitCode.HOLDS, line + _skips(records), link, counts, code)


def first_broken(records: Iterable[Record]) -> tuple[str, str] | None:
    """Return the first link of the chain that is broken, and how it shows; None if none is.

    A link is broken if one of its claims failed, or if it did not come up although others waited for it.
    """
    failed = [(r["link"], r["id"], r["message"]) for r in records if r["outcome"] == Outcome.FAILED]
    waited = [
        (r["waitsFor"], "~", r["message"].partition(": ")[2])
        for r in records
        if r["outcome"] == Outcome.BLOCKED and r["waitsFor"] in set(Link)
    ]
    found = sorted(failed + waited, key=lambda entry: (Link(entry[0]).order, entry[1]))
    return (found[0][0], found[0][2]) if found else None


def _skips(records: Iterable[Record]) -> str:
    reasons = Counter(record["message"] for record in records if record["outcome"] == Outcome.SKIPPED)
    if not reasons:
        return ""
    return f", {reasons.total()} skipped ({'; '.join(f'{count} {reason}' for reason, count in reasons.items())})"
