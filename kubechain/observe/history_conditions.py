"""What a history shows that its last state does not: moments, orders and last versions."""

from __future__ import annotations

import itertools
from dataclasses import replace

from kubechain.conditions.condition import Condition, Result, expect, met, undecided, unmet
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError, Transient
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.changes import number
from kubechain.observe.history import History


def _require_complete(history: History, what: str) -> None:
    """Raise the HarnessError that `what` cannot be decided, unless the history is up to date and lacks no version."""
    history.read()  # raises what keeps the history from going on
    try:
        history.refresh()
    except Transient as trouble:
        raise undecided(what, str(trouble)) from trouble
    if history.gaps:
        raise undecided(what, "versions were missed")


def seen_in_history(history: History, condition: Condition[NamespaceState]) -> Condition[NamespaceState]:
    """The condition was met at some moment of the history, if only for as long as one version of an object lasted."""
    what = f"{condition.what} at some moment"

    def check(state: NamespaceState) -> Result:
        now = condition(state)
        result = next((then for past in history.since(0) if (then := condition(past)).met), now)
        if not result.met and history.gaps:
            raise undecided(what, "versions were missed")
        return result if result.met else replace(result, expected=f"{result.expected} at some moment")

    return Condition(what, check, condition.timeout)


def at_every_moment(condition: Condition[NamespaceState], *, after: int) -> Condition[History]:
    """The condition was met after each change since the one numbered `after`, with no version missed in between."""
    what = f"{condition.what} at every moment"

    def check(history: History) -> Result:
        _require_complete(history, what)
        wrong = next((result for past in history.since(after) if not (result := condition(past)).met), None)
        return replace(wrong, expected=f"{wrong.expected} at every moment") if wrong else met()

    return Condition(what, check)


def last_version(history: History, resource: KubeObject) -> KubeObject:
    """Return the last version of an object, by its UID, be it gone or not.

    Raises:
        HarnessError: none was seen, or the last one may have been missed.

    """
    _require_complete(history, f"the last version of {resource.kind} {resource.name}")
    found = next((seen.resource for seen in reversed(history.log()) if seen.resource.uid == resource.uid), None)
    if found is None:
        raise HarnessError(f"{resource.kind} {resource.name} with UID {resource.uid}: not in the history of {history.namespace}")
    return found


def deleted_in_order(*groups: frozenset[str]) -> Condition[History]:
    """All objects of each group of UIDs were deleted before any of the next group, by their resourceVersions.

    One etcd counts all changes in one order, which watches of several kinds do not keep.
    """
    what = f"{len(groups)} groups of objects deleted in order, by resourceVersion"

    def check(history: History) -> Result:
        # A list after a gap shows that an object is gone, but not when it was deleted.
        _require_complete(history, what)
        at = {seen.resource.uid: number(seen.resource.version) for seen in history.log() if seen.change == "DELETED"}
        missing = [uid for group in groups for uid in group if uid not in at]
        if missing:
            return unmet(f"no deletion of UID {some(missing)}")
        spans = [(min(at[uid] for uid in group), max(at[uid] for uid in group)) for group in groups]
        ordered = all(earlier[1] < later[0] for earlier, later in itertools.pairwise(spans))
        return expect(ordered, ", ".join(f"group {number} at {first} to {last}" for number, (first, last) in enumerate(spans, 1)))

    return Condition(what, check)
