"""Conditions on any object, by kind and name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, equal, expect, fields, unmet
from kubechain.conditions.text import field, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, EVENTS, Timeout
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def one(
    kind: str, name: str, what: str, check: Callable[[KubeObject], Result], timeout: Timeout = CONTROLLER
) -> Condition[NamespaceState]:
    """The object of this kind and name exists and passes `check`, which `what` describes."""

    def find(state: NamespaceState) -> Result:
        resource = state.one(kind, name)
        return check(resource).of(f"{kind} {name} with") if resource else unmet(f"no {kind} {name}")

    return Condition(f"{kind} {name} {what}", find, timeout)


def has(kind: str, name: str, wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """The object has the `wanted` values: dotted path -> value, None for no value."""
    return one(
        kind,
        name,
        f"with {some([field(path, value) for path, value in wanted.items()])}",
        lambda resource: fields({path: resource.at(path) for path in wanted}, wanted),
    )


def present(resource: KubeObject) -> Condition[NamespaceState]:
    """The object exists, with the same UID."""
    return has(resource.kind, resource.name, {"metadata.uid": resource.uid})


def absent(kind: str, name: str, uid: str = "") -> Condition[NamespaceState]:
    """No object has this kind and name; if `uid` is given, one with another UID may exist."""

    def check(state: NamespaceState) -> Result:
        resource = state.one(kind, name)
        return expect(resource is None or bool(uid and resource.uid != uid), f"{kind} {name} still there")

    return Condition(f"no {kind} {name}", check, DELETION)


def none_left(*kinds: str) -> Condition[NamespaceState]:
    """No object of these kinds exists."""

    def check(state: NamespaceState) -> Result:
        left = [f"{each.kind} {each.name}" for kind in kinds for each in state.all(kind)]
        return expect(not left, f"{some(left)} still there")

    return Condition(f"no {some(kinds, most=len(kinds))} left", check, DELETION)


def controlled_by(kind: str, name: str, uid: str | None) -> Condition[NamespaceState]:
    """The object's controller has this UID; None means that it has no controller."""
    return one(
        kind,
        name,
        f"with {field('controller UID', uid)}",
        lambda resource: equal("controller UID", (resource.controller or {}).get("uid"), uid),
    )


def any_event() -> Condition[NamespaceState]:
    """The namespace has an Event of any component about any object."""
    return Condition("any Event", lambda state: expect(bool(state.all("Event")), "none"), EVENTS)


def happened(kind: str, labels: Mapping[str, str], *reasons: str) -> Condition[NamespaceState]:
    """Each object of this kind with these labels has an Event with each of these reasons."""

    def check(state: NamespaceState) -> Result:
        # Of a Pod that its Node did not take there are others.
        objects = [resource for resource in state.all(kind, labels) if not resource.over]
        for resource in objects:
            event_reasons = {event.at("reason") for event in events_of(state, resource)}
            if not event_reasons.issuperset(reasons):
                return unmet(text(event_reasons), f"Events {', '.join(reasons)} for {kind} {resource.name}")
        return expect(bool(objects), f"no {kind}")

    return Condition(f"Events {', '.join(reasons)} for each {kind} with {text(labels)}", check, EVENTS)


def never_happened(kind: str, labels: Mapping[str, str], reason: str, after: str) -> Condition[NamespaceState]:
    """No object of this kind with these labels has an Event with `reason`, and each has one with `after`, a later reason."""
    complete = happened(kind, labels, after)

    def check(state: NamespaceState) -> Result:
        result = complete(state)
        with_event = [
            resource.name
            for resource in state.all(kind, labels)
            for event in events_of(state, resource)
            if event.at("reason") == reason
        ]
        return expect(not with_event, f"one for {some(with_event)}") if result.met else result

    return Condition(f"no Event {reason} for any {kind} with {text(labels)}", check, EVENTS)


def event_names(kind: str, name: str, reason: str, words: str) -> Condition[NamespaceState]:
    """An Event about the object has this reason, and `words` in its message."""

    def check(state: NamespaceState) -> Result:
        resource = state.one(kind, name)
        events = events_of(state, resource) if resource else []
        messages = [str(event.at("message")) for event in events if event.at("reason") == reason]
        return expect(any(words in message for message in messages), some(messages, "; "))

    return Condition(f"an Event {reason} of {kind} {name} that names {words}", check, EVENTS)


def exists(what: str) -> Condition[KubeObject | None]:
    """The object, which `what` names, exists."""
    return Condition(what, lambda resource: expect(resource is not None, "none"), CONTROLLER)


def holds_certificate(key: str) -> Condition[KubeObject | None]:
    """The ConfigMap exists and has a certificate in PEM under `key`."""

    def check(config_map: KubeObject | None) -> Result:
        if config_map is None:
            return unmet("no ConfigMap")
        data: dict[str, str] = config_map.at("data", {})
        return expect("BEGIN CERTIFICATE" in data.get(key, ""), f"keys {text(sorted(data))} without one")

    return Condition(f"a ConfigMap with a certificate in {key}", check, CONTROLLER)


def events_of(state: NamespaceState, resource: KubeObject) -> list[KubeObject]:
    """Return the Events about an object, by its UID, without those about sidecars that admission added to a Pod."""
    named = re.compile(r"\{(.*)\}")
    mine = {entry.get("name") for entry in resource.own("spec.containers")} if resource.kind == "Pod" else set[object]()

    def is_meant(event: KubeObject) -> bool:
        container = named.search(str(event.at("involvedObject.fieldPath", "")))
        return event.at("involvedObject.uid") == resource.uid and not (container and mine and container[1] not in mine)

    return [event for event in state.all("Event") if is_meant(event)]


def table_row(table: Json, name: str) -> dict[str, str]:
    """Return an object's row of a server-side table: column name -> cell, as text; KeyError if there is no such row.

    The table is the response to `Accept: application/json;as=Table;v=v1;g=meta.k8s.io`.
    """
    columns = [column["name"] for column in table["columnDefinitions"]]
    rows = {row["object"]["metadata"]["name"]: row["cells"] for row in table["rows"]}
    return dict(zip(columns, map(str, rows[name]), strict=True))
