"""The schedule: each sample is sent when it is due, and what came of it is written down."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from typing import Any

from .connection import Way
from .errors import OWN_LACK, Down, TooLong, Unknown, words
from .plan import Plan
from .timeouts import ANSWER, HELD, LATE, LATEST, PARTING, until
from .writer import Out

TICK = 0.05
# Samples are written together.
FLUSH = 0.25
# A path that is silent has 30 samples in flight at 10 a second.
MOST_FLYING = 64


class Held:
    """How long this process was kept from running, in sum, as the lateness of regular ticks tells."""

    def __init__(self, now: float) -> None:
        self._sum, self._last = 0.0, now

    def tick(self, now: float) -> None:
        """Be told that a tick came."""
        self._sum, self._last = self.until(now), now

    def until(self, now: float) -> float:
        """Return the sum up to now, with what the next tick will say."""
        span = now - self._last
        return self._sum + (span if span > 2 * TICK else 0.0)


class Sampler:
    """A plan being followed."""

    def __init__(self, plan: Plan, out: Out) -> None:
        self._plan, self._out, self._loop = plan, out, asyncio.get_running_loop()
        self._ways = [Way(number, request) for number, request in enumerate(plan.requests)]
        # Steps of the wall clock must not show: it is read once.
        self._start = self._loop.time()
        self._wall = time.time() - self._start
        self._held = Held(self._start)
        header = {"sampler": 1, "started": self._at(self._start), "interval": plan.interval, "paths": len(self._ways)}
        out.add(header)

    def _at(self, moment: float) -> float:
        return round(self._wall + moment, 4)

    async def run(self) -> None:
        """Follow the plan to its end, or until a signal; whatever else ends it is raised."""
        stop, ended = asyncio.Event(), self._loop.create_future()
        for each in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(each, stop.set)
        stopped = asyncio.ensure_future(stop.wait())
        parts = [asyncio.ensure_future(self._pace(stopped)), asyncio.ensure_future(self._tick(ended)), stopped]
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        parts[0].cancel()
        flying = await self._landed(ANSWER)
        # Only now: what is in flight may be held up, too, and a tick would tell.
        ended.set_result(None)
        for task in [*flying, stopped]:
            task.cancel()
        await asyncio.gather(*flying, *parts, return_exceptions=True)
        for way in self._ways:
            way.close()
        self._out.flush()
        for part in done:
            part.result()

    async def _landed(self, seconds: float) -> set[asyncio.Task[None]]:
        """Wait until no sample is in flight, at most so long; returns those that still are."""
        flying = {task for way in self._ways for task in way.flying}
        return (await asyncio.wait(flying, timeout=seconds))[1] if flying else flying

    async def _tick(self, ended: asyncio.Future[None]) -> None:
        for number in itertools.count(1):
            if (await asyncio.wait((ended,), timeout=TICK))[0]:
                return
            self._held.tick(self._loop.time())
            if number % round(FLUSH / TICK) == 0:
                self._out.flush()

    async def _pace(self, stopped: asyncio.Future[Any]) -> None:
        plan, count = self._plan, len(self._ways)
        # The paths' samples lie evenly between one another: a burst of all would delay its own answers.
        step = plan.interval / count
        total = min(plan.limit * count, int(plan.seconds / step))
        number = 0
        while number < total and not stopped.done():
            late = self._loop.time() - (self._start + number * step)
            if late < 0:
                await asyncio.wait((stopped,), timeout=-late)
            elif late <= LATE:
                self._launch(self._ways[number % count], number)
                number += 1
            else:
                missed = min(total, number + int(late / step) + 1)
                for each in range(number, missed):
                    due = self._start + each * step
                    self._note(each % count, due, due, "unknown", f"not sent in time ({late:.2f} s late)")
                number = missed
        await self._landed(LATEST + HELD)

    def _launch(self, way: Way, number: int) -> None:
        if len(way.flying) >= MOST_FLYING:
            now = self._loop.time()
            self._note(way.number, now, now, "unknown", "too many unanswered")
            return
        task = self._loop.create_task(self._sample(way, number))
        way.flying.add(task)
        task.add_done_callback(way.flying.discard)

    def _note(self, path: int, sent: float, done: float, state: str, error: str) -> None:
        self._out.add([path, self._at(sent), self._at(done), state, error])

    async def _sample(self, way: Way, number: int) -> None:
        sent = self._loop.time()
        held = self._held.until(sent)
        state, error, leave, timed = "unknown", "the prober was stopped", None, False
        try:
            leave = await way.ask(number, sent)
            state, error = "up", ""
        except (Down, EOFError, OSError) as down:
            state, error, timed = "down", words(down), isinstance(down, TooLong)
            if isinstance(down, OSError) and down.errno in OWN_LACK:
                state, error = "unknown", f"the prober lacks means: {error}"
        except Unknown as unknown:
            error = str(unknown)
        except Exception as wrong:  # noqa: BLE001  # what went wrong here says nothing of the path
            error = f"the prober failed: {type(wrong).__name__}"
        finally:
            done = self._loop.time()
            if state == "up" and done - sent > ANSWER:
                state, error, timed = "unknown", f"late: answered after {done - sent:.1f} s", True
            if timed and self._held.until(done) - held > HELD:
                state, error = "unknown", "the prober was held up"
            self._note(way.number, sent, done, state, error)
            for moment in way.renewed:
                self._out.add({"renewed": way.number, "at": self._at(moment)})
            way.renewed.clear()
        if leave:
            with contextlib.suppress(OSError, Down), until(done + PARTING, ""):
                await leave[0].read(1)
            leave[1].close()
