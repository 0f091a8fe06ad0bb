"""What a run shows of its progress: the links of the chain as they fill in, and the present waits. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, CollectedClaim
from kubechain.pytest.present import Present

KNOWN = "known"
# The state of a link is the first of these of which it has a claim: how it is marked, in ASCII too, and its style.
MARKS: Mapping[str, tuple[str, str, str]] = {
    Outcome.FAILED: ("✗", "x", "bold red"),
    Outcome.INCONCLUSIVE: ("?", "?", "magenta"),
    Outcome.BLOCKED: ("⊘", "b", "yellow"),
    KNOWN: ("✗", "x", "yellow"),
    Outcome.NOT_RUN: ("○", "o", "dim"),
}
COMPLETE, SKIPPED, TO_COME = ("✓", "+", "green"), ("-", "-", "dim"), ("·", ".", "dim")
# A narrower terminal has no room for bars.
BARS_FROM, BAR = 56, 20


@dataclass(frozen=True)
class LinkProgress:
    """A link: its number of claims, and how many of them ended how: by outcome, or as KNOWN."""

    link: Link
    total: int
    ended: Mapping[str, int]

    @property
    def done(self) -> int:
        """The number of claims that have ended."""
        return sum(self.ended.values())

    @property
    def complete(self) -> bool:
        """Whether all claims have ended."""
        return self.done == self.total

    @property
    def worst(self) -> str:
        """The word of MARKS that counts most for the link, "" if there is none."""
        return next((word for word in MARKS if self.ended.get(word)), "")

    @property
    def words(self) -> str:
        """The counts in words: "12 passed, 1 failed"."""
        return ", ".join(f"{self.ended[word]} {word}" for word in (*Outcome, KNOWN) if self.ended.get(word))


def links(collected: Iterable[CollectedClaim], ended: Mapping[str, ClaimRecord]) -> list[LinkProgress]:
    """Return the links that have claims, in the order of the chain; `ended` is node id -> record."""
    claims = list(collected)
    counts: dict[Link, Counter[str]] = {link: Counter() for link in Link}
    for claim in claims:
        if record := ended.get(claim.nodeid):
            counts[claim.link][KNOWN if record.known else record.outcome.value] += 1
    totals = Counter(claim.link for claim in claims)
    return [LinkProgress(link, totals[link], counts[link]) for link in Link if totals[link]]


def head(progress: Sequence[LinkProgress], seconds: float) -> str:
    """Return how many claims have ended, and the time: "40 of 111 claims after 75 s"."""
    return f"{sum(each.done for each in progress)} of {sum(each.total for each in progress)} claims after {seconds:.0f} s"


def line(link: LinkProgress, progress: Sequence[LinkProgress], seconds: float) -> str:
    """Return one line on a link whose claims have all ended."""
    return f"  {link.link}: {link.words} ({head(progress, seconds)})"


def waiting(present: Present, now: float) -> str:
    """Return one line on a claim that runs, for a log."""
    if not present.condition:
        return f"  .. {present.claim} runs"
    waited, most = now - present.began, present.ends - present.began
    got = f", got {present.got}" if present.got else ""
    return f"  .. {present.claim}: expected {present.condition}{got} (waited {waited:.0f} of {most:.0f} s so far)"


def picture(
    progress: Sequence[LinkProgress],
    present: Sequence[Present],
    now: float,
    seconds: float,
    size: tuple[int, int],
    *,
    unicode: bool = True,
) -> RenderableType:
    """Return the links and the present waits for a terminal of a size (columns, rows); a row that is too long is cut."""
    columns, rows = size
    below = [row for each in present for row in _waits(each, now)]
    shown, others = _fitting(progress, rows - len(below) - 3)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    if columns >= BARS_FROM:
        grid.add_column(width=BAR)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for link in shown:
        mark, style = _mark(link, unicode=unicode)
        bar = (
            [ProgressBar(link.total, link.done, BAR, complete_style=style, finished_style=style)] if columns >= BARS_FROM else []
        )
        grid.add_row(Text(f"  {mark}", style), Text(str(link.link), style), *bar, Text(_counts(link)))
    return Group(*(_cut(row) for row in (f"  {head(progress, seconds)}", *others)), grid, *map(_cut, below))


def _fitting(progress: Sequence[LinkProgress], rows: int) -> tuple[list[LinkProgress], list[str]]:
    """Return the links that have a row each, and a row for those that are complete or to come, if there is not room for all."""
    if len(progress) <= rows:
        return list(progress), []
    fine = [each for each in progress if each.complete and not each.worst]
    later = [each for each in progress if not each.done]
    others = [f"{len(some)} links {what}" for what, some in (("hold", fine), ("to come", later)) if some]
    return [each for each in progress if each not in fine and each not in later], [f"  {', '.join(others)}"] if others else []


def _mark(link: LinkProgress, *, unicode: bool) -> tuple[str, str]:
    if link.worst:
        symbol, plain, style = MARKS[link.worst]
    elif not link.complete:
        symbol, plain, style = TO_COME
    else:
        symbol, plain, style = COMPLETE if link.ended.get(Outcome.PASSED) else SKIPPED
    return symbol if unicode else plain, style


def _counts(link: LinkProgress) -> str:
    others = ", ".join(f"{count} {word}" for word, count in link.ended.items() if count and word != Outcome.PASSED)
    return f"{link.done}/{link.total}{'  ' if others else ''}{others}"


def _waits(present: Present, now: float) -> list[str]:
    """Return two rows on a claim that runs: always two, so that the picture does not jump."""
    if not present.condition:
        return [f"  {present.claim}", ""]
    left, most = max(0.0, present.ends - now), present.ends - present.began
    got = f"; now: {present.got}" if present.got else ""
    return [f"  {present.claim} waits for {present.condition}", f"    {left:.0f} s of {most:.0f} s left{got}"]


def _cut(row: str) -> Text:
    return Text(row, no_wrap=True, overflow="ellipsis")
