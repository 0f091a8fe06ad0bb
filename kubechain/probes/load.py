"""Requests at a fixed rate, to count those that are lost while a cluster changes.

A sample is due every `interval` seconds. A sample that the prober could not send in time is unknown, neither up nor down:
a delay of the prober proves nothing about the path.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.timeouts import LOAD
from kubechain.observe.clock import Clock

State = Literal["up", "down", "unknown"]
# A sample may be sent up to this many intervals late; after a longer delay the missed samples are unknown.
LATE = 5
# The texts of errors in messages.
WORDS = {"refused": "connection refused", "reset": "connection reset", "closed": "connection closed"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, from `sent` to `done` (monotonic seconds); `error` is "" if its state is up.

    Where samples are condensed, it stands for `count` requests with the same result, the others less than a second after it.
    """

    sent: float
    done: float
    state: State
    error: str = ""
    count: int = 1


@dataclass(frozen=True)
class Tally:
    """The samples of a path, in the order of time."""

    path: str
    samples: tuple[Sample, ...]

    @property
    def up(self) -> int:
        """The number of requests with the expected answer."""
        return self._requests("up")

    @property
    def requests(self) -> int:
        """The number of requests, with those that could not be sent in time."""
        return self._requests("up", "down", "unknown")

    @property
    def lost(self) -> list[Sample]:
        """The samples without the expected answer."""
        return [sample for sample in self.samples if sample.state == "down"]

    @property
    def down(self) -> int:
        """The number of requests without the expected answer."""
        return self._requests("down")

    @property
    def unknown(self) -> int:
        """The number of requests that could not be sent in time."""
        return self._requests("unknown")

    def _requests(self, *states: State) -> int:
        return sum(sample.count for sample in self.samples if sample.state in states)

    @property
    def gap(self) -> float:
        """The longest time in seconds between two requests that were sent."""
        known = [sample for sample in self.samples if sample.state != "unknown"]
        return max((later.sent - earlier.sent for earlier, later in itertools.pairwise(known)), default=0.0)

    def between(self, start: float, end: float) -> Tally:
        """Return the samples sent from `start` to before `end` (monotonic seconds)."""
        return Tally(self.path, tuple(sample for sample in self.samples if start <= sample.sent < end))

    def __str__(self) -> str:
        errors = Counter[str]()
        for sample in self.lost:
            errors[WORDS.get(sample.error, sample.error)] += sample.count
        why = ", ".join(f"{count:,} {error}" for error, count in errors.most_common(3))
        doubt = f"; {self.unknown:,} could not be sent in time" if self.unknown else ""
        return f"{self.down:,} of {self.requests:,} lost{f' ({why})' if why else ''}{doubt}"


@dataclass
class Prober:
    """Calls `ask`, which returns "" for up or else the error, every `interval` seconds in a thread, at most `limit` times."""

    path: str
    ask: Callable[[], str]
    clock: Clock
    interval: float
    limit: int
    _samples: list[Sample] = field(default_factory=list[Sample])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name=f"probe {self.path}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more requests; return after the end of the current one."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def run(self) -> None:
        """Send requests until `stop`, at most `limit`."""
        start = self.clock.now()
        due = 0
        while due < self.limit and self._pause(start + due * self.interval):
            sent = self.clock.now()
            late = int((sent - start) / self.interval) - due
            if late > LATE:
                missed = min(late, self.limit - due - 1)
                times = [start + (due + number) * self.interval for number in range(missed)]
                self._add(Sample(at, at, "unknown", f"not sent in time ({late * self.interval:.2f} s late)") for at in times)
                due += missed
            error = self.ask()
            self._add([Sample(sent, self.clock.now(), "down" if error else "up", error)])
            due += 1

    def _pause(self, until: float) -> bool:
        with self._changed:
            while not self._stopped and (remaining := until - self.clock.now()) > 0:
                self.clock.wait(self._changed, remaining)
            return not self._stopped

    def _add(self, samples: Iterable[Sample]) -> None:
        with self._changed:
            self._samples.extend(samples)

    def tally(self) -> Tally:
        """Return the samples so far."""
        with self._changed:
            return Tally(self.path, tuple(self._samples))


def together(path: str, tallies: Sequence[Tally]) -> Tally:
    """Return the samples of several probers of one path, in the order of time."""
    return Tally(path, tuple(sorted((s for tally in tallies for s in tally.samples), key=lambda s: s.sent)))


def enough_sent(least: int) -> Condition[Tally]:
    """At least `least` requests were sent, with any answer."""

    def check(tally: Tally) -> Result:
        sent = tally.requests - tally.unknown
        return expect(sent >= least, f"{sent:,}")

    return Condition(f"at least {least:,} requests sent", check, LOAD)


def enough_sent_since(moment: float, least: int) -> Condition[Tally]:
    """At least `least` requests were sent from `moment` (monotonic seconds) on, with any answer."""
    enough = enough_sent(least)
    return Condition(f"at least {least:,} more requests sent", lambda tally: enough.check(tally.between(moment, math.inf)), LOAD)


def none_lost(least: int) -> Condition[Tally]:
    """No request was lost, and at least `least` were answered; an unknown sample counts as neither."""

    def check(tally: Tally) -> Result:
        if tally.lost:
            return unmet(str(tally), "no request lost")
        return expect(tally.up >= least, f"{tally.up:,} answered; {tally}", f"at least {least:,} requests answered")

    return Condition(f"no request lost of at least {least:,}", check)
