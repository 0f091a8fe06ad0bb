"""The results of a run of faults: faults.json, and the matrix of faults and claims as SVG. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from statistics import median

from kubechain.claims.claim import Link, Outcome
from kubechain.faults.records import Comparison, FaultsRecord, Score, TotalSeconds

COLOURS: dict[Outcome, str] = {
    Outcome.PASSED: "#9fd6a3",
    Outcome.FAILED: "#d64545",
    Outcome.BLOCKED: "#f2c94c",
    Outcome.INCONCLUSIVE: "#9b6bd6",
    Outcome.SKIPPED: "#dddddd",
    Outcome.NOT_RUN: "#ffffff",
}
GOOD, BAD, NEITHER = "#2e7d32", "#b00020", "#777777"
CELL, LEFT, TOP, RIGHT, UPSTREAM, LEGEND = 14, 250, 150, 330, 250, 100


def document(scores: Sequence[Score], line: str) -> FaultsRecord:
    """Return the content of faults.json."""
    totals = [score.seconds.total for score in scores]
    seconds = TotalSeconds(median=median(totals), max=max(totals), sum=sum(totals)) if totals else None
    return FaultsRecord(verdict=line, seconds=seconds, faults=list(scores))


def claims_of(scores: Sequence[Score]) -> list[str]:
    """Return every claim that ran under at least one fault, in the order of the chain."""
    ids = {claim for score in scores for claim in score.outcomes}
    return sorted(ids, key=lambda claim: (Link(claim.split("-")[1]).order, claim))


def svg(scores: Sequence[Score]) -> str:
    """Return the matrix: a row for each fault with its score at the end, a column for each claim.

    With COMPARE=upstream a further column has the results of upstream's tests.
    """
    claims = claims_of(scores)
    end = LEFT + CELL * len(claims)
    width = end + RIGHT + (UPSTREAM if any(score.upstream for score in scores) else 0)
    height = TOP + CELL * len(scores) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for column, claim in enumerate(claims):
        x = LEFT + CELL * column + CELL - 3
        parts.append(f'<text transform="translate({x},{TOP - 6}) rotate(-60)">{escape(claim)}</text>')
    for row, score in enumerate(scores):
        y = TOP + CELL * row
        parts.append(f'<text x="{LEFT - 6}" y="{y + CELL - 3}" text-anchor="end">{escape(score.fault)}</text>')
        # One rectangle for neighbours of the same outcome: most of them passed, and the picture stays small.
        for outcome, neighbours in groupby(enumerate(claims), lambda cell, outcomes=score.outcomes: outcomes.get(cell[1])):
            cells = list(neighbours)
            (column, first), (_, last) = cells[0], cells[-1]
            if outcome:
                place = f'x="{LEFT + CELL * column}" y="{y}" width="{CELL * len(cells) - 1}" height="{CELL - 1}"'
                named = first if first == last else f"{first} to {last}"
                parts.append(f'<rect {place} fill="{COLOURS[outcome]}"><title>{escape(named)}: {outcome}</title></rect>')
        summary = f"{score.result} at {score.first_broken_link or '-'}, {score.seconds.total:.0f} s"
        colour = GOOD if score.good else BAD
        parts.append(f'<text x="{end + 8}" y="{y + CELL - 3}" fill="{colour}">{escape(summary)}</text>')
        if score.upstream:
            noticed, colour = of_upstream(score.upstream, broken=score.expected is not None)
            parts.append(f'<text x="{end + RIGHT}" y="{y + CELL - 3}" fill="{colour}">{escape(noticed)}</text>')
    legend = LEFT
    for outcome, colour in COLOURS.items():
        parts.append(f'<rect x="{legend}" y="{height - 22}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{legend + 16}" y="{height - 12}">{outcome}</text>')
        legend += LEGEND
    return "\n".join([*parts, "</svg>"]) + "\n"


def of_upstream(compared: Comparison, *, broken: bool) -> tuple[str, str]:
    """Return the result of upstream's tests and its colour; they should fail if and only if the fault is `broken`."""
    if not compared.reached:
        return "upstream: not reached", NEITHER
    late = compared.count("timeout")
    line = f"upstream: {compared.noticing} of {len(compared.outcomes)} noticed{f', {late} by timeout' if late else ''}"
    return line, GOOD if bool(compared.noticing) == broken else BAD
