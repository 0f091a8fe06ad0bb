"""The waits of the project, `eventually` and `consistently`, over any source that can be read again and again."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kubechain.conditions.condition import Condition, Result, undecided, unmet
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Transient, Unmet
from kubechain.observe.clock import Clock
from kubechain.observe.pace import Pace
from kubechain.observe.present_waits import PRESENT_WAITS
from kubechain.observe.source import Source
from kubechain.observe.wait_log import WAITS
from kubechain.observe.wait_record import WaitRecord

T = TypeVar("T")
# A reading that ends no later than this after the deadline counts: a probe of every Node takes a few seconds.
READING_SECONDS = 5.0
# A watch that has fallen silent is found after this time of a wait. On a healthy cluster, few waits take so long.
SILENT_SECONDS = 10.0


@dataclass(frozen=True)
class Observation(Generic[T]):
    """The state that met a condition, the result's `got`, and the readings that the wait took.

    `seconds` is how long it took until the condition was met, from the beginning of the wait, or from its cause.
    """

    state: T
    got: str
    seconds: float
    readings: int


@dataclass
class Waiter:
    """`eventually` and `consistently` for one claim; `record` has one entry per wait.

    `patience` is a factor on every timeout of `eventually`; `pace` shortens timeouts once a link is broken.
    """

    clock: Clock
    record: list[WaitRecord] = field(default_factory=list[WaitRecord])
    patience: float = 1.0
    pace: Pace = field(default_factory=Pace)

    def eventually(
        self, source: Source[T], condition: Condition[T], *, within: Timeout | None = None, since: float | None = None
    ) -> Observation[T]:
        """Wait until the state of `source` meets `condition`, and return that observation.

        The wait takes at most `within`, else the timeout of the condition; it runs from now, or from `since` (monotonic
        seconds), when what is waited for was begun. A state that is read late counts if it was met in time.

        Raises:
            Unmet: the time is over, or waiting cannot help; the message says what was expected, what there was at
                last, and how long that was waited for.
            HarnessError: the source could not be read, or was not up to date when the time was over, or was read so late
                that it is not known whether it met the condition in time; or there is no timeout.

        """
        timeout = within or condition.timeout
        if timeout is None:
            raise HarnessError(f"no timeout for {condition.what}: pass within=, or give the condition a timeout")
        entry = self._begin(source, condition)
        began = entry.began
        limit = self.pace.limit(timeout, self.patience)
        result, proved, held_up, look = unmet("no state", condition.what), False, False, began + SILENT_SECONDS
        with PRESENT_WAITS.wait(source.what, condition.what, began if since is None else since, limit.seconds) as present:
            while True:
                sequence, error = source.sequence(), ""
                try:
                    state = source.read()
                    result = condition(state)
                    present.got = result.got
                    entry.observations += 1
                    entry.at(self.clock.now(), began, since)
                    if result.met:
                        took = self._time_until_met(source, condition, entry, since, limit, unsure=proved or held_up)
                        if took is not None:
                            self.pace.took(timeout, took)
                        entry.ended_by = f"change {sequence}" if entry.observations > 1 else "met at once"
                        return Observation(state, result.got, entry.counted if took is None else took, entry.observations)
                    if result.hopeless:
                        entry.ended_by = "hopeless"
                        raise Unmet(f"{result} (gave up after {entry.seconds:.1f} s: waiting cannot help)")
                except Transient as trouble:
                    error = present.got = str(trouble)
                    entry.at(self.clock.now(), began, since)
                left = limit.seconds - entry.counted
                if left <= 0:
                    entry.ended_by = "timeout"
                    self.pace.ended_in_vain(timeout)
                    if not (error or proved) and self._refreshed(source, condition):
                        proved = True
                        continue
                    raise undecided(condition.what, error) if error else Unmet(f"{result} ({entry.waited(limit)})")
                paused = self.clock.now()
                if paused < look:
                    source.pause(sequence, min(left, look - paused))
                else:
                    look = math.inf
                    # The deadline decides: this look only finds early what a watch does not deliver.
                    with contextlib.suppress(HarnessError):
                        source.refresh()
                held_up = held_up or self.clock.now() - paused > left + READING_SECONDS

    def consistently(self, source: Source[T], condition: Condition[T], *, during: Timeout) -> Observation[T]:
        """Require for `during` that every state of `source`, also between two readings, meets `condition`.

        Raises:
            Unmet: a state does not meet the condition; the message has the state and the time.
            HarnessError: the source could not be read, or may have skipped states.

        """
        entry = self._begin(source, condition)
        start, gaps, sequence, ended = entry.began, source.gaps, source.sequence(), False
        with PRESENT_WAITS.wait(source.what, condition.what, start, during.seconds) as present:
            state = source.read()
            if not condition(state).met and self._refreshed(source, condition):
                sequence = source.sequence()
                state = source.read()
            result = self._hold(condition, state, entry, during)
            while True:
                entry.seconds = self.clock.now() - start
                left = during.seconds - entry.seconds
                if left <= 0:
                    if ended or not self._refreshed(source, condition):
                        break
                    ended = True
                else:
                    source.pause(sequence, left)
                newest = source.sequence()
                for state in source.since(sequence):
                    entry.seconds = self.clock.now() - start
                    result = self._hold(condition, state, entry, during)
                present.got = result.got
                sequence = newest
        if source.gaps != gaps:
            raise undecided(condition.what, "versions were missed")
        entry.ended_by = f"held for {during.seconds:g} s"
        return Observation(state, result.got, entry.seconds, entry.observations)

    def _time_until_met(
        self,
        source: Source[T],
        condition: Condition[T],
        entry: WaitRecord,
        since: float | None,
        limit: Timeout,
        *,
        unsure: bool,
    ) -> float | None:
        """Return how many seconds it took until a state met the condition; raise unless that is within the limit.

        A state that is seen late has its own time where the source knows it; None where it does not, and the wait itself began
        late. `unsure` says that the source may have learned late of what was in time.
        """
        late = entry.counted > limit.seconds + READING_SECONDS
        began_late = since is not None and entry.observations == 1
        if not late and not began_late:
            return entry.counted
        start = self.clock.now() - entry.seconds if since is None else since
        met_at = source.first_met(lambda state: condition(state).met, start)
        if met_at is None and began_late:
            return None  # it has seen nothing else
        if met_at is not None and met_at <= start + limit.seconds:
            return met_at - start
        if not late:
            return entry.counted
        entry.ended_by = "timeout"
        if met_at is None or unsure or source.seen_late(met_at):
            seen = f"it was seen after {entry.counted:.1f} s, too late to know if {limit.seconds:g} s sufficed"
            raise undecided(condition.what, seen)
        raise Unmet(f"expected {condition.what}, got it after {met_at - start:.1f} s ({entry.waited(limit)})")

    @staticmethod
    def _refreshed(source: Source[T], condition: Condition[T]) -> bool:
        """Bring a source up to date; return whether it has to be read again; HarnessError if it cannot be."""
        try:
            return source.refresh()
        except Transient as trouble:
            raise undecided(condition.what, str(trouble)) from trouble

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass, to observe the cluster for that long; to wait for a state, use `eventually`."""
        passing = threading.Condition()
        with passing:
            self.clock.wait(passing, seconds)

    def _begin(self, source: Source[T], condition: Condition[T]) -> WaitRecord:
        """Begin a wait; where the state is to last, with all that has happened before."""
        entry = WaitRecord(what=source.what, condition=condition.what, began=self.clock.now())
        self.record.append(entry)
        WAITS.add(entry)
        if condition.lasting:
            self._refreshed(source, condition)
        return entry

    @staticmethod
    def _hold(condition: Condition[T], state: T, entry: WaitRecord, during: Timeout) -> Result:
        result = condition(state)
        entry.observations += 1
        if not result.met:
            entry.ended_by = f"broken by observation {entry.observations}"
            raise Unmet(f"{result} (at {entry.seconds:.1f} of {during.seconds:g} s: must hold at every moment)")
        return result


def require(state: T, condition: Condition[T]) -> None:
    """Check a state that no longer changes, such as a finished history, without a wait; Unmet if it does not meet."""
    result = condition(state)
    if not result.met:
        raise Unmet(str(result))


@dataclass
class Polled(Generic[T]):
    """A source without a watch: `poll`, such as a probe or a command, is called every `interval` seconds."""

    what: str
    poll: Callable[[], T]
    clock: Clock
    interval: float = 0.1
    gaps: int = 0
    _count: int = 0

    def sequence(self) -> int:
        """Return the number of polls so far."""
        return self._count

    def read(self) -> T:
        """Poll once."""
        self._count += 1
        return self.poll()

    def since(self, after: int) -> Iterator[T]:  # noqa: ARG002  # a poll has no past
        """Poll once: states between two polls are not known."""
        yield self.read()

    def pause(self, after: int, seconds: float) -> None:  # noqa: ARG002
        """Wait for the interval, at most `seconds`."""
        passing = threading.Condition()
        with passing:
            self.clock.wait(passing, min(self.interval, seconds))

    def refresh(self) -> bool:
        """A pull is always up to date."""
        return False

    def first_met(self, holds: Callable[[T], bool], start: float) -> float | None:  # noqa: ARG002
        """What was between two pulls is not known."""
        return None

    def seen_late(self, at: float) -> bool:  # noqa: ARG002
        """A poll shows what is there now."""
        return False
