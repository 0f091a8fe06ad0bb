"""What changed last of the objects of a chain: the difference of the last two versions of each."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

import yaml

from kubechain.core import redact
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import ObjectChange
from kubechain.observe.latency import ANNOTATION

# Objects, and lines of the difference of one.
MOST_OBJECTS, MOST_LINES = 10, 30
# Fields that change with every version and say nothing.
COUNTERS = ("resourceVersion", "generation", "managedFields")


def last_changes(log: Iterable[ObjectChange], kinds: Sequence[str], now: float) -> list[str]:
    """Return lines on the objects of these kinds, the one that changed last first; `now` is the end of the claim."""
    versions: dict[tuple[str, str, str], list[ObjectChange]] = {}
    for entry in log:
        if entry.resource.kind in kinds:
            before = versions.setdefault((entry.resource.kind, entry.resource.name, entry.resource.uid), [])
            if not before or entry.change != "MODIFIED" or _content(before[-1].resource) != _content(entry.resource):
                before.append(entry)
    newest = sorted(versions.values(), key=lambda entries: -entries[-1].sequence)
    lines = [line for entries in newest[:MOST_OBJECTS] for line in _of(entries, now)]
    left = len(newest) - MOST_OBJECTS
    return [*lines, *([f"... and {left} objects that changed earlier"] if left > 0 else [])]


def _of(entries: Sequence[ObjectChange], now: float) -> list[str]:
    last = entries[-1]
    name = f"{last.resource.kind}/{last.resource.name}"
    ago = f"{now - last.now:.1f} s before the end of the claim"
    if last.change == "DELETED":
        return [f"{name} was deleted {ago}"]
    if len(entries) < 2:
        return [f"{name} has not changed since it was first seen, {ago}"]
    before, after = (_lines(entry.resource) for entry in entries[-2:])
    difference = [line.rstrip("\n") for line in difflib.unified_diff(before, after, n=2)][2:]
    left = len(difference) - MOST_LINES
    more = [f"... {left} more lines"] if left > 0 else []
    return [f"{name} changed {ago}, version {len(entries)}:", *difference[:MOST_LINES], *more]


def _content(resource: KubeObject) -> Json:
    """Return what an object says, without counters and without the annotation by which the run measures its own watch."""
    metadata = resource.body.get("metadata", {})
    annotations = {key: value for key, value in (metadata.get("annotations") or Json()).items() if key != ANNOTATION}
    kept = {key: value for key, value in metadata.items() if key not in (*COUNTERS, "annotations")}
    return {**resource.body, "metadata": kept | ({"annotations": annotations} if annotations else {})}


def _lines(resource: KubeObject) -> list[str]:
    body = redact.tree(redact.resource(_content(resource)))
    return yaml.safe_dump(body, sort_keys=True, allow_unicode=True, width=math.inf).splitlines(keepends=True)
