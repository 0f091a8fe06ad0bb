"""What the suite found under each fault: faults.json, and the matrix of faults and claims as a picture. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median
from typing import Any

from kubechain.claims.claim import Link
from kubechain.faults.scoring import Comparison, Judgement

COLOURS = {"passed": "#9fd6a3", "failed": "#d64545", "blocked": "#f2c94c", "broken": "#9b6bd6", "skipped": "#dddddd"}
GOOD, BAD, NEITHER = "#2e7d32", "#b00020", "#777777"
CELL, LEFT, TOP, RIGHT, PEER = 14, 250, 150, 330, 250


def document(judgements: Sequence[Judgement], line: str) -> dict[str, Any]:
    """Return the content of faults.json."""
    totals = [sum(judgement.seconds.values()) for judgement in judgements]
    seconds = {"median": round(median(totals), 1), "max": round(max(totals), 1), "sum": round(sum(totals), 1)} if totals else {}
    return {"schema": 1, "verdict": line, "seconds": seconds, "faults": [judgement.as_json() for judgement in judgements]}


def claims_of(judgements: Sequence[Judgement]) -> list[str]:
    """Return every claim that was run under any fault, in the order of the chain."""
    ids = {claim for judgement in judgements for claim in judgement.outcomes}
    return sorted(ids, key=lambda claim: (Link(claim.split("-")[1]).order, claim))


def svg(judgements: Sequence[Judgement]) -> str:
    """Return the matrix: a row for each fault, a column for each claim, and what was found at the end of the row.

    What a peer found, if there was one, is a column at the right.
    """
    claims = claims_of(judgements)
    end = LEFT + CELL * len(claims)
    width = end + RIGHT + (PEER if any(judgement.peer for judgement in judgements) else 0)
    height = TOP + CELL * len(judgements) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for column, claim in enumerate(claims):
        x = LEFT + CELL * column + CELL - 3
        parts.append(f'<text transform="translate({x},{TOP - 6}) rotate(-60)">{escape(claim)}</text>')
    for row, judgement in enumerate(judgements):
        y = TOP + CELL * row
        parts.append(f'<text x="{LEFT - 6}" y="{y + CELL - 3}" text-anchor="end">{escape(judgement.fault)}</text>')
        for column, claim in enumerate(claims):
            colour = COLOURS.get(judgement.outcomes.get(claim, ""))
            if colour:
                place = f'x="{LEFT + CELL * column}" y="{y}" width="{CELL - 1}" height="{CELL - 1}"'
                parts.append(f'<rect {place} fill="{colour}"><title>{escape(claim)}</title></rect>')
        said = f"{judgement.result} at {judgement.first_broken_link or '-'}, {sum(judgement.seconds.values()):.0f} s"
        colour = GOOD if judgement.good else BAD
        parts.append(f'<text x="{end + 8}" y="{y + CELL - 3}" fill="{colour}">{escape(said)}</text>')
        if judgement.peer:
            told, colour = of_peer(judgement.peer, broken=judgement.expected is not None)
            parts.append(f'<text x="{end + RIGHT}" y="{y + CELL - 3}" fill="{colour}">{escape(told)}</text>')
    legend = LEFT
    for outcome, colour in COLOURS.items():
        parts.append(f'<rect x="{legend}" y="{height - 22}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{legend + 16}" y="{height - 12}">{outcome}</text>')
        legend += 80
    return "\n".join([*parts, "</svg>"]) + "\n"


def of_peer(found: Comparison, *, broken: bool) -> tuple[str, str]:
    """Return what a peer found, and the colour of that: to notice is right if something is broken, and only then."""
    if not found.reached:
        return "upstream: not reached", NEITHER
    late = found.count("timeout")
    told = f"upstream: {found.noticing} of {len(found.outcomes)} noticed{f', {late} by timeout' if late else ''}"
    return told, GOOD if bool(found.noticing) == broken else BAD
