"""What each process of a run did: spans of whole runs, their sums, and how chain.html and summary.md show them."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.process_records import Cause, PartRecord, ProcessRecord, SpanRecord, Work
from kubechain.core.progress import Step
from kubechain.observe.wait_log import WaitLog
from kubechain.observe.wait_record import WaitRecord
from kubechain.pytest import spans
from reports import chain_page, process_view, summary
from tests.fakes import record, run_record
from tests.test_run import Done, project

# One process makes the runs, once.
pytestmark = pytest.mark.xdist_group("spans")
CLAIMS = '''
import os
import time
import pytest
from kubechain.claims.claim import claim
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

@pytest.fixture(scope="session")
def slow():
    clock = RealClock()
    begun = clock.now()
    after = Condition("a tenth of a second", lambda now: expect(now - begun > 0.1, "less"))
    Waiter(clock).eventually(Polled("clock", clock.now, clock, 0.01), after, within=Timeout(5, "soon"))
    yield
    time.sleep(0.1)

@claim("T-DEPLOYMENT-010", spec="x")
def test_slow(slow):
    """It MUST pass."""
    time.sleep(0.1)

@claim("T-PODS-010", spec="x")
def test_waits(eventually, clock):
    """It MUST wait."""
    begun = clock.now()
    later = Condition("later", lambda now: expect(now - begun > 0.2, "now"))
    eventually(Polled("clock", clock.now, clock), later, within=Timeout(5, "soon"))

@claim("T-DNS-010", spec="x")
def test_dies():
    """It MUST live."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        time.sleep(1)
        os._exit(1)
'''


def spans_of(run: Done) -> dict[str, list[dict[str, Any]]]:
    return {process["process"]: process["spans"] for process in run.run["processes"]}


def parts(span: dict[str, Any]) -> dict[str, float]:
    return {f"{part['cause']} {part['name']}": part["ended"] - part["began"] for part in span["parts"]}


def named(found: list[dict[str, Any]], work: str, name: str) -> dict[str, Any]:
    return next(span for span in found if (span["work"], span["name"]) == (work, name))


def test_run_of_one_process_has_one_lane_with_fixtures_and_waits(tmp_path: Path) -> None:
    done = project(tmp_path, (), {}, CLAIMS)
    found = spans_of(done)
    assert list(found) == ["main"]
    set_up = parts(named(found["main"], "set-up", "T-DEPLOYMENT-010"))
    assert set_up["fixture slow"] >= set_up["wait a tenth of a second"] > 0.09
    claim = named(found["main"], "claim", "T-DEPLOYMENT-010")
    assert (claim["ended"] - claim["began"] > 0.09, claim["parts"]) == (True, [])
    waiting = parts(named(found["main"], "claim", "T-PODS-010"))
    assert list(waiting) == ["wait later"]
    assert waiting["wait later"] > 0.19
    # A fixture of the session is torn down after the last claim of the process.
    assert parts(named(found["main"], "teardown", "T-DNS-010"))["fixture slow"] > 0.09
    ends = [(span["began"], span["ended"]) for span in found["main"]]
    assert all(0 <= began <= ended <= following for (began, ended), (following, _) in pairwise(ends))
    assert 'id="time"' in (done.out / "chain.html").read_text(encoding="utf-8")


def test_each_process_has_a_lane_also_one_that_died(tmp_path: Path) -> None:
    done = project(tmp_path, ("-n", "2"), {}, CLAIMS)
    found = spans_of(done)
    works = {span["name"]: process for process, each in found.items() for span in each if span["work"] == "claim"}
    assert works["T-DEPLOYMENT-010"].startswith("gw")
    assert works["T-PODS-010"].startswith("gw")
    worker = {claim["id"]: claim["worker"] for claim in done.run["claims"]}
    assert {name: worker[name] for name in works} == works
    assert next(claim for claim in done.run["claims"] if claim["id"] == "T-DNS-010")["outcome"] == "inconclusive"


def part(cause: Cause, name: str, began: float, ended: float) -> PartRecord:
    return PartRecord(cause=cause, name=name, began=began, ended=ended)


def span(work: Work, name: str, began: float, ended: float, *within: PartRecord) -> SpanRecord:
    return SpanRecord(work=work, name=name, began=began, ended=ended, parts=list(within))


NESTED = span(
    Work.SET_UP, "A", 1.0, 6.0,
    part(Cause.FIXTURE, "outer", 1.0, 5.0), part(Cause.FIXTURE, "inner", 2.0, 4.5), part(Cause.WAIT, "up", 2.5, 4.5),
)  # fmt: skip
PROCESSES = [
    ProcessRecord(process="main", spans=[span(Work.STEP, "cluster", 0.0, 1.0)]),
    ProcessRecord(process="gw0", spans=[NESTED, span(Work.CLAIM, "A", 6.0, 8.0, part(Cause.WAIT, "up", 6.0, 7.5))]),
    ProcessRecord(process="gw1", spans=[span(Work.CLAIM, "B", 2.0, 3.0), span(Work.TEARDOWN, "B", 9.0, 10.0)]),
]
RUN = run_record(None, record(Link.PODS, "passed")).model_copy(update={"processes": PROCESSES})


def test_lanes_have_one_scale_and_say_what_was_idle() -> None:
    main, gw0, gw1 = process_view.lanes(RUN)
    assert [(each.left, each.width) for each in (*main.segments, *gw0.segments)] == [(0, 10), (10, 50), (60, 20)]
    assert (gw0.set_up, gw0.claim, gw0.waited, gw0.idle) == (5.0, 2.0, 1.5, 2.0)
    assert (gw1.claim, gw1.teardown, gw1.idle) == (1.0, 1.0, 6.0)
    assert process_view.lanes(run_record(None)) == []


def test_causes_count_nothing_twice() -> None:
    found = {(each.work, each.cause, each.name): each.seconds for each in process_view.causes(RUN)}
    set_up = {name: seconds for (work, _, name), seconds in found.items() if work == Work.SET_UP}
    assert set_up == {"outer": 1.5, "inner": 0.5, "up": 2.0, "set-up besides fixtures and waits": 1.0}
    assert found[Work.CLAIM, "rest", "claims besides waits"] == 1.5
    assert sum(found.values()) == sum(each.seconds for process in PROCESSES for each in process.spans)


def test_pages_show_the_lanes_of_a_run_that_has_some() -> None:
    page = chain_page.page(RUN, {})
    assert page.count('<div class="lane">') == 3
    assert "set-up A: 5.00 s" in page
    assert 'id="time"' not in chain_page.page(run_record(None), {})
    assert "| gw0 | 5.0 | 2.0 | 1.5 | 0.0 | 2.0 |" in summary.markdown(RUN)
    assert "Where the time goes" not in summary.markdown(run_record(None))


def test_steps_of_the_run_are_in_the_lane_of_the_controller_and_times_begin_with_the_run() -> None:
    steps = [Step("engine", 2.0, [], began=100.5), Step("of a test, without a beginning", 3.0), Step("short", 0.001, [], 103.0)]
    found = spans.processes([("gw10", span(Work.CLAIM, "A", 104.0, 105.0)), ("gw9", NESTED.after(-100))], steps, 100.0)
    assert [process.process for process in found] == ["main", "gw9", "gw10"]
    assert [(each.name, each.began, each.ended) for each in found[0].spans] == [("engine", 0.5, 2.5)]
    assert (found[1].spans[0], found[2].spans[0].began) == (NESTED, 4.0)


def test_log_of_waits_returns_those_of_the_thread_that_asks() -> None:
    log, waits = WaitLog(), [WaitRecord(what="x", condition=str(number)) for number in range(3)]
    log.add(waits[0])
    other = threading.Thread(target=log.add, args=(waits[1],))
    other.start()
    other.join()
    log.add(waits[2])
    assert log.take() == [waits[0], waits[2]]
    assert log.take() == []
