"""Times of samples: late answers, outages, a suspended and a stopped sampler."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.core.errors import HarnessError
from kubechain.probes.load import Tally
from kubechain.sampler.schedule import Stalls
from kubechain.upgrade.outages import outages
from kubechain.upgrade.samples import read
from tests.loopback import HOST
from tests.sampling import Run, Site, request, start

COUNT = 8
# Of the runs with an outage and a suspension: a busy machine takes a second or two to start both.
SECONDS = 5


@dataclass
class World:
    """The runs, which run in parallel because each takes some seconds, and the duration of the outage in seconds."""

    many: Run
    outage: Run
    seconds: float
    suspended: Run
    crowd: Run


@contextlib.contextmanager
def full_backlog() -> Generator[int]:
    """Yield a port on which connections are neither accepted nor refused, because the backlog of the socket is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def sample_all(folder: Path) -> World:
    """Run all at the same time."""
    site, failing = Site(), Site()
    for each in (site, failing):
        await each.open()
    url, failing_url = f"http://{HOST}:{site.port}", f"http://{HOST}:{failing.port}"
    three = {"new": request(url), "kept": request(url, reuse=True), "slow": request(f"{url}/slow")}
    with full_backlog() as port:
        routes = {
            **{name: request(f"{url}/{name}") for name in ("silent", "slow")},
            "no-connection": request(f"http://{HOST}:{port}/"),
        }
        many = await start(folder, "many", routes, limit=COUNT, interval=0.15)
        outage_routes = {"new": request(failing_url), "kept": request(failing_url, reuse=True)}
        crowd = await start(folder, "crowd", {"crowd": request(f"{url}/silent")}, interval=0.01, limit=80)
        await crowd.wait_for("too many samples", 16)
        crowd.process.send_signal(signal.SIGTERM)
        outage = await start(folder, "outage", outage_routes, interval=0.05, seconds=SECONDS)
        suspended = await start(folder, "suspended", three, interval=0.05, seconds=SECONDS)
        for run in (outage, suspended):
            await run.wait_for('"up"', 10)
        failing.close()
        closed = time.monotonic()
        suspended.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        seconds = time.monotonic() - closed
        await failing.open()
        await asyncio.sleep(0.5)
        suspended.process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(run.end() for run in (many, outage, suspended, crowd)))
    for each in (site, failing):
        each.close()
    return World(many, outage, seconds, suspended, crowd)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(sample_all(tmp_path_factory.mktemp("sampler")))


def test_exit_status_is_0_after_the_limit_the_duration_or_a_signal(world: World) -> None:
    assert [run.code for run in (world.many, world.outage, world.suspended, world.crowd)] == [0, 0, 0, 0]
    assert {len(world.many.of(name)) for name in world.many.names} == {COUNT}


@pytest.mark.parametrize(("name", "error"), [("silent", "no answer within 3 s"), ("no-connection", "no connection within 0.9 s")])
def test_route_without_answer_is_down(world: World, name: str, error: str) -> None:
    assert world.many.distinct_results(name) == {("down", error)}


def test_late_answer_is_unknown(world: World) -> None:
    results = world.many.distinct_results("slow")
    assert {(state, error.rpartition(" after ")[0]) for state, error in results} == {("unknown", "late: answered")}


def test_duration_of_a_sample_is_that_of_the_answer_or_the_timeout(world: World) -> None:
    assert all(1.4 <= sample.done - sample.sent < 2 for sample in world.many.of("slow"))
    assert all(3 <= sample.done - sample.sent < 3.5 for sample in world.many.of("silent"))
    assert all(0.9 <= sample.done - sample.sent < 1.4 for sample in world.many.of("no-connection"))


def test_samples_are_sent_when_due_without_waiting_for_answers(world: World) -> None:
    sent = [sample.sent for sample in world.many.of("silent")]
    assert sent[-1] - sent[0] == pytest.approx((COUNT - 1) * 0.15, abs=0.3)


@pytest.mark.parametrize("name", ["new", "kept"])
def test_outage_has_its_true_duration(world: World, name: str) -> None:
    (outage,) = outages(Tally(name, world.outage.of(name)))
    # On a busy machine the sampler is suspended at times, which its error bound shows.
    assert outage.seconds == pytest.approx(world.seconds, abs=max(0.2, outage.error + 0.1))
    # A connection that waits to be accepted when the server stops listening is reset, not refused: one sample at most.
    assert outage.errors["refused"] >= max(10, outage.lost - 1)
    assert set(outage.errors) <= {"refused", "reset"}


def test_kept_connection_lost_in_the_outage_is_renewed(world: World) -> None:
    assert (world.outage.renewals("new"), world.outage.renewals("kept")) == (0, 1)


def test_sampler_reaches_20_samples_per_second(world: World) -> None:
    assert len(world.outage.of("new")) == SECONDS * 20
    sent = [sample.sent for sample in world.outage.of("new")]
    assert sent[-1] - sent[0] == pytest.approx(SECONDS - 0.05, abs=0.3)


def test_suspended_sampler_records_unknown_samples_only(world: World) -> None:
    for name in ("new", "kept"):
        results = world.suspended.results(name)
        assert not Tally(name, world.suspended.of(name)).lost
        missed = sum(count for (state, error), count in results.items() if state == "unknown" and "not sent in time" in error)
        assert 20 <= missed <= 36
        assert results["up", ""] >= 20
        assert 1.4 <= Tally(name, world.suspended.of(name)).gap <= 2.5
    assert ("unknown", "the sampler was suspended") in world.suspended.results("slow")
    assert not Tally("slow", world.suspended.of("slow")).lost
    assert all(len(world.suspended.of(name)) == SECONDS * 20 for name in world.suspended.names)


def test_samples_in_flight_are_bounded_and_unknown_when_it_is_stopped(world: World) -> None:
    stopped, too_many = ("unknown", "the sampler was stopped"), ("unknown", "too many samples without an answer")
    assert world.crowd.results("crowd") == {stopped: 64, too_many: 16}


def test_stalls_add_up_and_include_one_that_still_lasts() -> None:
    stalls = Stalls(0)
    for tick in (0.05, 0.1, 0.15, 0.55, 0.6):
        stalls.tick(tick)
    assert stalls.total(0.62) == pytest.approx(0.4)
    assert stalls.total(1.6) == pytest.approx(1.4)


def test_samples_file_of_another_number_of_routes_is_an_error(world: World) -> None:
    with pytest.raises(HarnessError, match="header for 3 routes, expected 2"):
        read(world.suspended.out.read_text(), 2)
