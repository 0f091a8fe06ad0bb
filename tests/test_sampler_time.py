"""What the sampler says of time: how late, how long, held up, stopped."""

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
from kubechain.sampler.schedule import Held
from kubechain.upgrade.outages import outages
from kubechain.upgrade.samples import read
from tests.loopback import HOST
from tests.sampling import Run, Site, asked, start

COUNT = 8


@dataclass
class World:
    """All that was seen: the runs, which share their time because each needs some seconds, and how long a server was away."""

    many: Run
    away: Run
    outage: float
    held: Run
    crowd: Run


@contextlib.contextmanager
def deaf() -> Generator[int]:
    """Yield a port on which connections are not taken any more, nor refused: the queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            each = stack.enter_context(socket.socket())
            each.setblocking(False)  # noqa: FBT003
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def see(folder: Path) -> World:
    """Run all at the same time."""
    site, leaving = Site(), Site()
    for each in (site, leaving):
        await each.open()
    url, late = f"http://{HOST}:{site.port}", f"http://{HOST}:{leaving.port}"
    of_three = {"new": asked(url), "kept": asked(url, reuse=True), "slow": asked(f"{url}/slow")}
    with deaf() as no_ear:
        paths = {**{name: asked(f"{url}/{name}") for name in ("silent", "slow")}, "deaf": asked(f"http://{HOST}:{no_ear}/")}
        many = await start(folder, "many", paths, limit=COUNT, interval=0.15)
        away = await start(folder, "away", {"new": asked(late), "kept": asked(late, reuse=True)}, interval=0.05, seconds=3)
        held = await start(folder, "held", of_three, interval=0.05, seconds=3)
        crowd = await start(folder, "crowd", {"crowd": asked(f"{url}/silent")}, interval=0.01, limit=80)
        await crowd.wrote("too many", 16)
        crowd.process.send_signal(signal.SIGTERM)
        for each in (away, held):
            await each.wrote('"up"', 10)
        leaving.leave()
        gone = time.monotonic()
        held.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        outage = time.monotonic() - gone
        await leaving.open()
        await asyncio.sleep(0.5)
        held.process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(run.end() for run in (many, away, held, crowd)))
    for each in (site, leaving):
        each.leave()
    return World(many, away, outage, held, crowd)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return asyncio.run(see(tmp_path_factory.mktemp("sampler")))


def test_it_ends_with_status_0_after_its_limit_its_time_or_a_signal(world: World) -> None:
    assert [run.code for run in (world.many, world.away, world.held, world.crowd)] == [0, 0, 0, 0]
    assert {len(world.many.of(name)) for name in world.many.names} == {COUNT}


@pytest.mark.parametrize(("name", "error"), [("silent", "no answer within 3 s"), ("deaf", "no connection within 0.9 s")])
def test_path_that_says_nothing_is_down(world: World, name: str, error: str) -> None:
    assert world.many.told(name) == {("down", error)}


def test_late_answer_is_neither_up_nor_down(world: World) -> None:
    said = world.many.told("slow")
    assert {(state, error.rpartition(" after ")[0]) for state, error in said} == {("unknown", "late: answered")}


def test_time_of_the_answer_is_that_of_the_server(world: World) -> None:
    assert all(1.4 <= sample.done - sample.sent < 2 for sample in world.many.of("slow"))
    assert all(3 <= sample.done - sample.sent < 3.5 for sample in world.many.of("silent"))
    assert all(0.9 <= sample.done - sample.sent < 1.4 for sample in world.many.of("deaf"))


def test_samples_are_sent_when_due_though_none_was_answered(world: World) -> None:
    sent = [sample.sent for sample in world.many.of("silent")]
    assert sent[-1] - sent[0] == pytest.approx((COUNT - 1) * 0.15, abs=0.3)


@pytest.mark.parametrize("name", ["new", "kept"])
def test_outage_is_told_as_long_as_it_was(world: World, name: str) -> None:
    (outage,) = outages(Tally(name, world.away.of(name)))
    # On a machine that is busy otherwise the sampler is held up, and says so by a wider bound.
    assert outage.seconds == pytest.approx(world.outage, abs=max(0.2, outage.error + 0.1))
    assert outage.errors == {"refused": outage.lost}
    assert outage.lost >= 10


def test_kept_connection_lost_in_the_outage_is_renewed(world: World) -> None:
    assert (world.away.renewals("new"), world.away.renewals("kept")) == (0, 1)


def test_twenty_samples_a_second_are_reached(world: World) -> None:
    assert len(world.away.of("new")) == 60
    sent = [sample.sent for sample in world.away.of("new")]
    assert sent[-1] - sent[0] == pytest.approx(2.95, abs=0.3)


def test_prober_that_was_held_up_says_nothing_of_the_path(world: World) -> None:
    for name in ("new", "kept"):
        said = world.held.said(name)
        assert not Tally(name, world.held.of(name)).lost
        missed = sum(count for (state, error), count in said.items() if state == "unknown" and "not sent in time" in error)
        assert 20 <= missed <= 36
        assert said["up", ""] >= 20
        assert 1.4 <= Tally(name, world.held.of(name)).gap <= 2.5
    assert ("unknown", "the prober was held up") in world.held.said("slow")
    assert not Tally("slow", world.held.of("slow")).lost
    assert all(len(world.held.of(name)) == 60 for name in world.held.names)


def test_samples_in_flight_are_bounded_and_told_as_unknown_when_it_is_stopped(world: World) -> None:
    stopped, too_many = ("unknown", "the prober was stopped"), ("unknown", "too many unanswered")
    assert world.crowd.said("crowd") == {stopped: 64, too_many: 16}


def test_being_held_up_is_a_sum_that_a_late_tick_is_not_needed_for() -> None:
    held = Held(0)
    for tick in (0.05, 0.1, 0.15, 0.55, 0.6):
        held.tick(tick)
    assert held.until(0.62) == pytest.approx(0.4)
    assert held.until(1.6) == pytest.approx(1.4)


def test_samples_of_other_paths_are_refused(world: World) -> None:
    with pytest.raises(HarnessError, match="3 paths, not 2"):
        read(world.held.out.read_text(), 2)
