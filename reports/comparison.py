"""`kubechain compare` and `kubechain history` as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from kubechain.claims.claim import Outcome
from kubechain.conditions.text import counted, some
from kubechain.core.errors import ExitCode
from kubechain.results.comparison import NAMES, ClaimChange, Comparison, Side
from kubechain.results.history import HistoryRow, Trend
from kubechain.results.speed import Speed

STYLES = {ExitCode.HOLDS: "bold green", ExitCode.WORSE: "bold red"}
WIDTH = 160  # of an output that is not a terminal


@dataclass(frozen=True)
class Grid:
    """A table of texts with a title, which is printed or becomes Markdown."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def table(self) -> Table:
        """Return the table for a terminal."""
        table = Table(*self.head, box=None, pad_edge=False, title=self.title, title_justify="left", title_style="bold")
        for row in self.rows:
            table.add_row(*(cell.replace("[", "\\[") for cell in row))
        return table

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [self.head, ["---"] * len(self.head), *([cell.replace("|", "\\|") for cell in row] for row in self.rows)]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(found: Comparison, *, as_json: bool, as_markdown: bool) -> None:
    """Print a comparison; as text, the line is the last."""
    notes = list(filter(None, [found.different, *_speed_notes(found.speed)]))
    if as_json:
        print_json(found.as_json())
    elif as_markdown:
        parts = [f"## {found.line}", *(f"{note}." for note in notes), *(grid.markdown() for grid in grids(found))]
        _plain("\n\n".join(parts))
    else:
        console = _console()
        for grid in grids(found):
            console.print(grid.table())
            console.print()
        for note in notes:
            console.print(note, soft_wrap=True, markup=False)
        console.print(found.line, style=STYLES.get(found.exit_code, "bold yellow"), soft_wrap=True, markup=False)


def show_trends(trends: Sequence[Trend], *, as_json: bool, as_markdown: bool) -> None:
    """Print the trends of a history."""
    if as_json:
        print_json([trend.as_json() for trend in trends])
    elif as_markdown:
        _plain("\n\n".join(_trend(trend).markdown() for trend in trends))
    else:
        console = _console()
        for trend in trends:
            console.print(_trend(trend).table())
            console.print()


def print_json(content: object) -> None:
    """Print a value as JSON."""
    _plain(json.dumps(content, indent=2))


def _plain(text: str) -> None:
    Console(highlight=False).print(text, soft_wrap=True, markup=False)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def grids(found: Comparison) -> list[Grid]:
    """Return the tables of a comparison: the chain, the claims that differ, and the figures that do."""
    tables = [_chain(found.before, found.after)]
    for change, name in NAMES.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for each in (each for each in found.claims if each.change == change):
            alike.setdefault(_claim_cells(each), []).append(each.id)
        rows = [(some(ids, most=3), *cells) for cells, ids in alike.items()]
        if rows:
            tables.append(Grid(name, ("claim", "before", "after", "message"), rows))
    rows = [
        (each.what, each.kind, f"{each.before:.3f}", f"{each.after:.3f}", "slower" if each.slower else "faster", f"{each.p:.2g}")
        for each in found.speed.changes
    ]
    if rows:
        tables.append(Grid("speed", ("figure", "of", "before (s)", "after (s)", "", "p"), rows))
    return tables


def _chain(before: Side, after: Side) -> Grid:
    rows = [(name, str(side.runs), str(side.hold), _broken(side)) for name, side in (("before", before), ("after", after))]
    return Grid("chain", ("side", "runs", "hold", "first broken link"), rows)


def _broken(side: Side) -> str:
    return ", ".join(f"{link} ({count} of {side.runs})" for link, count in side.broken_links.items()) or "none"


def _claim_cells(change: ClaimChange) -> tuple[str, ...]:
    """Return what is shown of a claim; claims of which the same is shown are one row."""
    sides = (", ".join(f"{count} {ending}" for ending, count in side.items()) or "-" for side in (change.before, change.after))
    return (*sides, change.message)


def _speed_notes(speed: Speed) -> list[str]:
    if speed.silent:
        return [speed.silent]
    return [f"speed: {counted(speed.tested, 'figure')} compared, {len(speed.changes)} beyond noise ({speed.rule})"]


def _trend(trend: Trend) -> Grid:
    whats = list(dict.fromkeys(what for row in trend.rows for what in row.p50))
    outcomes = [outcome for outcome in Outcome if any(row.counts.get(outcome) for row in trend.rows)]
    known = ["known"] if any(row.known_issues for row in trend.rows) else []
    head = ["started", "run", "chain", "first broken link", *outcomes, *known, "seconds", *(f"{what} p50 (s)" for what in whats)]
    rows = [_trend_row(row, outcomes, whats, known=bool(known)) for row in trend.rows]
    return Grid(f"{trend.cluster}, Kubernetes {trend.kubernetes}", head, rows)


def _trend_row(row: HistoryRow, outcomes: Sequence[Outcome], whats: Sequence[str], *, known: bool) -> list[str]:
    figures = [f"{row.p50[what]:.3f}" if what in row.p50 else "" for what in whats]
    counts = [str(row.counts.get(outcome, 0) or "") for outcome in outcomes] + ([str(row.known_issues or "")] if known else [])
    chain = "holds" if row.holds else "broken" if row.first_broken_link else "no verdict"
    return [
        f"{row.started:%Y-%m-%d %H:%M:%S}",
        row.run,
        chain,
        row.first_broken_link or "",
        *counts,
        f"{row.seconds:.1f}",
        *figures,
    ]
