"""Conditions on any object, by kind and name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, equal, expect, met, unmet
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def one(kind: str, name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The object of that kind and name exists and is as `judge` wants it; `what` says how that is."""

    def find(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        return check(found) if found else unmet(f"no {kind} {name}")

    return Condition(f"{kind} {name} {what}", find)


def has(kind: str, name: str, wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """The object has the `wanted` value at each dotted path; None where there must be none."""

    def check(found: KubeObject) -> Result:
        results = [equal(path, found.at(path), value) for path, value in wanted.items()]
        return next((v for v in results if not v.met), met())

    return one(kind, name, f"with {', '.join(wanted)} as promised", check)


def seen(made: KubeObject) -> Condition[NamespaceState]:
    """An object that was made is there, under its UID."""
    return has(made.kind, made.name, {"metadata.uid": made.uid})


def absent(kind: str, name: str, uid: str = "") -> Condition[NamespaceState]:
    """There is no object of that kind and name, or, if `uid` is given, none with that UID."""

    def check(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        return expect(found is None or bool(uid and found.uid != uid), f"{kind} {name} is still there")

    return Condition(f"{kind} {name} gone", check)


def controlled_by(kind: str, name: str, uid: str | None) -> Condition[NamespaceState]:
    """The object has the one with that UID as its controller; None: it has none."""
    return one(kind, name, f"controlled by {uid}", lambda o: equal("controller", (o.controller or {}).get("uid"), uid))


def happened(kind: str, labels: Mapping[str, str], *reasons: str) -> Condition[NamespaceState]:
    """For each object of that kind with these labels there is an Event for each of these reasons."""

    def check(state: NamespaceState) -> Result:
        objects = state.all(kind, labels)
        for each in objects:
            seen = {event.at("reason") for event in events_of(state, each)}
            if not seen.issuperset(reasons):
                return unmet(f"{each.name}: events are {sorted(seen)}, wanted {list(reasons)}")
        return expect(bool(objects), f"there is no {kind}")

    return Condition(f"events {', '.join(reasons)} for each {kind}", check)


def never_happened(kind: str, labels: Mapping[str, str], reason: str, after: str) -> Condition[NamespaceState]:
    """No object of that kind with these labels has an Event with `reason`, and each has one with `after`."""

    def check(state: NamespaceState) -> Result:
        seen = happened(kind, labels, after)(state)
        found = [each.name for each in state.all(kind, labels) for e in events_of(state, each) if e.at("reason") == reason]
        return seen if not seen.met else expect(not found, f"{reason}: {found}")

    return Condition(f"no event {reason} for any {kind}", check)


def event_names(kind: str, name: str, reason: str, text: str) -> Condition[NamespaceState]:
    """An Event with that reason about the object has the text in its message."""

    def check(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        events = events_of(state, found) if found else []
        messages = [str(event.at("message")) for event in events if event.at("reason") == reason]
        return expect(any(text in message for message in messages), f"messages of {reason} are {messages}")

    return Condition(f"event {reason} of {kind} {name} names {text}", check)


def exists() -> Condition[KubeObject | None]:
    """An object that was asked for is there."""
    return Condition("exists", lambda found: expect(found is not None, "it is not there"))


def holds_certificate(key: str) -> Condition[KubeObject | None]:
    """A ConfigMap is there, with a certificate under that key."""

    def check(found: KubeObject | None) -> Result:
        data: dict[str, str] = found.at("data", {}) if found else {}
        return expect("BEGIN CERTIFICATE" in data.get(key, ""), f"data has {sorted(data)}")

    return Condition(f"a certificate in {key}", check)


def events_of(state: NamespaceState, resource: KubeObject) -> list[KubeObject]:
    """Return the Events about an object, by its UID."""
    return [event for event in state.all("Event") if event.at("involvedObject.uid") == resource.uid]


def table_row(table: Json, name: str) -> dict[str, str]:
    """Return the row of a server-side table that stands for an object: column name -> cell, as text.

    The Table is that of `Accept: application/json;as=Table;v=v1;g=meta.k8s.io`; KeyError if it has no such row.
    """
    columns = [column["name"] for column in table["columnDefinitions"]]
    rows = {row["object"]["metadata"]["name"]: row["cells"] for row in table["rows"]}
    return dict(zip(columns, map(str, rows[name]), strict=True))
