"""What this process does, and when: set-up, claim and teardown of each test, with their fixtures and waits.

A span travels on the report of its phase, so that those of a process that dies later are known.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from kubechain.claims import claim
from kubechain.claims.process_records import LEAST_SECONDS, Cause, PartRecord, ProcessRecord, SpanRecord, Work
from kubechain.core.progress import Step
from kubechain.observe.clock import RealClock
from kubechain.observe.wait_log import WAITS
from kubechain.observe.wait_record import WaitRecord
from kubechain.pytest.session import asks_for_claims
from kubechain.pytest.state import worker_input

# Attributes of a report, which xdist carries to the controller: the span as JSON, and the process.
SPAN, PROCESS = "kubechain_span", "kubechain_process"
PHASES = {"setup": Work.SET_UP, "call": Work.CLAIM, "teardown": Work.TEARDOWN}
MAIN = "main"


@dataclass
class Spans:
    """A plugin that times the present phase: its fixtures, and when the last of them was torn down (monotonic seconds)."""

    process: str
    parts: list[PartRecord] = field(default_factory=list[PartRecord])
    last: float = field(default_factory=RealClock().now)

    def _ended(self, name: str, began: float) -> None:
        self.last = RealClock().now()
        self.parts.append(PartRecord(cause=Cause.FIXTURE, name=name, began=began, ended=self.last))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Note how long the set-up of a fixture takes."""
        began = RealClock().now()
        try:
            return (yield)
        finally:
            self._ended(fixturedef.argname, began)

    @pytest.hookimpl(trylast=True)
    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Note how long the teardown of a fixture has taken: pytest tears them down one after another."""
        self._ended(fixturedef.argname, self.last)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the span of the phase to its report, with the time that its evidence takes."""
        began = RealClock().now() - call.duration
        report = yield
        stated, ended = claim.of(item), RealClock().now()
        parts = [*map(_part, WAITS.take()), *self.parts]
        span = SpanRecord(
            work=PHASES[report.when or "call"],
            name=stated.id if stated else item.name,
            began=began,
            ended=ended,
            parts=sorted((part for part in parts if part.seconds >= LEAST_SECONDS), key=lambda part: (part.began, -part.ended)),
        )
        self.parts, self.last = [], ended
        setattr(report, SPAN, span.as_json())
        setattr(report, PROCESS, self.process)
        return report


def pytest_configure(config: pytest.Config) -> None:
    """Time what this process does, if it runs claims."""
    if asks_for_claims(config):
        config.pluginmanager.register(Spans((worker_input(config) or {}).get("workerid", MAIN)))


def _part(wait: WaitRecord) -> PartRecord:
    return PartRecord(cause=Cause.WAIT, name=wait.condition, began=wait.began, ended=wait.began + wait.seconds)


def span_of(report: pytest.TestReport) -> tuple[str, SpanRecord] | None:
    """Return the process and the span in a report; None if it has none, or one that is too short."""
    content = getattr(report, SPAN, None)
    span = SpanRecord.model_validate(content) if content else None
    return (str(getattr(report, PROCESS)), span) if span and span.seconds >= LEAST_SECONDS else None


def processes(spans: Iterable[tuple[str, SpanRecord]], steps: Sequence[Step], start: float) -> list[ProcessRecord]:
    """Return what each process did, in seconds after `start` (monotonic): spans by process, and the steps of the run."""
    found: dict[str, list[SpanRecord]] = {MAIN: []}
    for step in steps:
        if step.began is not None and step.seconds >= LEAST_SECONDS:
            ended = step.began + step.seconds
            found[MAIN].append(SpanRecord(work=Work.STEP, name=step.title, began=step.began, ended=ended, parts=[]))
    for process, span in spans:
        found.setdefault(process, []).append(span)
    return [
        ProcessRecord(process=process, spans=sorted((span.after(start) for span in of), key=lambda span: span.began))
        for process, of in sorted(found.items(), key=lambda entry: (entry[0] != MAIN, len(entry[0]), entry[0]))
        if of
    ]
