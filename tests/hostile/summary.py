"""The figures of `make hostile`: how each run ended, written as it ends, and at the end how many went wrong, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from tests.ledger import Ledger

# A property of a test of a whole run: how it ended.
ENDED = "ended"
# What `runner.wrong` and `access_runner.wrong` find -> how the beginnings of their sentences are counted.
KINDS = {
    "wrong verdicts": ("verdict:", "exit code ", "message:", "no line says", "a line of "),
    "hangs": ("hang:",),
    "tracebacks": ("traceback:",),
    "leftovers": ("leftovers:", "left:"),
    "secrets shown": ("a secret ",),
}
Property = Callable[[str, object], None]


def told(record_property: Property, ended: str, wrong: Sequence[str]) -> None:
    """Hand what a run came to from the test, which may be in a process of its own, to the figures."""
    record_property(ENDED, [ended, *wrong])


def figures(wrong: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return in how many runs each kind of thing went wrong."""
    return {kind: sum(any(each.startswith(words) for each in run) for run in wrong) for kind, words in KINDS.items()}


class Summary:
    """A plugin of pytest that writes each result to the ledger, and the figures at the end."""

    def __init__(self, ledger: Ledger) -> None:
        """Begin without results."""
        self._ledger = ledger
        self._ended: Counter[str] = Counter()
        self._wrong: list[list[str]] = []

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of a test."""
        if report.when != "call" and not report.failed:
            return
        properties = cast("list[tuple[str, list[str]]]", report.user_properties)
        # Of a sequence there are several; the last counts.
        ended, *wrong = next((value for name, value in reversed(properties) if name == ENDED), [""])
        if ended:
            self._ended[ended] += 1
            self._wrong.append(wrong)
        problems = wrong or ([report.longreprtext[-2000:]] if report.failed else [])
        self._ledger.add(report.nodeid, problems, ended=ended, seconds=round(report.duration, 1))

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the figures."""
        if not self._wrong:
            return
        terminalreporter.section("whole runs")
        for ended, count in self._ended.most_common():
            terminalreporter.line(f"{count:5} {ended}")
        counts = ", ".join(f"{kind} {count}" for kind, count in figures(self._wrong).items())
        terminalreporter.line(f"{len(self._wrong)} runs: {counts}")
