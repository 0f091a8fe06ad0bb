"""The last lines of a run before its verdict: the slowest hand-overs, what was skipped and why, and where the report is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kubechain.claims.chain_records import STEPS
from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.conditions.text import counted

from .templates import seconds, short

SLOWEST = 3
# Reasons, each on a line of its own.
MOST_REASONS = 12
MOST_OF_REASON = 200


def lines(run: RunRecord, folder: Path) -> list[str]:
    """Return the lines of a run whose results are published in a folder."""
    slowest = sorted((each for each in run.hand_overs if each.what in STEPS), key=lambda each: -each.max)[:SLOWEST]
    shown = ", ".join(f"{each.what} {seconds(each.max)}" for each in slowest)
    reasons = Counter(claim.message or "no reason given" for claim in run.claims if claim.outcome == Outcome.SKIPPED)
    skipped = [f"skipped: {counted(count, 'claim')}: {short(why, MOST_OF_REASON)}" for why, count in reasons.most_common()]
    if len(skipped) > MOST_REASONS:
        skipped[MOST_REASONS:] = [f"skipped: {counted(len(skipped) - MOST_REASONS, 'more reason')} in the report"]
    pages = [folder / name for name in ("chain.html", "report/index.html") if (folder / name).is_file()]
    return [
        *([f"slowest hand-overs: {shown}"] if shown else []),
        *skipped,
        *([f"report: {', '.join(map(str, pages))}"] if pages else []),
    ]
