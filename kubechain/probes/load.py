"""A steady stream of requests while the cluster changes, with a record of each request.

A request is due every `interval` seconds. One that is not sent in time is recorded as unknown, because a delay of the
prober says nothing about the path.
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
# A request that is more than this many intervals late makes the missed ones unknown.
LATE = 5
# What a message calls an error.
WORDS = {"refused": "connection refused", "reset": "connection reset", "closed": "connection closed"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it was sent and when it ended (monotonic seconds), its state, and "" or its error."""

    sent: float
    done: float
    state: State
    error: str = ""


@dataclass(frozen=True)
class Tally:
    """The samples of a path in the order of time."""

    path: str
    samples: tuple[Sample, ...]

    @property
    def up(self) -> int:
        """The number of requests with the expected response."""
        return sum(sample.state == "up" for sample in self.samples)

    @property
    def lost(self) -> list[Sample]:
        """The requests that were sent and did not get the expected response."""
        return [sample for sample in self.samples if sample.state == "down"]

    @property
    def unknown(self) -> int:
        """The number of requests that were not sent in time."""
        return sum(sample.state == "unknown" for sample in self.samples)

    @property
    def gap(self) -> float:
        """The longest time in seconds between two requests that were sent."""
        known = [sample for sample in self.samples if sample.state != "unknown"]
        return max((later.sent - earlier.sent for earlier, later in itertools.pairwise(known)), default=0.0)

    def between(self, start: float, end: float) -> Tally:
        """Return the samples sent in [`start`, `end`) (monotonic seconds)."""
        return Tally(self.path, tuple(sample for sample in self.samples if start <= sample.sent < end))

    def __str__(self) -> str:
        errors = Counter(WORDS.get(sample.error, sample.error) for sample in self.lost)
        why = ", ".join(f"{count:,} {error}" for error, count in errors.most_common(3))
        doubt = f"; {self.unknown:,} could not be sent in time" if self.unknown else ""
        return f"{len(self.lost):,} of {len(self.samples):,} lost{f' ({why})' if why else ''}{doubt}"


@dataclass
class Prober:
    """Calls `ask` ("" is up, else an error) every `interval` seconds in a thread of its own, at most `limit` times."""

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
        """Stop, and wait until the current request has ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def run(self) -> None:
        """Send requests until `stop` or `limit`."""
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
    """Return the samples of several probers of one path in the order of time."""
    return Tally(path, tuple(sorted((s for tally in tallies for s in tally.samples), key=lambda s: s.sent)))


def asked(least: int) -> Condition[Tally]:
    """At least `least` requests were sent, whatever became of them."""

    def check(tally: Tally) -> Result:
        sent = len(tally.samples) - tally.unknown
        return expect(sent >= least, f"{sent:,}")

    return Condition(f"at least {least:,} requests sent", check, LOAD)


def asked_since(moment: float, least: int) -> Condition[Tally]:
    """At least `least` requests were sent from a moment (monotonic seconds) on, whatever became of them."""
    enough = asked(least)
    return Condition(f"at least {least:,} more requests sent", lambda tally: enough.check(tally.between(moment, math.inf)), LOAD)


def none_lost(least: int) -> Condition[Tally]:
    """At least `least` requests were answered, and none was lost; one that was not sent in time counts as neither."""

    def check(tally: Tally) -> Result:
        if tally.lost:
            return unmet(str(tally), "no request lost")
        return expect(tally.up >= least, f"{tally.up:,} answered; {tally}", f"at least {least:,} requests answered")

    return Condition(f"no request lost of at least {least:,}", check)
