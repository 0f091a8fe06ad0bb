"""Values in messages: as Kubernetes writes them, not as Python does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

MOST = 5


def text(value: object, most: int = MOST) -> str:
    """Return a value for a message, at most `most` entries of it: "none", "true", "80", "app=web", "a, b and 3 more"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value)
        return some([f"{key}={_inner(entry)}" for key, entry in entries.items()], most=most)
    if isinstance(value, (list, tuple)):
        return some([_inner(entry) for entry in cast("list[Any]", value)], most=most)
    if isinstance(value, (set, frozenset)):
        return some(sorted(_inner(entry) for entry in cast("set[Any]", value)), most=most)
    return str(value) or "empty"


def _inner(value: object) -> str:
    shown = text(value)
    return f"[{shown}]" if isinstance(value, (Mapping, list, tuple, set, frozenset)) else shown


def some(entries: Iterable[object], separator: str = ", ", most: int = MOST) -> str:
    """Return at most `most` entries and the number of the others: "a, b and 3 more"; "none" if there are no entries."""
    shown = [str(entry) for entry in entries]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return (separator.join(shown[:most]) or "none") + more


def tally(entries: Iterable[object], separator: str = ", ", most: int = MOST) -> str:
    """Return how often each entry occurs: "web-a (3 times), timeout"; "none" if there are no entries."""
    counts = sorted(Counter(map(str, entries)).items())
    return some([entry if count == 1 else f"{entry} ({count} times)" for entry, count in counts], separator, most)


def counted(number: int, noun: str) -> str:
    """Return a number and a noun: "1 Pod", "2 addresses"."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}" + (plural if number != 1 else "")


def field(name: str, value: object) -> str:
    """Return a field and its value: "spec.replicas 2"; "no spec.paused" if the value is None."""
    return f"no {name}" if value is None else f"{name} {text(value)}"
