"""Conditions on any object, by kind and name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, equal, expect, fields, unmet
from kubechain.conditions.text import field, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, Timeout
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def one(
    kind: str, name: str, what: str, check: Callable[[KubeObject], Result], timeout: Timeout = CONTROLLER
) -> Condition[NamespaceState]:
    """The object of that kind and name exists and passes `check`; `what` says what that means."""

    def find(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        return check(found).of(f"{kind} {name} with") if found else unmet(f"no {kind} {name}")

    return Condition(f"{kind} {name} {what}", find, timeout)


def has(kind: str, name: str, wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """The object has the `wanted` value at each dotted path; None where there must be none."""
    return one(
        kind,
        name,
        f"with {some([field(path, value) for path, value in wanted.items()])}",
        lambda found: fields({path: found.at(path) for path in wanted}, wanted),
    )


def seen(made: KubeObject) -> Condition[NamespaceState]:
    """An object that was made is there, under its UID."""
    return has(made.kind, made.name, {"metadata.uid": made.uid})


def absent(kind: str, name: str, uid: str = "") -> Condition[NamespaceState]:
    """There is no object of that kind and name, or, if `uid` is given, none with that UID."""

    def check(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        return expect(found is None or bool(uid and found.uid != uid), f"{kind} {name} still there")

    return Condition(f"no {kind} {name}", check, DELETION)


def controlled_by(kind: str, name: str, uid: str | None) -> Condition[NamespaceState]:
    """The object has the one with that UID as its controller; None: it has none."""
    return one(
        kind,
        name,
        f"with {field('controller UID', uid)}",
        lambda found: equal("controller UID", (found.controller or {}).get("uid"), uid),
    )


def happened(kind: str, labels: Mapping[str, str], *reasons: str) -> Condition[NamespaceState]:
    """For each object of that kind with these labels there is an Event for each of these reasons."""

    def check(state: NamespaceState) -> Result:
        objects = state.all(kind, labels)
        for each in objects:
            found = {event.at("reason") for event in events_of(state, each)}
            if not found.issuperset(reasons):
                return unmet(text(found), f"Events {', '.join(reasons)} for {kind} {each.name}")
        return expect(bool(objects), f"no {kind}")

    return Condition(f"Events {', '.join(reasons)} for each {kind} with {text(labels)}", check, CONTROLLER)


def never_happened(kind: str, labels: Mapping[str, str], reason: str, after: str) -> Condition[NamespaceState]:
    """No object of that kind with these labels has an Event with `reason`, and each has one with `after`."""
    complete = happened(kind, labels, after)

    def check(state: NamespaceState) -> Result:
        result = complete(state)
        found = [each.name for each in state.all(kind, labels) for e in events_of(state, each) if e.at("reason") == reason]
        return expect(not found, f"one for {some(found)}") if result.met else result

    return Condition(f"no Event {reason} for any {kind} with {text(labels)}", check, CONTROLLER)


def event_names(kind: str, name: str, reason: str, words: str) -> Condition[NamespaceState]:
    """An Event with that reason about the object has the words in its message."""

    def check(state: NamespaceState) -> Result:
        found = state.one(kind, name)
        events = events_of(state, found) if found else []
        messages = [str(event.at("message")) for event in events if event.at("reason") == reason]
        return expect(any(words in message for message in messages), some(messages, "; "))

    return Condition(f"an Event {reason} of {kind} {name} that names {words}", check, CONTROLLER)


def exists(what: str) -> Condition[KubeObject | None]:
    """An object, named by `what`, is there."""
    return Condition(what, lambda found: expect(found is not None, "none"), CONTROLLER)


def holds_certificate(key: str) -> Condition[KubeObject | None]:
    """A ConfigMap is there, with a certificate under that key."""

    def check(found: KubeObject | None) -> Result:
        if found is None:
            return unmet("no ConfigMap")
        data: dict[str, str] = found.at("data", {})
        return expect("BEGIN CERTIFICATE" in data.get(key, ""), f"keys {text(sorted(data))} without one")

    return Condition(f"a ConfigMap with a certificate in {key}", check, CONTROLLER)


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
