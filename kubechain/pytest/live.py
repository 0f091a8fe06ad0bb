"""The progress of a run while its claims run: a picture on a terminal, a few plain lines elsewhere.

It replaces the letters of pytest; with -v or -q, pytest shows its own.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TextIO

import pytest
from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live

from kubechain.claims.claim import Link
from kubechain.claims.records import CollectedClaim
from kubechain.claims.verdict import latest
from kubechain.core.output import SteadyOutput
from kubechain.core.progress import VisibleCursor
from kubechain.core.run import COLLECTED
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import RealClock
from kubechain.pytest import live_view, present
from kubechain.pytest.recording import RECORDER, Recorder
from kubechain.pytest.session import asks_for_claims, fresh_line
from kubechain.pytest.state import run_state, worker_input

PICTURES_PER_SECOND = 4
# Without a terminal, a run that is silent for this long prints what it waits for.
SILENT_SECONDS = 30.0
LOOK_SECONDS = 1.0
EVERY_ROW = 1000


@dataclass
class LiveView:
    """A plugin of the controller; `console` is None until the first claim begins, and after the last."""

    config: pytest.Config
    recorder: Recorder
    console: Console | None = None
    collected: list[CollectedClaim] = field(default_factory=list[CollectedClaim])
    told: set[Link] = field(default_factory=set[Link])
    spoke: float = 0.0
    over: bool = False
    end: ExitStack = field(default_factory=ExitStack)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Show the progress until the last claim has ended, or the run is interrupted."""
        with self.end:
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Begin at the first claim: the cluster is there, and pytest has printed what it collected."""
        listed = run_state(self.config).run.folder / COLLECTED
        if self.collected or not listed.exists():
            return
        self.collected = [CollectedClaim.model_validate(each) for each in json.loads(listed.read_text(encoding="utf-8"))]
        if self.collected:
            self._begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Any, Any]:
        """Leave out the letters of pytest; it still counts the claims."""
        status = yield
        return (status[0], "", "") if self.console and status else status

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Without a terminal: print one line on each link whose claims have all ended."""
        if self.console is None or self.console.is_interactive:
            return
        progress = self._links()
        for link in progress:
            if link.complete and link.link not in self.told:
                self.told.add(link.link)
                self._say(live_view.line(link, progress, self._seconds()))

    def _begin(self) -> None:
        """Take over the terminal from pytest, whose other lines then appear above the picture."""
        terminal: Any = self.config.pluginmanager.getplugin("terminalreporter")
        if terminal is None:
            return
        fresh_line(self.config)
        terminal.showfspath = False
        self.end.callback(setattr, terminal, "showfspath", None)
        output = self.end.enter_context(_own_output())
        shown = output.isatty() and os.environ.get("TERM", "dumb") != "dumb" and self.config.option.capture != "no"
        # A CI system may ask for colours (FORCE_COLOR), but has no cursor to move.
        self.console = VisibleCursor(
            file=output, highlight=False, soft_wrap=True, force_interactive=shown, force_terminal=True if shown else None
        )
        self.end.callback(setattr, self, "console", None)
        if not shown:
            self.spoke = RealClock().now()
            self.end.enter_context(run_periodically("progress", LOOK_SECONDS, self.if_silent, RealClock()))
            return
        writer: Any = self.config.get_terminal_writer()
        state = run_state(self.config)
        self.end.callback(setattr, state.progress, "console", state.progress.console)
        state.progress.console = self.console
        self.end.callback(setattr, writer, "_file", writer._file)  # noqa: SLF001  # pytest has no other means
        writer._file = FileProxy(self.console, writer._file)  # noqa: SLF001
        picture = Live(
            console=self.console,
            get_renderable=self._picture,
            refresh_per_second=PICTURES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self.end.enter_context(picture)
        # Before the picture is shown for the last time.
        self.end.callback(self._conclude)

    def _conclude(self) -> None:
        self.over = True

    def _links(self) -> list[live_view.LinkProgress]:
        return live_view.links(self.collected, latest(tuple(self.recorder.records)))

    def _seconds(self) -> float:
        return RealClock().now() - self.recorder.began if self.recorder.began else 0.0

    def _picture(self) -> RenderableType:
        console = self.console or Console()
        # The last picture stays, and scrolls away.
        size = (console.size.width, EVERY_ROW if self.over else console.size.height)
        doing = [] if self.over else present.of_run(self.config)
        unicode = not console.options.ascii_only
        return live_view.picture(self._links(), doing, RealClock().now(), self._seconds(), size, unicode=unicode)

    def if_silent(self) -> None:
        """Print what the run waits for, if nothing was printed for a while."""
        now = RealClock().now()
        if now - self.spoke < SILENT_SECONDS:
            return
        doing, step = present.of_run(self.config), run_state(self.config).progress.present
        if step and step.began:
            # A step of the run, such as an upgrade, which is no claim.
            self._say(f"  .. {step.title} ({now - step.began:.0f} s so far)")
            doing = [each for each in doing if each.condition]
        else:
            self._say(f"  .. {live_view.head(self._links(), self._seconds())}")
        for each in doing:
            self._say(live_view.waiting(each, now))

    def _say(self, line: str) -> None:
        self.spoke = RealClock().now()
        if self.console:
            self.console.print(line, markup=False)


def _own_output() -> TextIO:
    """Return standard output as a stream of its own, because pytest captures the usual one while a claim runs."""
    try:
        number = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):
        # A stream of another program that has called pytest.
        return io.StringIO()
    return SteadyOutput(os.fdopen(number, "wb"), encoding=sys.stdout.encoding, errors="backslashreplace", line_buffering=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin after the recorder, unless the user has asked pytest for another form."""
    if worker_input(config) is None and asks_for_claims(config) and not config.option.verbose and not config.option.usepdb:
        config.pluginmanager.register(LiveView(config, config.stash[RECORDER]))
