"""summary.md: what a run found, for people who look at a CI job. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kubechain.claims.claim import Link, Outcome

ICONS = {True: "✅", False: "❌"}
SLOWEST = 5


def markdown(run: dict[str, Any]) -> str:
    """Return the summary of the content of a run.json."""
    parts = [f"## {ICONS[run['holds']]} {run['verdict']}", _links(run["claims"])]
    for outcome in (Outcome.FAILED, Outcome.BLOCKED, Outcome.BROKEN, Outcome.SKIPPED):
        lines = [f"- **{c['id']}** {c['must']}<br>{c['message']}" for c in run["claims"] if c["outcome"] == outcome]
        if lines:
            parts.append(f"### {outcome.value.capitalize()}\n\n" + "\n".join(lines))
    if run["timeline"]:
        rows = "\n".join(f"| {m['what']} | {m['seconds']:.3f} |" for m in run["timeline"])
        parts.append("### Hand-overs\n\n| | seconds after the Deployment |\n|---|---|\n" + rows)
    figures = [(c["id"], name, value) for c in run["claims"] for name, value in c["measured"].items()]
    if figures:
        rows = "\n".join(f"| {claim} | {name} | {value:g} |" for claim, name, value in figures)
        parts.append("### Measured\n\n| claim | | |\n|---|---|---|\n" + rows)
    waits = sorted(((w["seconds"], c["id"], w) for c in run["claims"] for w in c["waits"]), key=lambda e: -e[0])
    if waits:
        rows = "\n".join(f"| {s:.2f} | {name} | {w['condition']} |" for s, name, w in waits[:SLOWEST])
        parts.append("### Longest waits\n\n| seconds | claim | until |\n|---|---|---|\n" + rows)
    phases = "\n".join(f"| {p['phase']} | {p['seconds']:.1f} |" for p in run["phases"])
    parts.append("### Phases\n\n| | seconds |\n|---|---|\n" + phases)
    versions = ", ".join(f"{name} {value}" for name, value in run["versions"].items())
    return "\n\n".join([*parts, f"<sub>{versions}</sub>"]) + "\n"


def _links(claims: list[dict[str, Any]]) -> str:
    rows: list[str] = []
    for link in Link:
        counts = Counter(claim["outcome"] for claim in claims if claim["link"] == link)
        if counts:
            cells = " | ".join(str(counts[outcome] or "") for outcome in Outcome)
            rows.append(f"| {ICONS[set(counts) <= {Outcome.PASSED, Outcome.SKIPPED}]} {link.value} | {cells} |")
    head = " | ".join(outcome.value for outcome in Outcome)
    return f"| link | {head} |\n|{'---|' * (len(Outcome) + 1)}\n" + "\n".join(rows)
