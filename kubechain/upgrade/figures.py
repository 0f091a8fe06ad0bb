"""The figures of an upgrade: totals for each route, and the line that a run ends with. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from kubechain.conditions.text import counted
from kubechain.upgrade.availability import excess, known_seconds, limit_of, longest_unknown, undecidable
from kubechain.upgrade.model import Allowance, Kind, RouteSamples, UpgradeRecord
from kubechain.upgrade.outages import Outage, downtime, outages

# The change of a run that was given no command.
BY_HAND = "by hand"
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Figures:
    """The figures of a route, in seconds: `unavailable` in all, with the error bound `error`; `gap` is its longest unknown time.

    `unknown` says that the gap is too long; `allowed` is the allowance of all hops together; `within` is whether the route
    kept it, None if that is undecidable.
    """

    seen: RouteSamples
    outages: Sequence[Outage]
    unavailable: float
    error: float
    gap: float
    unknown: bool
    allowed: Allowance
    within: bool | None


def figures(record: UpgradeRecord, seen: RouteSamples) -> Figures:
    """Return the figures of a route."""
    limit = limit_of(record, seen)
    seconds, error = downtime(*seen.parts)
    gap = longest_unknown(seen, record.began, record.ended)
    unknown = gap > known_seconds(record, seen)
    within = False if excess(seen, limit) else None if undecidable(record, seen) else True
    return Figures(seen, outages(*seen.parts), seconds, error, gap, unknown, limit, within)


def title(record: UpgradeRecord) -> str:
    """Return the title of an upgrade or of another change: "upgrade 1.36.3 -> 1.37.2", "change `kubectl apply -f x`"."""
    versions = " -> ".join(hop.removeprefix("v") for hop in record.hops)
    if not record.change:
        return f"upgrade {versions}"
    what = record.change if record.change == BY_HAND else f"`{record.change}`"
    return f"change {what}" + (f" ({versions})" if len(record.hops) > 1 else "")


def line(record: UpgradeRecord, chain: str) -> str:
    """Return the line that a run ends with; `chain` is the verdict on its claims."""
    routes = [figures(record, seen) for seen in record.routes]
    kinds = [text for kind in KINDS for text in _kind(kind, [each for each in routes if each.seen.route.kind == kind])]
    return f"{title(record)}: {'; '.join([chain, *kinds])}"


def _kind(kind: Kind, routes: Sequence[Figures]) -> list[str]:
    """Return the text for a kind, or two: if only its kept connections have an allowance, they have a text of their own.

    Routes that did not answer before the change are counted apart.
    """
    if not routes:
        return [] if kind in ("LoadBalancer", "URL") else [f"{kind} not sampled"]
    silent = [each for each in routes if not each.seen.answered]
    if silent:
        routes = [each for each in routes if each.seen.answered]
        note = f"{kind}: {counted(len(silent), 'route')} of {len(routes) + len(silent)} did not answer before the change"
        return [*(_kind(kind, routes) if routes else []), note]
    strict = [each for each in routes if not each.allowed.seconds]
    lenient = [each for each in routes if each.allowed.seconds]
    name = f"{kind}, kept sockets" if strict else kind
    return [*([_totals(kind, strict)] if strict else []), *([_totals(name, lenient)] if lenient else [])]


def _totals(name: str, routes: Sequence[Figures]) -> str:
    lost, samples, unknown = (sum(counts) for counts in zip(*(_counts(each) for each in routes), strict=True))
    # Of equal durations, the one with the larger error.
    worst = max(routes, key=lambda each: (each.unavailable, each.error))
    if worst.allowed.seconds:
        parts = [f"{name} unreachable {duration(worst)}, allowed {worst.allowed.seconds:g} s"]
    else:
        parts = [f"{name} {lost:,} of {samples:,} lost", *([f"longest on a route {duration(worst)}"] if lost else [])]
    gap = max((each.gap for each in routes if each.unknown), default=0.0)
    aside = sum(each.seen.aside["not ready"].lost for each in routes if "not ready" in each.seen.aside)
    parts[0] += f" ({aside:,} lost on Nodes that were not Ready)" if aside else ""
    parts += [f"{unknown:,} unknown"] if unknown else []
    parts += [f"no known sample for {gap:.1f} s"] if gap else []
    unseen = max(each.seen.unseen_seconds for each in routes)
    parts += [f"not observed for {unseen:.1f} s"] if unseen else []
    return ", ".join(parts)


def _counts(each: Figures) -> tuple[int, int, int]:
    return each.seen.tally.down, each.seen.tally.requests, each.seen.tally.unknown


def duration(each: Figures) -> str:
    """Return for how long a route was unavailable: "11.2 s (+-0.1)"; the error bound is rounded up."""
    # Unix seconds have an error of some 100 ns, which must not round 0.1 up to 0.2.
    return f"{each.unavailable:.1f} s (+-{math.ceil(round(each.error * 10, 4)) / 10:.1f})"
