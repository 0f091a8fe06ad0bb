"""The waits of the project, `eventually` and `consistently`, over any source that can be read again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Generic, Protocol, TypeVar

from pydantic import ConfigDict

from kubechain.conditions.condition import Condition, Result, undecided, unmet
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Transient, Unmet
from kubechain.core.records import JsonRecord, rounded
from kubechain.observe.clock import Clock

T = TypeVar("T")
S_co = TypeVar("S_co", covariant=True)


class Source(Protocol[S_co]):
    """A state that changes: a watched namespace (History) or anything that is read again and again (Polled)."""

    @property
    def what(self) -> str:
        """The name of the source in messages."""
        ...

    def sequence(self) -> int:
        """Return the number of changes so far; each change ends a `pause`."""
        ...

    def read(self) -> S_co:
        """Return the current state; Transient if this reading failed and the next may succeed."""
        ...

    def since(self, after: int) -> Iterator[S_co]:
        """Yield the state after each change that came after number `after`."""
        ...

    def pause(self, after: int, seconds: float) -> None:
        """Wait for a change after number `after`, at most `seconds`."""
        ...

    def trouble(self) -> str | None:
        """Return why the source is not up to date, for a message; None if it is."""
        ...

    @property
    def gaps(self) -> int:
        """The number of times at which the source may have skipped states."""
        ...


@dataclass(frozen=True)
class Observation(Generic[T]):
    """The state that met a condition, the result's `got`, and the seconds and readings that the wait took."""

    state: T
    got: str
    seconds: float
    readings: int


class WaitRecord(JsonRecord):
    """The record of one wait, for the report; the wait fills it in as it goes on."""

    model_config = ConfigDict(frozen=False)

    what: str
    """The source."""
    condition: str
    """The condition."""
    seconds: Annotated[float, rounded(4)] = 0.0
    observations: int = 0
    ended_by: str = ""
    """What ended the wait; "" if the claim ended first."""


@dataclass
class Waiter:
    """`eventually` and `consistently` for one claim.

    `record` has one entry per wait. `patience` is a factor on every timeout of `eventually`, for clusters that are faster
    or slower than the timeouts allow for.
    """

    clock: Clock
    record: list[WaitRecord] = field(default_factory=list[WaitRecord])
    patience: float = 1.0

    def eventually(
        self, source: Source[T], condition: Condition[T], *, within: Timeout | None = None, since: float | None = None
    ) -> Observation[T]:
        """Wait until the state of `source` meets `condition`, and return that observation.

        The timeout is `within`, else that of the condition. It counts from now, or from `since` (monotonic seconds), the
        moment at which the cluster began to work towards the condition.

        Raises:
            Unmet: the timeout is over, or the result is hopeless; the message has what was expected, the last state and
                the seconds.
            HarnessError: the source could not be read, or was not up to date at the timeout; or there is no timeout.

        """
        timeout = within or condition.timeout
        if timeout is None:
            raise HarnessError(f"no timeout for {condition.what}: pass within=, or give the condition a timeout")
        entry = self._begin(source.what, condition.what)
        start = self.clock.now() if since is None else since
        allowed = timeout.seconds * self.patience
        result = unmet("no state", condition.what)
        while True:
            sequence, error = source.sequence(), ""
            try:
                state = source.read()
                result = condition(state)
                entry.observations += 1
                entry.seconds = self.clock.now() - start
                if result.met:
                    entry.ended_by = f"change {sequence}" if entry.observations > 1 else "met at once"
                    return Observation(state, result.got, entry.seconds, entry.observations)
                if result.hopeless:
                    entry.ended_by = "hopeless"
                    raise Unmet(f"{result} (gave up after {entry.seconds:.1f} s: waiting cannot help)")
            except Transient as trouble:
                error = str(trouble)
                entry.seconds = self.clock.now() - start
            left = allowed - entry.seconds
            if left <= 0:
                entry.ended_by = "timeout"
                trouble = error or source.trouble()
                if trouble:
                    raise undecided(condition.what, trouble)
                raise Unmet(f"{result} (waited {entry.seconds:.1f} of {allowed:g} s: {timeout.reason})")
            source.pause(sequence, left)

    def consistently(self, source: Source[T], condition: Condition[T], *, during: Timeout) -> Observation[T]:
        """Require for `during` that every state of `source`, also between two readings, meets `condition`.

        Raises:
            Unmet: a state does not meet the condition; the message has the state and the time.
            HarnessError: the source could not be read, or may have skipped states.

        """
        entry = self._begin(source.what, condition.what)
        start, gaps = self.clock.now(), source.gaps
        sequence = source.sequence()
        state = source.read()
        result = self._hold(condition, state, entry, during)
        while True:
            entry.seconds = self.clock.now() - start
            left = during.seconds - entry.seconds
            if left <= 0:
                break
            source.pause(sequence, left)
            newest = source.sequence()
            for state in source.since(sequence):
                entry.seconds = self.clock.now() - start
                result = self._hold(condition, state, entry, during)
            sequence = newest
        trouble = source.trouble() or ("versions were missed" if source.gaps != gaps else None)
        if trouble:
            raise undecided(condition.what, trouble)
        entry.ended_by = f"held for {during.seconds:g} s"
        return Observation(state, result.got, entry.seconds, entry.observations)

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass, to observe the cluster for that long; to wait for a state, use `eventually`."""
        passing = threading.Condition()
        with passing:
            self.clock.wait(passing, seconds)

    def _begin(self, what: str, condition: str) -> WaitRecord:
        entry = WaitRecord(what=what, condition=condition)
        self.record.append(entry)
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

    def trouble(self) -> str | None:
        """Return None: a poll is always up to date."""
        return None
