"""Every version of every watched object of one namespace, in the order in which the watches delivered them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kubechain.core.errors import HarnessError, Transient
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.changes import Change, Key, ObjectChange, Position, apply, number
from kubechain.observe.clock import Clock

# For a watch that resumes on another connection.
RESUME_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DownWatch:
    """The watch of a kind is down: since when (monotonic seconds), and the last error."""

    since: float
    error: str


class History:
    """The changes so far: Reflectors add them, and each change wakes the waits that read them. Safe for threads."""

    def __init__(self, namespace: str, clock: Clock, *, every_version: bool = True) -> None:
        """Begin empty; without `every_version`, a version that differs in its resourceVersion alone is not kept."""
        self._every_version = every_version
        self.what = f"objects of namespace {namespace}"
        self.namespace = namespace
        self.clock = clock
        self._changed = threading.Condition()
        self._log: list[ObjectChange] = []
        self._current: dict[Key, KubeObject] = {}
        self._newest: dict[str, int] = {}
        self._down: dict[str, DownWatch] = {}
        self._fatal: HarnessError | None = None
        self._gaps = 0
        self._relists = 0
        self._losses = 0
        self._resumed: list[float] = []
        self._ended = False
        self._unseen: set[str] = set()
        self._proof: Callable[[], object] | None = None
        self._place: Callable[[], Position] = Position

    def begin(self, since: Position) -> None:
        """Take the objects that an earlier watch ended with, as of that time."""
        with self._changed:
            for body in since.objects:
                self._record("ADDED", KubeObject(body), self.clock.now(), since.wall)

    def record(self, change: Change, resource: KubeObject) -> None:
        """Add one change and wake the waits; a resourceVersion that is already in the history is ignored."""
        with self._changed:
            self._record(change, resource, self.clock.now(), self.clock.wall())

    def _record(self, change: Change, resource: KubeObject, now: float, wall: float) -> None:
        key = (resource.kind, resource.name)
        with self._changed:
            known = self._current.get(key)
            if change != "DELETED" and known and (known.uid, known.version) == (resource.uid, resource.version):
                return
            if not self._every_version and change != "DELETED" and known and known.differs_in_version_alone(resource):
                self._current[key] = resource
                self._newest[resource.uid] = max(number(resource.version), self._newest.get(resource.uid, 0))
                self._changed.notify_all()
                return
            seen = ObjectChange(len(self._log) + 1, now, wall, change, resource)
            apply(self._current, seen)
            self._newest[resource.uid] = max(number(resource.version), self._newest.get(resource.uid, 0))
            self._log.append(seen)
            self._changed.notify_all()

    def relist(self, kind: str, resources: list[KubeObject], *, gap: bool = False) -> None:
        """Take a complete list of a kind: what is new or changed is recorded, what is missing was deleted.

        All of it has the same time: in which order it happened is not known. After a `gap`, the versions before what is
        recorded were not seen.
        """
        present = {(r.kind, r.name): r for r in resources}
        with self._changed:
            now, wall = self.clock.now(), self.clock.wall()
            gone = [r for (k, n), r in self._current.items() if k == kind and (k, n) not in present]
            before = len(self._log)
            for resource in gone:
                self._record("DELETED", resource, now, wall)
            for key, resource in present.items():
                self._record("MODIFIED" if key in self._current else "ADDED", resource, now, wall)
            if gap and len(self._log) > before:
                self._unseen.add(kind)
            if kind in self._down:
                # It shows what has happened since the watch fell silent.
                self._resumed.append(now)

    def proved_by(self, proof: Callable[[], object]) -> None:
        """Let `refresh` call `proof`, which brings the history up to date or raises."""
        self._proof = proof

    def placed_by(self, place: Callable[[], Position]) -> None:
        """Let `position` return what `place` returns."""
        self._place = place

    def position(self) -> Position:
        """Return where the watches are, so that others can go on from there; an empty one where no watch feeds the history."""
        return self._place()

    def end(self) -> None:
        """Note that the watches are closed: the history stays as it is, and a watch that ends is not lost."""
        with self._changed:
            self._proof, self._ended = None, True

    def refresh(self) -> bool:
        """Bring the history up to date by fresh lists; return whether it has to be read again.

        A watch that is down is waited for: once it has resumed, it has delivered what happened meanwhile. One that stays down
        while lists are answered leaves a gap.

        Raises:
            HarnessError: the history is not up to date, or it is not known; Transient if that may pass.

        """
        try:
            resumed = self._await_resumed()
        except Transient:
            if not self._proof:
                raise
            self._proof()
            with self._changed:
                self._gaps += 1
            return True
        if self._proof:
            self._proof()
        return resumed or self._proof is not None

    def _await_resumed(self) -> bool:
        """Wait until each watch that is down now was up once; return whether one was down."""
        with self._changed:
            down, end = dict(self._down), self.clock.now() + (0.0 if self._ended else RESUME_SECONDS)
            while any(self._down.get(kind) and self._down[kind].since == lost.since for kind, lost in down.items()):
                left = end - self.clock.now()
                if left <= 0 or self._fatal:
                    raise self._fatal or Transient(str(self.trouble()))
                self.clock.wait(self._changed, left)
        return bool(down)

    def behind(self, kind: str, resources: Iterable[KubeObject], version: str) -> bool:
        """Whether a complete list of a kind, made at a resourceVersion, shows what has not been recorded yet."""
        listed = {resource.uid: number(resource.version) for resource in resources}
        with self._changed:
            current = [each for each in self._current.values() if each.kind == kind]
            present = {each.uid for each in current}
            # A list that left out an object recorded its deletion at the version that it still has.
            unseen = any(
                newest < number or (newest == number and uid not in present)
                for uid, number in listed.items()
                for newest in [self._newest.get(uid, -1)]
            )
            return unseen or any(each.uid not in listed and number(each.version) <= number(version) for each in current)

    def first_met(self, holds: Callable[[NamespaceState], bool], start: float) -> float | None:
        """Return when (monotonic seconds) the first state met a check of those there were at `start` or later."""
        current: dict[Key, KubeObject] = {}
        log = self.log()
        for seen, end in zip(log, [*(later.now for later in log[1:]), math.inf], strict=True):
            apply(current, seen)
            # What one list shows has one time: the states before its last change never were.
            if end > max(start, seen.now) and holds(NamespaceState(tuple(current.values()))):
                return max(start, seen.now)
        return None

    def seen_late(self, at: float) -> bool:
        """Whether a watch had resumed just before `at`: it then delivered what had happened since it fell silent."""
        with self._changed:
            return any(resumed <= at <= resumed + RESUME_SECONDS for resumed in self._resumed)

    def lost(self, kind: str, error: str, *, gap: bool = False) -> None:
        """Note that the watch of a kind is down; the time of the first loss is kept until it is up again.

        With a `gap`, versions are missed from now on: the watch cannot resume where it ended.
        """
        with self._changed:
            if self._ended:
                return
            before = self._down.get(kind)
            self._losses += before is None
            self._gaps += gap
            self._down[kind] = DownWatch(before.since if before else self.clock.now(), error)

    def restored(self, kind: str, *, gap: bool) -> None:
        """Note that the watch of a kind is up; `gap` says that the history may lack versions from before."""
        with self._changed:
            if self._down.pop(kind, None):
                self._resumed.append(self.clock.now())
            self._gaps += gap
            self._relists += gap
            self._changed.notify_all()

    def fail(self, error: HarnessError) -> None:
        """Stop the history: every present and future wait ends with this error."""
        with self._changed:
            self._fatal = self._fatal or error
            self._changed.notify_all()

    @property
    def gaps(self) -> int:
        """A number that grows whenever versions may be missed: at the start and at the end of each such time.

        A wait that begins between the two sees it grow as well.
        """
        with self._changed:
            return self._gaps

    @property
    def relists(self) -> int:
        """How often a kind had to be listed anew, so that versions may be missing from the history."""
        with self._changed:
            return self._relists

    @property
    def unseen(self) -> frozenset[str]:
        """The kinds of which a list after a gap showed another state: of their objects, versions were not seen.

        After another gap, each object that was there before and after has the version that it had: none of its was missed.
        """
        with self._changed:
            return frozenset(self._unseen)

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
                self.clock.wait(self._changed, seconds)

    def trouble(self) -> str | None:
        """Return the watch that has been down longest, for a message; None if all watches are up."""
        with self._changed:
            if not self._down:
                return None
            kind, first = min(self._down.items(), key=lambda item: item[1].since)
            return f"watch of {kind} down for {self.clock.now() - first.since:.1f} s: {first.error}"

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
