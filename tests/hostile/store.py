"""The objects of the cluster: their versions, the log of changes that watches read, and deletion with finalizers."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubechain.kube.objects import Json

# Kind, namespace ("" if cluster-scoped), name.
Key = tuple[str, str, str]
SEEN_BEFORE = 1000


class Refused(Exception):
    """The API server refuses a request with an HTTP status, a reason and a message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def as_json(self) -> Json:
        """Return the Status object."""
        return status_of(self.status, self.reason, self.message)


def status_of(code: int, reason: str, message: str) -> Json:
    """Return a Status object of a failure."""
    head: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**head, "message": message, "reason": reason, "code": code}


@dataclass(frozen=True)
class Change:
    """One change: its resourceVersion, ADDED, MODIFIED or DELETED, and the object after it, which is never modified."""

    version: int
    type: str
    key: Key
    body: Json


def key_of(body: Json) -> Key:
    """Return the key of an object."""
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


@dataclass
class Store:
    """All objects; every access holds the lock of `changed`, which each change notifies.

    `ahead` are the seconds by which the clock of the cluster is ahead. Watches from before `oldest` are refused with 410.
    """

    ahead: float = 0.0
    oldest: int = 0
    version: int = SEEN_BEFORE
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    log: list[Change] = field(default_factory=list[Change])
    objects: dict[Key, Json] = field(default_factory=dict[Key, Json])

    def now(self) -> float:
        """Return the time of day of the cluster in Unix seconds."""
        return time.time() + self.ahead

    def timestamp(self) -> str:
        """Return the time of day of the cluster as objects show it."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return an object, None if it does not exist."""
        with self.changed:
            return self.objects.get((kind, namespace, name))

    def all(self, kind: str, namespace: str = "") -> list[Json]:
        """Return the objects of a kind, in one namespace or ("") in all, sorted by key."""
        with self.changed:
            found = [key for key in self.objects if key[0] == kind and namespace in ("", key[1])]
            return [self.objects[key] for key in sorted(found)]

    def names(self, kind: str) -> list[str]:
        """Return the names of the cluster-scoped objects of a kind, sorted."""
        return [body["metadata"]["name"] for body in self.all(kind)]

    def at(self, version: int, kind: str, namespace: str) -> list[Json]:
        """Return the objects of a kind as they were at a resourceVersion."""
        with self.changed:
            then: dict[Key, Json] = {}
            for change in self.log:
                if change.version <= version and change.key[0] == kind and namespace in ("", change.key[1]):
                    then.pop(change.key, None)
                    if change.type != "DELETED":
                        then[change.key] = change.body
            return [then[key] for key in sorted(then)]

    def create(self, body: Json) -> Json:
        """Store a new object and return it; AlreadyExists if its name is taken."""
        with self.changed:
            key = key_of(body)
            if key in self.objects:
                raise Refused(409, "AlreadyExists", f'{key[0].lower()}s "{key[2]}" already exists')
            made = copy.deepcopy(body)
            made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.timestamp()}
            if "spec" in made and key[0] not in ("Service", "Namespace", "Node"):
                made["metadata"]["generation"] = 1
            return self._store("ADDED", made)

    def modify(self, key: Key, change: Callable[[Json], object]) -> Json:
        """Apply a function to a copy of an object and store it, if it has changed; NotFound if there is none."""
        with self.changed:
            before = self.required(key)
            after = copy.deepcopy(before)
            change(after)
            if after == before:
                return before
            if after.get("spec") != before.get("spec") and "generation" in before["metadata"]:
                after["metadata"]["generation"] = before["metadata"]["generation"] + 1
            stored = self._store("MODIFIED", after)
            if after["metadata"].get("deletionTimestamp") and not is_held(after):
                return self.remove(key)
            return stored

    def required(self, key: Key) -> Json:
        """Return an object; NotFound if there is none."""
        with self.changed:
            if key not in self.objects:
                raise Refused(404, "NotFound", f'{key[0].lower()}s "{key[2]}" not found')
            return self.objects[key]

    def delete(self, key: Key, *, at_once: bool = False) -> Json:
        """Delete an object, or mark it as being deleted while something holds it; return it."""
        with self.changed:
            found = self.required(key)
            if at_once and not found["metadata"].get("finalizers"):
                return self.remove(key)
            if found["metadata"].get("deletionTimestamp"):
                return found

            def mark(body: Json) -> None:
                body["metadata"] |= {"deletionTimestamp": self.timestamp(), "deletionGracePeriodSeconds": 0}
                if key[0] == "Namespace":
                    body["status"] = {**body.get("status", {}), "phase": "Terminating"}

            return self.modify(key, mark) if is_held(found) else self.remove(key)

    def remove(self, key: Key) -> Json:
        """Remove an object at once; return its last version."""
        with self.changed:
            last = copy.deepcopy(self.objects.pop(key))
            self.version += 1
            last["metadata"]["resourceVersion"] = str(self.version)
            self.log.append(Change(self.version, "DELETED", key, last))
            self.changed.notify_all()
            return last

    def _store(self, kind: str, body: Json) -> Json:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key_of(body)] = body
        self.log.append(Change(self.version, kind, key_of(body), body))
        self.changed.notify_all()
        return body


def is_held(body: Json) -> bool:
    """Whether an object stays after its deletion until a controller or the kubelet lets it go."""
    if body["metadata"].get("finalizers") or (body["kind"] == "Namespace" and body["spec"].get("finalizers")):
        return True
    return body["kind"] == "Pod" and bool(body["spec"].get("nodeName"))


def merged(old: Any, patch: Any) -> Any:
    """Return the result of a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    changes: Json = patch  # pyright: ignore[reportUnknownVariableType]  # JSON
    result: Json = dict(old) if isinstance(old, dict) else {}  # pyright: ignore[reportUnknownArgumentType]  # JSON
    for name, value in changes.items():
        result[name] = merged(result.get(name), value)
        if value is None:
            del result[name]
    return result


def selected(body: Json, selector: dict[str, str]) -> bool:
    """Whether an object has all these labels with these values."""
    return selector.items() <= (body["metadata"].get("labels") or {}).items()


def owner_of(body: Json) -> Json:
    """Return the owner reference of the controller of an object, {} if it has none."""
    owners: list[Json] = body["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), Json())
