"""The rows of `make rights`: one for each role and each right that is taken away, printed as it ends, and a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.ledger import Ledger


@dataclass(frozen=True)
class Row:
    """What a role, or a role without a right, came to."""

    what: str
    figures: str
    problems: Sequence[str]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def prints(rows: list[Row], ledger: Ledger) -> Generator[Callable[[str, Callable[[], Row]], None]]:
    """Yield what runs a row unless it has held on this code; print each as it ends, and all as a table, also after an error."""

    def run(what: str, made: Callable[[], Row]) -> None:
        if what in ledger.held():
            rows.append(Row(what, "held on this code before", ()))
            return
        row = made()
        rows.append(Row(what, row.figures, row.problems))
        ledger.add(what, row.problems, figures=row.figures)
        say(f"{what}: {row.figures}")
        for line in row.problems:
            say(f"  {line}")

    try:
        yield run
    finally:
        say(table(rows))


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown, and below it how many there are and how many have problems."""
    lines = [f"| {row.what} | {row.figures} | {'no' if row.problems else 'yes'} |" for row in rows]
    bad = sum(bool(row.problems) for row in rows)
    return "\n".join(["| what | figures | as declared |", "|---|---|---|", *lines, f"{len(rows)} rows, {bad} with problems"])
