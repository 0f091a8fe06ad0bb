"""What must not change during an upgrade, checked for every observed version of the witnesses. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kubechain.conditions import pods
from kubechain.conditions.condition import Condition, Result, expect, met, undecided, unmet
from kubechain.conditions.endpoints import SERVICE_NAME, ready_endpoints, slices_of
from kubechain.conditions.text import some, text
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.changes import ObjectChange
from kubechain.upgrade.phases import During

# Every version of the witnesses that was seen, beginning with those at the start.
Log = Sequence[ObjectChange]
# How long an endpoint may stay ready after its Pod is not: a Lease of 15 s may have to expire before another controller manager
# leads.
SLICE_SECONDS = 20.0
# Prefixes of labels that belong to Kubernetes: a new version may add such a label, for example a Pod's topology.
RESERVED = ("kubernetes.io", "k8s.io")
# The number of items of a list or an object that a message shows.
SHOWN_ITEMS = 50
# Fields of the spec that `fixed` returns under names of their own.
NAMED = ("selector", "clusterIP", "ports", "nodeName")


def fixed(resource: KubeObject) -> Json:
    """Return the values that an upgrade must keep: identity, labels, owners, and the addresses and ports that clients use."""
    owners: list[Json] = resource.at("metadata.ownerReferences", []) or []
    ports: list[Json] = resource.at("spec.ports", []) if resource.kind == "Service" else []
    values = {
        "UID": resource.uid,
        "labels": dict(resource.labels),
        "owners": sorted((str(owner["uid"]), bool(owner.get("controller"))) for owner in owners),
        "selector": resource.at("spec.selector"),
        "clusterIP": resource.at("spec.clusterIP"),
        "nodePorts": [port.get("nodePort") for port in ports],
        "ports": [tuple(port.get(field) for field in ("name", "port", "targetPort", "protocol")) for port in ports],
        "paused": resource.at("spec.paused"),
        "template hash": resource.at("spec.template.metadata.labels.pod-template-hash"),
        "node": resource.at("spec.nodeName"),
        "address": resource.at("status.podIP"),
    }
    return {name: value for name, value in values.items() if value not in (None, [])}


def difference(before: KubeObject, after: KubeObject) -> str:
    """Return the differences of an object from before, "" if there is none: fixed values, and every value of its old spec.

    A new field of the spec may be a default of the new version, and a new reserved label is allowed.
    """
    old, new = fixed(before), fixed(after)
    new["labels"] = {name: value for name, value in after.labels.items() if name in before.labels or not _reserved(name)}
    changed = [_changed(name, old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)]
    if before.kind != "EndpointSlice":
        spec: Json = before.at("spec", {})
        rest = {name: value for name, value in spec.items() if name not in NAMED}
        changed += _not_kept("spec", rest, after.at("spec", {}))
    if after.deleting and not before.deleting:
        changed.append("a deletionTimestamp")
    return f"{before.kind} {before.name} with {', '.join(changed)}" if changed else ""


def _changed(name: str, before: object, after: object) -> str:
    return f"{name} {text(after, SHOWN_ITEMS)} (before: {text(before, SHOWN_ITEMS)})"


def _reserved(label: str) -> bool:
    prefix, slash, _ = label.partition("/")
    return bool(slash) and any(prefix == own or prefix.endswith(f".{own}") for own in RESERVED)


def _not_kept(path: str, before: Any, after: Any) -> list[str]:
    """Return the changed values; a value that is new does not count, except in a list."""
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: list[tuple[str, Any]] = list(before.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
        return [line for key, value in pairs for line in _not_kept(f"{path}.{key}", value, after.get(key))]  # pyright: ignore[reportUnknownMemberType]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):  # pyright: ignore[reportUnknownArgumentType]  # JSON
        both = enumerate(zip(before, after, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
        return [line for number, (old, new) in both for line in _not_kept(f"{path}.{number}", old, new)]  # pyright: ignore[reportUnknownVariableType]
    return [] if before == after else [_changed(path, before, after)]  # pyright: ignore[reportUnknownArgumentType]  # JSON


def _known(before: NamespaceState, kind: str) -> tuple[KubeObject, ...]:
    """Return the objects of a kind from before the upgrade; HarnessError if there are none, since nothing could be checked."""
    objects = before.all(kind)
    if not objects:
        raise HarnessError(f"no {kind} is known from before the change")
    return objects


def throughout(condition: Condition[Log], *kinds: str) -> Condition[During]:
    """The condition on the versions of these kinds is met, and no version of them may have been missed.

    What was seen to break it stands, whatever was missed.
    """

    def check(during: During) -> Result:
        result = condition(during.log)
        unseen = sorted(during.unseen.intersection(kinds))
        missed = during.trouble or (f"versions of {some(unseen)} were missed" if unseen else "")
        if result.met and missed:
            raise undecided(condition.what, missed)
        return result

    return Condition(condition.what, check)


def _require_seen(what: str, kind: str, log: Log) -> None:
    """Raise a HarnessError if no version of a kind was seen: nothing can be said of it."""
    if all(seen.resource.kind != kind for seen in log):
        raise undecided(what, f"no version of a {kind} was seen")


def unchanged(
    before: NamespaceState, kinds: Iterable[str], *, replaced: Callable[[KubeObject], bool] = lambda _: False
) -> Condition[Log]:
    """No version of an object of these kinds differs from before, and none was deleted or recreated.

    Objects for which `replaced` returns True, such as Pods of a drained Node, are left out.
    """
    wanted = {(kind, each.name): each for kind in kinds for each in _known(before, kind) if not replaced(each)}
    what = f"every {' and '.join(kinds)} unchanged"

    def check(log: Log) -> Result:
        if not wanted:
            raise undecided(what, "all of them were to be replaced")
        for entry in log:
            old = wanted.get((entry.resource.kind, entry.resource.name))
            if old is None:
                continue
            if entry.change == "DELETED":
                return unmet(f"{old.kind} {old.name} deleted")
            changed = difference(old, entry.resource)
            if changed:
                return unmet(changed)
        for kind in kinds:
            _require_seen(what, kind, log)
        missing = wanted.keys() - {(seen.resource.kind, seen.resource.name) for seen in log}
        absent = f"no {some(sorted(f'{kind} {name}' for kind, name in missing))}"
        if any(kind == "Pod" for kind, _ in missing):
            # A Node may have been drained before the watch began.
            raise undecided(what, f"{absent} at the start")
        return unmet(absent) if missing else met(f"{len(wanted)} objects in {len(log)} versions")

    return Condition(what, check)


def still_there(
    before: NamespaceState, kinds: Iterable[str], *, replaced: Callable[[KubeObject], bool] = lambda _: False
) -> Condition[NamespaceState]:
    """Every object of these kinds still exists and is as before, except those for which `replaced` returns True."""
    wanted = [each for kind in kinds for each in _known(before, kind) if not replaced(each)]

    def check(state: NamespaceState) -> Result:
        by_uid = {each.uid: each for each in state.objects}
        missing = [f"{each.kind} {each.name}" for each in wanted if each.uid not in by_uid]
        changed = [line for each in wanted if each.uid in by_uid and (line := difference(each, by_uid[each.uid]))]
        problems = [*([f"no {some(missing)}"] if missing else []), *changed]
        return expect(not problems, some(problems, "; "))

    return Condition(f"every {' and '.join(kinds)} as before", check)


def never_restarted(before: NamespaceState, labels: Mapping[str, str]) -> Condition[Log]:
    """No container of a Pod from before was restarted: none has a higher restart count or another id."""
    runs = {pod.uid: _runs(pod) for pod in _known(before, "Pod") if pod.matches(labels)}
    what = f"no restart of a Pod with {text(labels)}"

    def check(log: Log) -> Result:
        if not any(seen.resource.uid in runs for seen in log):
            raise undecided(what, "no version of such a Pod was seen")
        pods_seen = (seen.resource for seen in log if seen.resource.kind == "Pod" and seen.resource.uid in runs)
        again = next((pod for pod in pods_seen if _restarted(runs[pod.uid], _runs(pod))), None)
        return expect(again is None, f"Pod {again.name} restarted: {_ended(again) or 'no last state'}" if again else "")

    return Condition(what, check)


def _runs(pod: KubeObject) -> dict[str, tuple[int, str]]:
    """Return container name -> its restart count and its id, "" while it has none."""
    statuses: list[Json] = [*(pod.at("status.initContainerStatuses") or []), *(pod.at("status.containerStatuses") or [])]
    return {str(each.get("name")): (int(each.get("restartCount", 0)), each.get("containerID") or "") for each in statuses}


def _restarted(before: Mapping[str, tuple[int, str]], after: Mapping[str, tuple[int, str]]) -> bool:
    pairs = [(before.get(name, (0, "")), run) for name, run in after.items()]
    return any(count > known or bool(old and new and new != old) for (known, old), (count, new) in pairs)


def _ended(pod: KubeObject) -> str:
    states = [status.get("lastState", {}).get("terminated", {}) for status in pod.at("status.containerStatuses", [])]
    return "; ".join(f"{s.get('reason')} with status {s.get('exitCode')} at {s.get('finishedAt')}" for s in states if s)


def none_added(before: NamespaceState, kind: str) -> Condition[Log]:
    """No object of a kind was created."""
    known = {each.uid for each in _known(before, kind)}

    def check(log: Log) -> Result:
        _require_seen(f"no new {kind}", kind, log)
        new = {seen.resource.name for seen in log if seen.resource.kind == kind and seen.resource.uid not in known}
        return expect(not new, some(sorted(new)))

    return Condition(f"no new {kind}", check)


def endpoints_follow(before: NamespaceState, service: str, *, until: float | None = None) -> Condition[Log]:
    """No endpoint of a Service stayed ready for longer than SLICE_SECONDS after its Pod was not ready, or deleted.

    `until` (Unix seconds) is the end of the watch; an endpoint that is still ready then counts up to that time.
    """
    slices = slices_of(before, service)
    if not slices:
        raise HarnessError(f"no EndpointSlice of {service} is known from before the change")

    def check(log: Log) -> Result:
        listed = {each.uid: _ready_targets(each) for each in slices}
        unready: dict[str, ObjectChange] = {}
        for entry in log:
            resource = entry.resource
            stale = _stale(listed, {uid: entry.now - since.now for uid, since in unready.items()})
            if stale:
                return unmet(stale)
            if resource.kind == "Pod":
                if entry.change == "DELETED" or not pods.is_ready(resource):
                    unready.setdefault(resource.uid, entry)
                else:
                    unready.pop(resource.uid, None)
            elif resource.kind == "EndpointSlice" and (resource.uid in listed or resource.labels.get(SERVICE_NAME) == service):
                removed = entry.change == "DELETED" or resource.labels.get(SERVICE_NAME) != service
                listed[resource.uid] = set[str]() if removed else _ready_targets(resource)
        stale = _stale(listed, {uid: until - since.wall for uid, since in unready.items()}) if until is not None else ""
        return expect(not stale, stale)

    return Condition(f"no ready endpoint of {service} more than {SLICE_SECONDS:g} s after its Pod was ready", check)


def _stale(listed: Mapping[str, set[str]], unready: Mapping[str, float]) -> str:
    """Return which Pod is still listed too long after it was ready, "" if none is.

    `listed` is slice UID -> UIDs of its ready Pods, `unready` is Pod UID -> seconds since the Pod was ready.
    """
    ready = set[str]().union(*listed.values())
    late = next((uid for uid, seconds in unready.items() if uid in ready and seconds > SLICE_SECONDS), None)
    return f"the Pod with UID {late} listed as ready {unready[late]:.1f} s after it was not" if late else ""


def _ready_targets(endpoint_slice: KubeObject) -> set[str]:
    return {str(each["targetRef"]["uid"]) for each in ready_endpoints(endpoint_slice) if each.get("targetRef")}
