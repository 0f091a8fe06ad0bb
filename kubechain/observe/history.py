"""Every version of every watched object of one namespace, in the order in which the watches delivered them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from kubechain.conditions.condition import Condition, Result, expect, met, undecided, unmet
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.clock import Clock

Change = Literal["ADDED", "MODIFIED", "DELETED"]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One change of an object, which is `resource` after it; `now` (monotonic) and `wall` (Unix) are its arrival in seconds."""

    sequence: int
    now: float
    wall: float
    change: Change
    resource: KubeObject


@dataclass(frozen=True, slots=True)
class DownWatch:
    """The watch of a kind is down: since when (monotonic seconds), and the last error."""

    since: float
    error: str


def apply(objects: dict[Key, KubeObject], entry: ObjectChange) -> None:
    """Bring the objects of a namespace up to date with one change."""
    key = (entry.resource.kind, entry.resource.name)
    if entry.change == "DELETED":
        objects.pop(key, None)
    else:
        objects[key] = entry.resource


def latest(log: Iterable[ObjectChange]) -> NamespaceState:
    """Return the last version of each object that was not deleted."""
    current: dict[Key, KubeObject] = {}
    for entry in log:
        apply(current, entry)
    return NamespaceState(tuple(current.values()))


class History:
    """The changes so far: Reflectors add them, and each change wakes the waits that read them. Safe for threads."""

    def __init__(self, namespace: str, clock: Clock) -> None:
        self.what = f"objects of namespace {namespace}"
        self.namespace = namespace
        self._clock = clock
        self._changed = threading.Condition()
        self._log: list[ObjectChange] = []
        self._current: dict[Key, KubeObject] = {}
        self._down: dict[str, DownWatch] = {}
        self._fatal: HarnessError | None = None
        self._relists = 0
        self._losses = 0

    def record(self, change: Change, resource: KubeObject) -> None:
        """Add one change and wake the waits; a resourceVersion that is already in the history is ignored."""
        with self._changed:
            self._record(change, resource, self._clock.now(), self._clock.wall())

    def _record(self, change: Change, resource: KubeObject, now: float, wall: float) -> None:
        key = (resource.kind, resource.name)
        with self._changed:
            known = self._current.get(key)
            if change != "DELETED" and known and (known.uid, known.version) == (resource.uid, resource.version):
                return
            entry = ObjectChange(len(self._log) + 1, now, wall, change, resource)
            apply(self._current, entry)
            self._log.append(entry)
            self._changed.notify_all()

    def relist(self, kind: str, resources: list[KubeObject]) -> None:
        """Record the difference between the history and a complete list of a kind; an object not in the list was deleted.

        All these changes have the same time, because a list does not show their order.
        """
        present = {(r.kind, r.name): r for r in resources}
        with self._changed:
            now, wall = self._clock.now(), self._clock.wall()
            deleted = [r for (k, n), r in self._current.items() if k == kind and (k, n) not in present]
            for resource in deleted:
                self._record("DELETED", resource, now, wall)
            for key, resource in present.items():
                self._record("MODIFIED" if key in self._current else "ADDED", resource, now, wall)

    def lost(self, kind: str, error: str) -> None:
        """Note that the watch of a kind is down; the time of the first error stays until the watch is up again."""
        with self._changed:
            before = self._down.get(kind)
            self._losses += before is None
            self._down[kind] = DownWatch(before.since if before else self._clock.now(), error)

    def restored(self, kind: str, *, gap: bool) -> None:
        """Note that the watch of a kind is up; `gap` says that the history may lack versions from before."""
        with self._changed:
            self._down.pop(kind, None)
            self._relists += gap

    def fail(self, error: HarnessError) -> None:
        """Stop the history: every present and future wait ends with this error."""
        with self._changed:
            self._fatal = self._fatal or error
            self._changed.notify_all()

    @property
    def gaps(self) -> int:
        """The number of times a kind was listed again; the history may lack versions from before each."""
        with self._changed:
            return self._relists

    @property
    def losses(self) -> int:
        """The number of times a watch went down, over all kinds."""
        with self._changed:
            return self._losses

    def sequence(self) -> int:
        """Return the number of changes so far."""
        with self._changed:
            return len(self._log)

    def read(self) -> NamespaceState:
        """Return the current objects.

        Raises:
            HarnessError: the history has stopped, for example because the user may not list a kind.

        """
        with self._changed:
            if self._fatal:
                raise self._fatal
            return NamespaceState(tuple(self._current.values()))

    def pause(self, after: int, seconds: float) -> None:
        """Wait for a change after number `after`, at most `seconds`."""
        with self._changed:
            if len(self._log) <= after and self._fatal is None:
                self._clock.wait(self._changed, seconds)

    def trouble(self) -> str | None:
        """Return the watch that has been down longest, for a message; None if all watches are up."""
        with self._changed:
            if not self._down:
                return None
            kind, first = min(self._down.items(), key=lambda item: item[1].since)
            return f"watch of {kind} down for {self._clock.now() - first.since:.1f} s: {first.error}"

    def log(self, after: int = 0) -> list[ObjectChange]:
        """Return the changes after number `after`, oldest first."""
        with self._changed:
            return self._log[after:]

    def since(self, after: int) -> Iterator[NamespaceState]:
        """Yield the state after each change that came after number `after`; HarnessError if the history has stopped."""
        current: dict[Key, KubeObject] = {}
        self.read()  # raises the error that stopped the history
        for entry in self.log():
            apply(current, entry)
            if entry.sequence > after:
                yield NamespaceState(tuple(current.values()))


def seen_in_history(history: History, condition: Condition[NamespaceState]) -> Condition[NamespaceState]:
    """The condition was met by at least one state of the history."""
    what = f"{condition.what} at some moment"

    def check(state: NamespaceState) -> Result:
        now = condition(state)
        result = next((then for past in history.since(0) if (then := condition(past)).met), now)
        if not result.met and history.gaps:
            raise undecided(what, "versions were missed")
        return result if result.met else replace(result, expected=f"{result.expected} at some moment")

    return Condition(what, check, condition.timeout)


def at_every_moment(condition: Condition[NamespaceState], *, after: int) -> Condition[History]:
    """The condition was met after each change since number `after`, and the history lacks no version."""
    what = f"{condition.what} at every moment"

    def check(history: History) -> Result:
        trouble = history.trouble() or ("versions were missed" if history.gaps else None)
        if trouble:
            raise undecided(what, trouble)
        wrong = next((result for past in history.since(after) if not (result := condition(past)).met), None)
        return replace(wrong, expected=f"{wrong.expected} at every moment") if wrong else met()

    return Condition(what, check)


def last_version(history: History, resource: KubeObject) -> KubeObject:
    """Return the last version of an object in the history, by its UID, also after its deletion; HarnessError if none is."""
    last = next((entry.resource for entry in reversed(history.log()) if entry.resource.uid == resource.uid), None)
    if last is None:
        raise HarnessError(f"{resource.kind} {resource.name} with UID {resource.uid}: not in the history of {history.namespace}")
    return last


def deleted_in_order(*groups: frozenset[str]) -> Condition[History]:
    """All objects of each group of UIDs were deleted before any of the next group, by their resourceVersions.

    The resourceVersions of one cluster can be compared (KEP-5504). The order of arrival proves nothing: each kind has a
    watch of its own.
    """

    def check(history: History) -> Result:
        at = {entry.resource.uid: int(entry.resource.version) for entry in history.log() if entry.change == "DELETED"}
        missing = [uid for group in groups for uid in group if uid not in at]
        if missing:
            return unmet(f"no deletion of UID {some(missing)}")
        spans = [(min(at[uid] for uid in group), max(at[uid] for uid in group)) for group in groups]
        ordered = all(earlier[1] < later[0] for earlier, later in itertools.pairwise(spans))
        return expect(ordered, ", ".join(f"group {number} at {first} to {last}" for number, (first, last) in enumerate(spans, 1)))

    return Condition(f"{len(groups)} groups of objects deleted in order, by resourceVersion", check)
