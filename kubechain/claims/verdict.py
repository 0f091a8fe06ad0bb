"""The verdict of a run, from the records of its claims. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.conditions.text import counted
from kubechain.core.errors import ExitCode


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run; `holds` is true only if every selected claim passed or was skipped, and at least one passed."""

    holds: bool
    line: str
    first_broken_link: Link | None
    counts: dict[Outcome, int]
    exit_code: ExitCode


def complete(collected: Iterable[CollectedClaim], reported: Iterable[ClaimRecord]) -> list[ClaimRecord]:
    """Return one record for each collected claim: the last reported one; without a report the claim is inconclusive."""
    last: dict[str, ClaimRecord] = {}
    for record in reported:
        known = last.get(record.nodeid)
        # A claim that failed stays failed even if its teardown fails too.
        if known is None or known.outcome != Outcome.FAILED:
            last[record.nodeid] = record
    return [last.get(claim.nodeid) or lost(claim) for claim in collected]


def lost(claim: CollectedClaim) -> ClaimRecord:
    """Return the record of a claim without a report."""
    return claim.ended(Outcome.INCONCLUSIVE, "never reported: its worker process died, or the run ended first")


def verdict_of(
    records: Sequence[ClaimRecord], seconds: float, *, trouble: str | None = None, interrupted: bool = False
) -> Verdict:
    """Return the verdict of a run whose claims took `seconds`; `trouble` is the reason why the run stopped early."""
    counts = dict.fromkeys(Outcome, 0) | Counter(record.outcome for record in records)
    first = first_broken(records)
    inconclusive = [record for record in records if record.outcome == Outcome.INCONCLUSIVE]
    done = len(records) - len(inconclusive)
    if first:
        also = f" ({len(inconclusive)} more inconclusive)" if inconclusive else ""
        line, code = f"chain broken at {first[0]}: {first[1]}{also}", ExitCode.CHAIN_BROKEN
    elif trouble:
        line, code = f"no verdict: {trouble}", ExitCode.HARNESS
    elif interrupted:
        line, code = f"no verdict: interrupted after {done} of {counted(len(records), 'claim')}", ExitCode.INTERRUPTED
    elif inconclusive:
        example = f"{inconclusive[0].id}: {inconclusive[0].message}"
        line, code = f"no verdict: {counted(len(inconclusive), 'claim')} inconclusive: {example}", ExitCode.HARNESS
    elif counts[Outcome.BLOCKED]:
        blocked = next(record for record in records if record.outcome == Outcome.BLOCKED)
        line = f"no verdict: {counted(counts[Outcome.BLOCKED], 'claim')} blocked: {blocked.id}: {blocked.message}"
        code = ExitCode.HARNESS
    elif not counts[Outcome.PASSED]:
        line, code = "no verdict: no claim was run", ExitCode.NOTHING_SELECTED
    else:
        line, code = f"chain holds: {counted(counts[Outcome.PASSED], 'claim')} in {seconds:.1f} s", ExitCode.HOLDS
    return Verdict(code == ExitCode.HOLDS, line + _skips(records), first[0] if first else None, counts, code)


def first_broken(records: Iterable[ClaimRecord]) -> tuple[Link, str] | None:
    """Return the first broken link of the chain and its message, None if no link is broken.

    A link is broken if one of its claims failed, or if other claims are blocked because it is not up.
    """
    broken: list[tuple[Link, str, str]] = []
    for record in records:
        if record.outcome == Outcome.FAILED:
            broken.append((record.link, record.id, record.message or ""))
        elif record.outcome == Outcome.BLOCKED and record.waits_for in set(Link):
            # "~" sorts after every id: the message of a failed claim of the link says more.
            broken.append((Link(record.waits_for), "~", (record.message or "").partition(": ")[2]))
    first = min(broken, key=lambda entry: (entry[0].order, entry[1]), default=None)
    return (first[0], first[2]) if first else None


def _skips(records: Iterable[ClaimRecord]) -> str:
    reasons = Counter(record.message for record in records if record.outcome == Outcome.SKIPPED)
    if not reasons:
        return ""
    return f", {reasons.total()} skipped: {', '.join(f'{reason} ({count})' for reason, count in reasons.items())}"
