"""The changes of watched objects, one by one, and what the objects are after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from kubechain.kube.objects import Json, KubeObject, NamespaceState

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


@dataclass(frozen=True)
class Position:
    """Where a watch was at a time (Unix seconds): the version of each kind up to which it has seen all, and the objects then."""

    wall: float = 0.0
    versions: dict[str, str] = field(default_factory=dict[str, str])
    objects: tuple[Json, ...] = ()

    def has(self, resource: KubeObject) -> bool:
        """Whether a version of an object was there then; what comes later is delivered to the watch that goes on."""
        version = self.versions.get(resource.kind)
        return version is None or number(resource.version) <= number(version)


def apply(objects: dict[Key, KubeObject], entry: ObjectChange) -> None:
    """Bring the objects of a namespace up to date with one change."""
    key = (entry.resource.kind, entry.resource.name)
    if entry.change == "DELETED":
        objects.pop(key, None)
    else:
        objects[key] = entry.resource


def number(version: str) -> int:
    """Return a resourceVersion as a number: the API server counts all changes of a kind in one order (KEP-5504)."""
    return int(version) if version.isdecimal() else 0


def latest(log: Iterable[ObjectChange]) -> NamespaceState:
    """Return the last version of each object that was not deleted."""
    current: dict[Key, KubeObject] = {}
    for entry in log:
        apply(current, entry)
    return NamespaceState(tuple(current.values()))
