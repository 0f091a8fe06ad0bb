"""The one line that a run ends with, and why: from the records of its claims. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.core.errors import ExitCode


@dataclass(frozen=True)
class Verdict:
    """What a run found; `holds` only if every selected claim that applies passed."""

    holds: bool
    line: str
    first_broken_link: Link | None
    counts: dict[Outcome, int]
    exit_code: ExitCode


def complete(collected: Iterable[CollectedClaim], reported: Iterable[ClaimRecord]) -> list[ClaimRecord]:
    """Return one record for each collected claim: the last that was reported, inconclusive for one that never was."""
    last: dict[str, ClaimRecord] = {}
    for record in reported:
        known = last.get(record.nodeid)
        # A teardown that goes wrong does not take back that the claim was disproved.
        if known is None or known.outcome != Outcome.FAILED:
            last[record.nodeid] = record
    return [last.get(claim.nodeid) or lost(claim) for claim in collected]


def lost(claim: CollectedClaim) -> ClaimRecord:
    """Return the record of a claim that never reported, because its worker died or the run was ended."""
    return claim.ended(Outcome.INCONCLUSIVE, "never reported: its worker died, or the run ended before it")


def verdict_of(
    records: Sequence[ClaimRecord], seconds: float, *, trouble: str | None = None, interrupted: bool = False
) -> Verdict:
    """Return the verdict on a run that took `seconds` for its claims; `trouble` is why it could not begin or go on."""
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
        line, code = f"no verdict: interrupted after {done} of {len(records)} claims", ExitCode.INTERRUPTED
    elif inconclusive:
        example = f"{inconclusive[0].id}: {inconclusive[0].message}"
        line, code = f"no verdict: {len(inconclusive)} claims inconclusive: {example}", ExitCode.HARNESS
    elif counts[Outcome.BLOCKED]:
        blocked = next(record for record in records if record.outcome == Outcome.BLOCKED)
        line = f"no verdict: {counts[Outcome.BLOCKED]} claims were not tried: {blocked.id}: {blocked.message}"
        code = ExitCode.HARNESS
    elif not counts[Outcome.PASSED]:
        line, code = "no verdict: no claim was run", ExitCode.NOTHING_SELECTED
    else:
        line, code = f"chain holds: {counts[Outcome.PASSED]} claims in {seconds:.1f} s", ExitCode.HOLDS
    return Verdict(code == ExitCode.HOLDS, line + _skips(records), first[0] if first else None, counts, code)


def first_broken(records: Iterable[ClaimRecord]) -> tuple[Link, str] | None:
    """Return the first link of the chain that is broken, and how it shows; None if none is.

    A link is broken if one of its claims failed, or if it did not come up although others waited for it.
    """
    shown: list[tuple[Link, str, str]] = []
    for record in records:
        if record.outcome == Outcome.FAILED:
            shown.append((record.link, record.id, record.message or ""))
        elif record.outcome == Outcome.BLOCKED and record.waits_for in set(Link):
            # Behind the claims of the link itself, which say more.
            shown.append((Link(record.waits_for), "~", (record.message or "").partition(": ")[2]))
    first = min(shown, key=lambda entry: (entry[0].order, entry[1]), default=None)
    return (first[0], first[2]) if first else None


def _skips(records: Iterable[ClaimRecord]) -> str:
    reasons = Counter(record.message for record in records if record.outcome == Outcome.SKIPPED)
    if not reasons:
        return ""
    return f", {reasons.total()} skipped ({'; '.join(f'{count} {reason}' for reason, count in reasons.items())})"
