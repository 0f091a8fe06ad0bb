"""Compares two sets of runs: what broke, healed, is not tried any more, is new or gone, and how fast it is. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import excused
from kubechain.conditions.text import counted, some
from kubechain.core.errors import ExitCode
from kubechain.core.records import JsonRecord
from kubechain.results import runs as finished
from kubechain.results import speed
from kubechain.results.speed import Speed

# How a claim ended, for a comparison: "known" is a known issue, or a claim blocked behind one; "undecided" says nothing.
Ending = Literal["passed", "failed", "blocked", "known", "undecided", "skipped"]
Change = Literal["broke", "fails", "healed", "known", "skipped", "undecided", "new", "gone"]
NAMES: dict[Change, str] = {
    "broke": "broke",
    "healed": "healed",
    "fails": "fails on both sides",
    "known": "newly a known issue",
    "skipped": "newly skipped",
    "undecided": "newly inconclusive",
    "new": "new",
    "gone": "gone",
}


class ClaimChange(JsonRecord):
    """A claim that differs; `before` and `after` count its runs by how it ended."""

    change: Change
    worse: bool
    id: str
    link: Link
    before: dict[Ending, int]
    after: dict[Ending, int]
    message: str
    """The message of its last run that says why, "" if none does."""


class Side(JsonRecord):
    """One side of a comparison."""

    runs: int
    hold: int
    """Number of runs in which the chain holds."""
    broken_links: dict[Link, int]
    """First broken link -> number of runs."""
    clusters: list[str]
    kubernetes: list[str]
    kubechain: list[str]


class Comparison(JsonRecord):
    """The result of a comparison; `exit_code` is WORSE if something broke or got slower."""

    line: str
    exit_code: ExitCode
    different: str
    """In what clusters and versions differ, as one line; "" if they do not."""
    before: Side
    after: Side
    claims: list[ClaimChange]
    speed: Speed


def compare(before: Sequence[RunRecord], after: Sequence[RunRecord], measured: Speed | None = None) -> Comparison:
    """Compare two sets of runs; `measured` replaces what they say about speed."""
    found, pace = _claims(before, after), measured or speed.changes(before, after)
    line, code = _result(found, pace, after, _lost(before, after))
    sides = _side(before), _side(after)
    return Comparison(
        line=line, exit_code=code, different=_different(*sides), before=sides[0], after=sides[1], claims=found, speed=pace
    )


def endings(run: RunRecord) -> dict[str, Ending]:
    """Return how each claim of a run ended, by its id."""
    known = excused(run.claims)
    return {claim.id: _ending(claim, known) for claim in run.claims}


def _ending(claim: ClaimRecord, known: set[str]) -> Ending:
    match claim.outcome:
        case Outcome.PASSED:
            return "passed"
        case Outcome.SKIPPED:
            return "skipped"
        case Outcome.FAILED:
            return "known" if claim.known else "failed"
        case Outcome.BLOCKED if claim.waits_for in known:
            return "known"
        case Outcome.BLOCKED if claim.waits_for in set(Link):
            return "blocked"
        case _:
            return "undecided"


def _claims(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> list[ClaimChange]:
    old, new = _counts(before), _counts(after)
    # The last record of a claim says its link, and why.
    last = {claim.id: claim for run in [*before, *after] for claim in run.claims}
    found: list[ClaimChange] = []
    for claim in sorted(last.values(), key=lambda each: (each.link.order, each.id)):
        was, now = old.get(claim.id, Counter[Ending]()), new.get(claim.id, Counter[Ending]())
        change = _change(was, now)
        if change:
            worse = change == "broke" or (change == "fails" and not now["passed"] and was["passed"] > 0)
            found.append(
                ClaimChange(
                    change=change,
                    worse=worse,
                    id=claim.id,
                    link=claim.link,
                    before=dict(was),
                    after=dict(now),
                    message=_message(claim.id, before if change == "healed" else after),
                )
            )
    return found


def _counts(runs: Sequence[RunRecord]) -> dict[str, Counter[Ending]]:
    counts: dict[str, Counter[Ending]] = {}
    for run in runs:
        for claim, ending in endings(run).items():
            counts.setdefault(claim, Counter())[ending] += 1
    return counts


def _change(was: Counter[Ending], now: Counter[Ending]) -> Change | None:
    broke, broken = (bool(side["failed"] + side["blocked"]) for side in (was, now))
    if not now:
        return "gone"
    if broken:
        return "fails" if broke else "broke"
    if not was:
        return "new"
    for ending in ("known", "undecided", "skipped"):
        if now[ending] and not was[ending]:
            return ending
    return "healed" if (broke or was["known"]) and now["passed"] and not now["known"] else None


def _message(claim: str, runs: Sequence[RunRecord]) -> str:
    said = [each.message for run in runs for each in run.claims if each.id == claim and each.message]
    return said[-1] if said else ""


def _side(runs: Sequence[RunRecord]) -> Side:
    return Side(
        runs=len(runs),
        hold=sum(run.holds for run in runs),
        broken_links=dict(Counter(run.first_broken_link for run in runs if run.first_broken_link)),
        clusters=sorted({finished.cluster(run) for run in runs}),
        kubernetes=sorted({finished.kubernetes(run) for run in runs}),
        kubechain=sorted({run.versions.get("kubechain", "unknown version") for run in runs}),
    )


def _different(before: Side, after: Side) -> str:
    names = {"clusters": "cluster", "kubernetes": "Kubernetes", "kubechain": "kubechain"}
    pairs = {text: (getattr(before, name), getattr(after, name)) for name, text in names.items()}
    parts = [f"{text} {', '.join(old)} and {', '.join(new)}" for text, (old, new) in pairs.items() if old != new or len(old) > 1]
    return f"the runs differ in more than time: {'; '.join(parts)}" if parts else ""


def _lost(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> list[str]:
    """Return the claims that were judged before, and of which no run after says anything, though some tried."""
    old, new = _counts(before), _counts(after)
    open_ = [claim for claim, now in new.items() if now["undecided"] and set(now) <= {"undecided", "skipped"}]
    return sorted(claim for claim in open_ if set(old.get(claim, ())) - {"undecided"})


def _result(found: Sequence[ClaimChange], pace: Speed, after: Sequence[RunRecord], lost: Sequence[str]) -> tuple[str, ExitCode]:
    counts = Counter(NAMES[each.change] for each in found)
    counts["slower"] = sum(each.slower for each in pace.changes)
    counts["faster"] = len(pace.changes) - counts["slower"]
    what = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    worse = sum(each.worse for each in found) + counts["slower"]
    if worse:
        return f"worse: {what}", ExitCode.WORSE
    if not any(claim.outcome == Outcome.PASSED for run in after for claim in run.claims):
        return f"no verdict: no claim passed in {counted(len(after), 'run')}: {after[-1].verdict}", ExitCode.HARNESS
    if lost:
        which = f"{counted(len(lost), 'claim')} cannot be judged: {what or some(lost)}"
        return f"no verdict: nothing broke, but {which}", ExitCode.HARNESS
    return f"nothing broke: {what or 'no difference'}", ExitCode.HOLDS
