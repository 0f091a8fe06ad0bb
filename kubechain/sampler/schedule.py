"""The schedule: sends each sample when it is due, and records its result."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Callable
from typing import Any

from .connection import RouteClient
from .errors import LOCAL_ERRORS, Down, TimedOut, Unknown, describe
from .plan import Plan
from .timeouts import ANSWER, LATE, LATEST, SERVER_CLOSE, STALL, until
from .writer import SampleFile

TICK = 0.05
# Seconds between writes to the file of samples.
FLUSH = 0.25
# A route without answers has 30 samples in flight at 10 samples/s, since each waits for LATEST.
MAX_IN_FLIGHT = 64


class Stalls:
    """Measures for how many seconds in all this process did not run, from the delays of regular ticks."""

    def __init__(self, now: float) -> None:
        self._sum, self._last = 0.0, now

    def tick(self, now: float) -> None:
        """Record a tick."""
        self._sum, self._last = self.total(now), now

    def total(self, now: float) -> float:
        """Return the seconds up to now, including those since the last tick if the next one is late."""
        span = now - self._last
        return self._sum + (span if span > 2 * TICK else 0.0)


class Sampler:
    """Samples the routes of a plan; needs a running event loop.

    `changed` returns the next version of the plan, None while there is none: it has the routes of this one at their places,
    None for those that end, and may have more after them.
    """

    def __init__(self, plan: Plan, out: SampleFile, changed: Callable[[], Plan | None] = lambda: None) -> None:
        self._plan, self._out, self._loop, self._changed = plan, out, asyncio.get_running_loop(), changed
        self._clients = [RouteClient(number, request) if request else None for number, request in enumerate(plan.requests)]
        self._ended: list[RouteClient] = []
        # The wall clock is read only once, so that its steps do not change the times of samples.
        self._start = self._loop.time()
        self._wall = time.time() - self._start
        self._stalls = Stalls(self._start)
        header = {"sampler": 1, "started": self._unix(self._start), "interval": plan.interval, "paths": len(self._clients)}
        out.add(header)

    def _unix(self, moment: float) -> float:
        """Return the Unix time of a time of the event loop's clock."""
        return round(self._wall + moment, 4)

    async def run(self) -> None:
        """Sample to the end of the plan, or until SIGTERM or SIGINT.

        Raises:
            OSError: the file of samples cannot be written.

        """
        stop, ended = asyncio.Event(), self._loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, stop.set)
        stopped = asyncio.ensure_future(stop.wait())
        parts = [asyncio.ensure_future(self._send_on_schedule(stopped)), asyncio.ensure_future(self._tick(ended)), stopped]
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        parts[0].cancel()
        unanswered = await self._wait_for_answers(ANSWER)
        # The ticks end after the last answer, because they detect stalls during it.
        ended.set_result(None)
        for task in [*unanswered, stopped]:
            task.cancel()
        await asyncio.gather(*unanswered, *parts, return_exceptions=True)
        for client in self._every_client():
            client.close()
        self._out.flush()
        for part in done:
            part.result()

    def _every_client(self) -> list[RouteClient]:
        return [*(client for client in self._clients if client), *self._ended]

    def _follow(self) -> None:
        """Take the next version of the plan, if there is one."""
        plan = self._changed()
        if plan is None or len(plan.requests) < len(self._clients):
            return
        self._plan = plan
        for number, request in enumerate(plan.requests):
            if number == len(self._clients):
                self._clients.append(RouteClient(number, request) if request else None)
            elif request is None and (client := self._clients[number]):
                self._clients[number] = None
                self._ended.append(client)
        self._out.add({"paths": len(self._clients)})

    async def _wait_for_answers(self, seconds: float) -> set[asyncio.Task[None]]:
        """Wait until no sample is in flight, for at most `seconds`; returns the tasks of those that still are."""
        in_flight = {task for client in self._every_client() for task in client.in_flight}
        return (await asyncio.wait(in_flight, timeout=seconds))[1] if in_flight else in_flight

    async def _tick(self, ended: asyncio.Future[None]) -> None:
        for number in itertools.count(1):
            if (await asyncio.wait((ended,), timeout=TICK))[0]:
                return
            self._stalls.tick(self._loop.time())
            if number % round(FLUSH / TICK) == 0:
                self._follow()
                self._out.flush()

    async def _send_on_schedule(self, stopped: asyncio.Future[Any]) -> None:
        start, number = self._start, 0
        while not stopped.done():
            plan = self._plan
            number = await self._send_plan(plan, start, number, stopped)
            if plan is self._plan:
                break
            start = self._loop.time()
        await self._wait_for_answers(LATEST + STALL)

    async def _send_plan(self, plan: Plan, start: float, first: int, stopped: asyncio.Future[Any]) -> int:
        """Send the samples of a plan from `start` to its end, or until it changes; return the number of the next sample.

        `first` is the number of the first sample: each has another, for requests that contain it.
        """
        clients = [client for client in self._clients if client]
        count = len(clients)
        # The samples of different routes are spread evenly, because a burst would delay its own answers.
        step = plan.interval / max(1, count)
        left = plan.seconds - (start - self._start)
        total = min(plan.limit * max(1, count), int(left / step))
        number = 0
        while number < total and not stopped.done() and plan is self._plan:
            late = self._loop.time() - (start + number * step)
            if late < 0:
                # Not longer than a tick, because the plan may change.
                await asyncio.wait((stopped,), timeout=min(-late, TICK))
            elif not clients:
                number += 1
            elif late <= LATE:
                self._start_sample(clients[number % count], first + number)
                number += 1
            else:
                missed = min(total, number + int(late / step) + 1)
                for skipped in range(number, missed):
                    due = start + skipped * step
                    self._record(clients[skipped % count].number, due, due, "unknown", f"not sent in time ({late:.2f} s late)")
                number = missed
        return first + number

    def _start_sample(self, client: RouteClient, number: int) -> None:
        if len(client.in_flight) >= MAX_IN_FLIGHT:
            now = self._loop.time()
            self._record(client.number, now, now, "unknown", "too many samples without an answer")
            return
        task = self._loop.create_task(self._sample(client, number))
        client.in_flight.add(task)
        task.add_done_callback(client.in_flight.discard)

    def _record(self, route: int, sent: float, done: float, state: str, error: str) -> None:
        self._out.add([route, self._unix(sent), self._unix(done), state, error])

    async def _sample(self, client: RouteClient, number: int) -> None:
        sent = self._loop.time()
        stalled = self._stalls.total(sent)
        state, error, surplus, timed_out = "unknown", "the sampler was stopped", None, False
        try:
            surplus = await client.send(number, sent)
            state, error = "up", ""
        except (Down, EOFError, OSError) as down:
            state, error, timed_out = "down", describe(down), isinstance(down, TimedOut)
            if isinstance(down, OSError) and down.errno in LOCAL_ERRORS:
                state, error = "unknown", f"the sampler's machine lacks resources: {error}"
        except Unknown as unknown:
            error = str(unknown)
        except Exception as bug:  # noqa: BLE001  # an error of the sampler says nothing about the route
            error = f"the sampler failed: {type(bug).__name__}"
        finally:
            done = self._loop.time()
            if state == "up" and done - sent > ANSWER:
                state, error, timed_out = "unknown", f"late: answered after {done - sent:.1f} s", True
            if timed_out and self._stalls.total(done) - stalled > STALL:
                state, error = "unknown", "the sampler was suspended"
            self._record(client.number, sent, done, state, error)
            for moment in client.renewals:
                self._out.add({"renewed": client.number, "at": self._unix(moment)})
            client.renewals.clear()
        if surplus:
            with contextlib.suppress(OSError, Down), until(done + SERVER_CLOSE, ""):
                await surplus[0].read(1)
            surplus[1].close()
