"""What the samples of an upgrade come to: figures for each route, and the line that a run ends with. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from kubechain.upgrade.availability import known_seconds, limit_of, longest_unknown, too_long_away, unclear
from kubechain.upgrade.model import Allowance, Kind, RouteSamples, UpgradeRecord
from kubechain.upgrade.outages import Outage, away, outages

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Figures:
    """What the samples of one path come to: `away` for how long, give or take `error`; `gap` for how long it was unknown.

    `unknown` says that this was too long; `allowed` is the allowance of all hops together; `within` is None where that
    cannot be told.
    """

    seen: RouteSamples
    outages: Sequence[Outage]
    away: float
    error: float
    gap: float
    unknown: bool
    allowed: Allowance
    within: bool | None


def figures(record: UpgradeRecord, seen: RouteSamples) -> Figures:
    """Return the figures of one path."""
    limit = limit_of(record, seen)
    seconds, error = away(seen.tally)
    gap = longest_unknown(seen, record.began, record.ended)
    unknown = gap > known_seconds(record, seen)
    within = False if too_long_away(seen, limit) else None if unclear(record, seen) else True
    return Figures(seen, outages(seen.tally), seconds, error, gap, unknown, limit, within)


def title(record: UpgradeRecord) -> str:
    """Name an upgrade: "upgrade 1.36.3 -> 1.37.2"."""
    return f"upgrade {' -> '.join(hop.removeprefix('v') for hop in record.hops)}"


def line(record: UpgradeRecord, chain: str) -> str:
    """Return the line that a run ends with; `chain` says what became of the claims."""
    found = [figures(record, seen) for seen in record.routes]
    kinds = [text for kind in KINDS for text in _kinds(kind, [each for each in found if each.seen.route.kind == kind])]
    return f"{title(record)}: {'; '.join([chain, *kinds])}"


def _kinds(kind: Kind, paths: Sequence[Figures]) -> list[str]:
    """Tell of the paths of a kind: together, but for kept ones that may be away where new ones may not."""
    if not paths:
        return [f"{kind} not asked"]
    strict = [each for each in paths if not each.allowed.seconds]
    lenient = [each for each in paths if each.allowed.seconds]
    name = f"{kind}, kept sockets" if strict else kind
    return [*([_kind(kind, strict)] if strict else []), *([_kind(name, lenient)] if lenient else [])]


def _kind(kind: str, paths: Sequence[Figures]) -> str:
    lost, samples, unknown = (sum(counts) for counts in zip(*(_counts(each) for each in paths), strict=True))
    # Of the same seconds, those that are less certain.
    worst = max(paths, key=lambda each: (each.away, each.error))
    if worst.allowed.seconds:
        parts = [f"{kind} unreachable {duration(worst)}, allowed {worst.allowed.seconds:g} s"]
    else:
        parts = [f"{kind} {lost:,} of {samples:,} lost", *([f"on one path for {duration(worst)}"] if lost else [])]
    gap = max((each.gap for each in paths if each.unknown), default=0.0)
    parts += [f"{unknown:,} unknown"] if unknown else []
    parts += [f"nothing known for {gap:.1f} s"] if gap else []
    return ", ".join(parts)


def _counts(each: Figures) -> tuple[int, int, int]:
    return len(each.seen.tally.lost), len(each.seen.tally.samples), each.seen.tally.unknown


def duration(each: Figures) -> str:
    """Say for how long a path was away: "11.2 s (+-0.1)"; the bound is rounded up."""
    # Unix seconds are exact to some hundred nanoseconds: what is above 0.1 by that alone is 0.1.
    return f"{each.away:.1f} s (+-{math.ceil(round(each.error * 10, 4)) / 10:.1f})"
