"""What a run has seen of a change, besides the samples, in a form that another run can go on from. Data and pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.changes import Change, ObjectChange, Position
from kubechain.upgrade import snapshot
from kubechain.upgrade.model import NodeSpan, UpgradeEvent, Versions
from kubechain.upgrade.presence import Window, absence

# The file of it.
OBSERVED = "observed.json"


@dataclass(frozen=True)
class SavedChange:
    """A change of a witness, and when it arrived (Unix seconds)."""

    change: Change
    wall: float
    body: Json


@dataclass(frozen=True)
class Observed:
    """What was seen up to `at` (Unix seconds), and where the watches were then: of the witnesses, the Nodes and kube-system.

    `start` are the witnesses at the beginning, `log` begins with them; `spans` are the times in which each Node served;
    `absences` are the times in which no run watched; `ended` is when the change was over, 0.0 before. The other fields are those
    of UpgradeRecord and During.
    """

    at: float = 0.0
    positions: tuple[Position, ...] = ()
    start: tuple[Json, ...] = ()
    log: tuple[SavedChange, ...] = ()
    spans: tuple[NodeSpan, ...] = ()
    events: tuple[UpgradeEvent, ...] = ()
    versions: tuple[Versions, ...] = ()
    servers: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    absences: tuple[Window, ...] = ()
    relists: int = 0
    lost: int = 0
    control_planes: int = 0
    trouble: str = ""
    ended: float = 0.0

    def write(self, folder: Path) -> None:
        """Write the file, without managedFields and secrets."""
        positions = tuple(replace(each, objects=tuple(map(_plain, each.objects))) for each in self.positions)
        log = tuple(replace(each, body=_plain(each.body)) for each in self.log)
        plain = replace(self, positions=positions, start=tuple(map(_plain, self.start)), log=log)
        snapshot.write_atomically(folder / OBSERVED, _OBSERVED.dump_json(plain).decode())

    def state(self) -> NamespaceState:
        """Return the witnesses at the beginning."""
        return NamespaceState(tuple(map(KubeObject, self.start)))

    def changes(self) -> tuple[ObjectChange, ...]:
        """Return the log as a history has it; the monotonic time is that of the wall clock, which all runs share."""
        return tuple(
            ObjectChange(number, each.wall, each.wall, each.change, KubeObject(each.body))
            for number, each in enumerate(self.log, 1)
        )


_OBSERVED = TypeAdapter(Observed)


def read(folder: Path) -> Observed:
    """Return what an earlier run saw, an empty Observed if there was none."""
    file = folder / OBSERVED
    return _OBSERVED.validate_json(file.read_bytes()) if file.exists() else Observed()


def _plain(body: Json) -> Json:
    return snapshot.for_file(KubeObject(body))


def saved(log: Iterable[ObjectChange], kinds: Iterable[str]) -> tuple[SavedChange, ...]:
    """Return the changes of objects of these kinds."""
    wanted = frozenset(kinds)
    return tuple(SavedChange(each.change, each.wall, each.resource.body) for each in log if each.resource.kind in wanted)


def timed(log: Sequence[ObjectChange], away: Window) -> list[ObjectChange]:
    """Return the changes that happened while a run was away, with the time at which each object was written, in that order.

    The API server delivered them at once when the run was back. The time of a write is known to the second (managedFields); one
    that is not known is the end of the absence.
    """
    latest: dict[str, float] = {}
    found: list[ObjectChange] = []
    for entry in log:
        uid = entry.resource.uid
        at = min(max(written(entry.resource) or away[1], away[0], latest.get(uid, 0.0)), away[1])
        latest[uid] = at
        found.append(replace(entry, now=at, wall=at))
    return sorted(found, key=lambda entry: entry.wall)


def written(resource: KubeObject) -> float:
    """Return when an object was last written (Unix seconds), 0.0 if that is not known."""
    fields: list[Json] = resource.at("metadata.managedFields", []) or []
    times = [str(each.get("time") or "") for each in fields] + [str(resource.at("metadata.deletionTimestamp") or "")]
    return max((datetime.fromisoformat(time).timestamp() for time in times if time), default=0.0)


def steady(log: Iterable[ObjectChange]) -> frozenset[str]:
    """Return the UIDs of the Nodes that serve in each of these versions of them, without a restart of the machine."""
    boots: dict[str, set[str]] = {}
    moved: set[str] = set()
    for entry in log:
        node = entry.resource
        boots.setdefault(node.uid, set()).add(str(node.at("status.nodeInfo.bootID", "")))
        if entry.change == "DELETED" or absence(node):
            moved.add(node.uid)
    return frozenset(uid for uid, of_node in boots.items() if len(of_node) == 1 and uid not in moved)


def joined(earlier: Sequence[NodeSpan], now: Sequence[NodeSpan], away: Window, calm: frozenset[str]) -> tuple[NodeSpan, ...]:
    """Return the spans of a run that was away and of the one that goes on.

    A Node in `calm` served all the time if it did before and does after. Of another that served before, nobody knows until when.
    """
    left, back = away
    reached = {span.uid: span for span in earlier if span.end >= left and not span.ended}
    going_on = {span.uid: span for span in now if span.start <= back and span.uid in calm and span.uid in reached}
    spans = [replace(span, ended="not watched") if span is reached.get(span.uid) else span for span in earlier]
    whole = [span for span in spans if not (span.ended == "not watched" and span.uid in going_on)]
    bridged = [replace(span, start=reached[span.uid].start) if span is going_on.get(span.uid) else span for span in now]
    return tuple(sorted([*whole, *bridged], key=lambda span: (span.start, span.name)))


def since(versions: Sequence[Versions], more: Sequence[Versions]) -> tuple[Versions, ...]:
    """Return versions and later ones, without repetitions: an entry for each change."""
    both = [*versions, *more]
    changed = [later for earlier, later in itertools.pairwise(both) if replace(later, at=earlier.at) != earlier]
    return (*both[:1], *changed)
