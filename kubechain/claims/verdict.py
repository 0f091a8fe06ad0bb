"""The verdict of a run, from the records of its claims. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.records import ClaimRecord, CollectedClaim, SelectionRecord
from kubechain.conditions.text import counted
from kubechain.core.errors import ExitCode

# How the line of a verdict names the broken links besides the first.
ALSO_BROKEN = "; also broken: "
ALSO = re.compile(rf"{ALSO_BROKEN}(?P<links>[A-Z]+(, [A-Z]+)*)")
FIRST_COUNTS = 3
NOT_RUN = "the run ended at the first broken link (--fail-fast)"


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run.

    `holds` is true only if every selected claim passed, was skipped, or is a known issue or blocked behind one, and at least one
    passed.
    """

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
    """Return node id -> the record that counts: the last, but a claim that failed, was blocked or is inconclusive stays so.

    It may have records of its subtests, of itself and of its teardown. If all its subtests were skipped, so was the claim: that
    the test itself then ends without an error says nothing.
    """
    last: dict[str, ClaimRecord] = {}
    passes: Counter[str] = Counter()
    for record in reported:
        known = last.get(record.nodeid)
        passes[record.nodeid] += record.outcome == Outcome.PASSED
        if known and known.outcome == Outcome.SKIPPED and record.outcome == Outcome.PASSED and passes[record.nodeid] == 1:
            # The first of several is a subtest; the only one is the test itself.
            continue
        if known is None or _weight(record) > _weight(known) or (_weight(record) == _weight(known) < FIRST_COUNTS):
            last[record.nodeid] = record
    return last


def _weight(record: ClaimRecord) -> int:
    """Return how much a record counts against others of its claim; of equal ones from FIRST_COUNTS on, the first counts."""
    if record.outcome == Outcome.FAILED and record.known:
        # What is not known of it, such as a teardown that failed, is no part of the known issue.
        return 1
    return {Outcome.INCONCLUSIVE: 2, Outcome.FAILED: FIRST_COUNTS, Outcome.BLOCKED: FIRST_COUNTS}.get(record.outcome, 0)


def _unreported(claim: CollectedClaim, begun: Collection[str] | None) -> ClaimRecord:
    return lost(claim) if begun is None or claim.nodeid in begun else claim.ended(Outcome.NOT_RUN, NOT_RUN)


def lost(claim: CollectedClaim) -> ClaimRecord:
    """Return the record of a claim without a report."""
    return claim.ended(Outcome.INCONCLUSIVE, "never reported: its worker process died, or the run ended first")


def verdict_of(
    records: Sequence[ClaimRecord],
    seconds: float,
    *,
    trouble: str | None = None,
    interrupted: bool = False,
    stale: Sequence[str] = (),
) -> Verdict:
    """Return the verdict of a run whose claims took `seconds`.

    `trouble` is the reason why the run stopped early; `stale` has a line for each waiver whose claim does not fail any more.
    """
    counts = dict.fromkeys(Outcome, 0) | Counter(record.outcome for record in records)
    first = first_broken(records)
    inconclusive = [record for record in records if record.outcome == Outcome.INCONCLUSIVE]
    done = len(records) - len(inconclusive) - counts[Outcome.NOT_RUN]
    unexcused = [record for record in records if record.outcome == Outcome.BLOCKED and record.waits_for not in excused(records)]
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
    elif unexcused:
        line = f"no verdict: {counted(len(unexcused), 'claim')} blocked: {unexcused[0].id}: {unexcused[0].message}"
        code = ExitCode.HARNESS
    elif counts[Outcome.NOT_RUN]:
        line, code = "no verdict: the run ended early", ExitCode.HARNESS
    else:
        line, code = _unbroken(records, seconds, stale)
    if code not in (ExitCode.HOLDS, ExitCode.WAIVERS):
        line += "".join(f"; {each}" for each in [*_known(records), *stale])
    line += _not_run(counts[Outcome.NOT_RUN])
    # After a list of links or the message of a claim, a comma would make it a part of that.
    line += _skips(records, ", " if code in (ExitCode.HOLDS, ExitCode.WAIVERS) else "; ")
    return Verdict(code == ExitCode.HOLDS, line, first.link if first else None, counts, code)


def of_a_part(verdict: Verdict, selection: SelectionRecord | None) -> Verdict:
    """Return a verdict whose line also says that it is one on a part of the claims."""
    return replace(verdict, line=f"{verdict.line}; {partial(selection)}") if selection else verdict


def partial(selection: SelectionRecord) -> str:
    """Return what a run left out: "only a part was tried (-k): 158 claims left out"."""
    names = sorted({re.split("[ =]", option)[0] for option in selection.by})
    lost = [counted(len(selection.left_out), "claim")] if selection.left_out else []
    lost += [counted(len(selection.files), "module")] if selection.files else []
    how = f" ({', '.join(names)})" if names else ""
    return f"only a part was tried{how}: {' and '.join(lost)} left out"


def _unbroken(records: Sequence[ClaimRecord], seconds: float, stale: Sequence[str]) -> tuple[str, ExitCode]:
    """Return the line and the exit code of a run in which every claim was tried, or is blocked by a known issue."""
    outcomes = {record.outcome for record in records}
    if Outcome.PASSED not in outcomes:
        what = "passed" if Outcome.FAILED in outcomes else "was run"
        return f"no verdict: no claim {what}", ExitCode.NOTHING_SELECTED
    if stale:
        return f"{'; '.join(stale)}; else the {_holds(records, seconds)}", ExitCode.WAIVERS
    return _holds(records, seconds), ExitCode.HOLDS


def _holds(records: Sequence[ClaimRecord], seconds: float) -> str:
    """Return the line of a chain that holds, with its known issues and what they block."""
    passed = sum(record.outcome == Outcome.PASSED for record in records)
    issues, blocked = _known(records), Counter(record.waits_for for record in records if record.outcome == Outcome.BLOCKED)
    took = f"{counted(passed, 'claim')} in {seconds:.1f} s"
    if not issues:
        return f"chain holds: {took}"
    behind = [f"{counted(count, 'claim')} blocked by {link}" for link, count in blocked.items()]
    return f"chain holds with {counted(len(issues), 'known issue')}: {'; '.join([*issues, *behind])}; else {took}"


def _known(records: Iterable[ClaimRecord]) -> list[str]:
    return [f"{record.id} {record.ending}" for record in records if record.known]


def excused(records: Iterable[ClaimRecord]) -> set[str]:
    """Return the links that are known not to come up: a claim that states that the link is up is a known issue.

    A claim that is blocked by such a link was not tried, and breaks no verdict.
    """
    return {record.link.value for record in records if record.known and record.opens}


@dataclass(frozen=True, order=True)
class BrokenLink:
    """A broken link, by one claim: the claims of a link come in the order of their ids, blocked claims last."""

    order: int
    claim: str
    link: Link
    message: str
    suspects: str


def first_broken(records: Sequence[ClaimRecord], known: Collection[str] = ()) -> BrokenLink | None:
    """Return the first broken link of the chain, None if no link is broken.

    A link is broken if one of its claims failed, or if other claims are blocked because it is not up. Known issues break no link;
    `known` are links that are known not to come up besides those that the records show.
    """
    broken: list[BrokenLink] = []
    shut = {*known, *excused(records)}
    for record in records:
        message, link = record.message or "", record.link
        if record.outcome == Outcome.FAILED and not record.known:
            broken.append(BrokenLink(link.order, record.id, link, message, record.suspects))
        elif record.outcome == Outcome.BLOCKED and record.waits_for in set(Link) - shut:
            link = Link(record.waits_for)
            # "~" sorts after every id: the message of a failed claim of the link says more.
            broken.append(BrokenLink(link.order, "~", link, message.partition(": ")[2], record.suspects))
    return min(broken, default=None)


def _besides(records: Sequence[ClaimRecord], first: BrokenLink) -> str:
    """Return what the line of a broken link says after its message."""
    inconclusive = sum(record.outcome == Outcome.INCONCLUSIVE for record in records)
    failed = {record.link for record in records if record.outcome == Outcome.FAILED and not record.known}
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


def _skips(records: Iterable[ClaimRecord], separator: str) -> str:
    reasons = Counter(record.message for record in records if record.outcome == Outcome.SKIPPED)
    if not reasons:
        return ""
    return f"{separator}{reasons.total()} skipped: {', '.join(f'{reason} ({count})' for reason, count in reasons.items())}"
