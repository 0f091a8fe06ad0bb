"""The verdict of a run, from the records of its claims. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.conditions.text import counted
from kubechain.core.errors import ExitCode

# How the line of a verdict names the broken links besides the first.
ALSO_BROKEN = "; also broken: "
ALSO = re.compile(rf"{ALSO_BROKEN}(?P<links>[A-Z]+(, [A-Z]+)*)")
NOT_RUN = "the run ended at the first broken link (--fail-fast)"


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run; `holds` is true only if every selected claim passed or was skipped, and at least one passed."""

    holds: bool
    line: str
    first_broken_link: Link | None
    counts: dict[Outcome, int]
    exit_code: ExitCode


def complete(
    collected: Iterable[CollectedClaim], reported: Iterable[ClaimRecord], begun: Collection[str] | None = None
) -> list[ClaimRecord]:
    """Return one record for each collected claim: the one that counts; without a report the claim is inconclusive.

    `begun` are the node ids of the claims that began, if the run ended at the first broken link (--fail-fast), else None: the
    other claims were not run.
    """
    known = latest(reported)
    return [known.get(claim.nodeid) or _unreported(claim, begun) for claim in collected]


def latest(reported: Iterable[ClaimRecord]) -> dict[str, ClaimRecord]:
    """Return node id -> the record that counts: the last, but a claim that failed or was blocked stays so after its teardown."""
    last: dict[str, ClaimRecord] = {}
    for record in reported:
        known = last.get(record.nodeid)
        if known is None or known.outcome not in (Outcome.FAILED, Outcome.BLOCKED):
            last[record.nodeid] = record
    return last


def _unreported(claim: CollectedClaim, begun: Collection[str] | None) -> ClaimRecord:
    return lost(claim) if begun is None or claim.nodeid in begun else claim.ended(Outcome.NOT_RUN, NOT_RUN)


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
    done = len(records) - len(inconclusive) - counts[Outcome.NOT_RUN]
    stopped = next((each for each in records if each.outcome == Outcome.BLOCKED and each.waits_for in list(Obstacle)), None)
    if first:
        line, code = f"chain broken at {first.link}: {first.message}{_besides(records, first)}", ExitCode.CHAIN_BROKEN
    elif stopped:
        obstacle, why = Obstacle(str(stopped.waits_for)), (stopped.message or "").partition(": ")[2]
        line, code = f"no verdict: {obstacle.what}: {why}", obstacle.exit_code
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
    elif counts[Outcome.NOT_RUN]:
        line, code = "no verdict: the run ended early", ExitCode.HARNESS
    elif not counts[Outcome.PASSED]:
        line, code = "no verdict: no claim was run", ExitCode.NOTHING_SELECTED
    else:
        line, code = f"chain holds: {counted(counts[Outcome.PASSED], 'claim')} in {seconds:.1f} s", ExitCode.HOLDS
    line += _not_run(counts[Outcome.NOT_RUN]) + _skips(records)
    return Verdict(code == ExitCode.HOLDS, line, first.link if first else None, counts, code)


@dataclass(frozen=True, order=True)
class BrokenLink:
    """A broken link, by one claim: the claims of a link come in the order of their ids, blocked claims last."""

    order: int
    claim: str
    link: Link
    message: str
    suspects: str


def first_broken(records: Iterable[ClaimRecord]) -> BrokenLink | None:
    """Return the first broken link of the chain, None if no link is broken.

    A link is broken if one of its claims failed, or if other claims are blocked because it is not up.
    """
    broken: list[BrokenLink] = []
    for record in records:
        message, link = record.message or "", record.link
        if record.outcome == Outcome.FAILED:
            broken.append(BrokenLink(link.order, record.id, link, message, record.suspects))
        elif record.outcome == Outcome.BLOCKED and record.waits_for in set(Link):
            link = Link(record.waits_for)
            # "~" sorts after every id: the message of a failed claim of the link says more.
            broken.append(BrokenLink(link.order, "~", link, message.partition(": ")[2], record.suspects))
    return min(broken, default=None)


def _besides(records: Sequence[ClaimRecord], first: BrokenLink) -> str:
    """Return what the line of a broken link says after its message."""
    inconclusive = sum(record.outcome == Outcome.INCONCLUSIVE for record in records)
    failed = {record.link for record in records if record.outcome == Outcome.FAILED}
    others = ", ".join(link for link in Link if link in failed and link != first.link)
    return "".join(
        [
            f" ({inconclusive} more inconclusive)" if inconclusive else "",
            f"; components: {first.suspects}" if first.suspects else "",
            f"{ALSO_BROKEN}{others}" if others else "",
        ]
    )


def _not_run(count: int) -> str:
    return f"; {counted(count, 'claim')} not run (--fail-fast)" if count else ""


def _skips(records: Iterable[ClaimRecord]) -> str:
    reasons = Counter(record.message for record in records if record.outcome == Outcome.SKIPPED)
    if not reasons:
        return ""
    return f", {reasons.total()} skipped: {', '.join(f'{reason} ({count})' for reason, count in reasons.items())}"
