"""summary.md: the results of a run for a reader of a CI job. Pure functions."""

from __future__ import annotations

from collections import Counter

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.kube import traffic

from . import process_view

ICONS = {True: "✅", False: "❌"}
SLOWEST = 5


def markdown(run: RunRecord) -> str:
    """Return the summary of a run."""
    parts = [f"## {ICONS[run.holds]} {run.verdict}", _links(run.claims)]
    for outcome in (Outcome.FAILED, Outcome.BLOCKED, Outcome.INCONCLUSIVE, Outcome.SKIPPED, Outcome.NOT_RUN):
        lines = [f"- **{claim.id}** {claim.must}<br>{_why(claim)}" for claim in run.claims if claim.outcome == outcome]
        if lines:
            parts.append(f"### {outcome.value.capitalize()}\n\n" + "\n".join(lines))
    if run.timeline:
        rows = "\n".join(f"| {milestone.what} | {milestone.seconds:.3f} |" for milestone in run.timeline)
        parts.append("### Timeline\n\n| step | seconds after the Deployment was created |\n|---|---|\n" + rows)
    metrics = [(claim.id, name, value) for claim in run.claims for name, value in claim.measured.items()]
    if metrics:
        rows = "\n".join(f"| {claim} | {name} | {value:g} |" for claim, name, value in metrics)
        parts.append("### Metrics\n\n| claim | metric | value |\n|---|---|---|\n" + rows)
    waits = sorted(((claim.id, wait) for claim in run.claims for wait in claim.waits), key=lambda entry: -entry[1].seconds)
    if waits:
        rows = "\n".join(
            f"| {wait.seconds:.2f} | {_seconds(wait.since_cause)} | {name} | {wait.condition} |" for name, wait in waits[:SLOWEST]
        )
        head = "| waited, seconds | since its cause, seconds | claim | condition |\n|---|---|---|---|\n"
        parts.append("### Longest waits\n\n" + head + rows)
    if lanes := process_view.lanes(run):
        figures = ((lane.process, (lane.set_up, lane.claim, lane.waited, lane.teardown, lane.idle)) for lane in lanes)
        rows = "\n".join(f"| {process} | {' | '.join(f'{value:.1f}' for value in values)} |" for process, values in figures)
        head = "| process | set-up, seconds | claims | of them waiting | teardown | nothing |\n|---|---|---|---|---|---|\n"
        parts.append("### Where the time goes\n\n" + head + rows)
    if run.load:
        seconds = next((phase.seconds for phase in run.phases if phase.phase == "claims"), 0.0)
        parts.append(f"API server: {traffic.line(run.load, seconds)}.")
    phases = "\n".join(f"| {phase.phase} | {phase.seconds:.1f} |" for phase in run.phases)
    parts.append("### Phases\n\n| phase | seconds |\n|---|---|\n" + phases)
    versions = ", ".join(f"{name} {value}" for name, value in run.versions.items())
    return "\n\n".join([*parts, f"<sub>{versions}</sub>"]) + "\n"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _why(claim: ClaimRecord) -> str:
    return f"{claim.ending}: {claim.message}" if claim.known else str(claim.message)


def _links(claims: list[ClaimRecord]) -> str:
    rows: list[str] = []
    for link in Link:
        counts = Counter(claim.outcome for claim in claims if claim.link == link)
        if counts:
            cells = " | ".join(str(counts[outcome] or "") for outcome in Outcome)
            rows.append(f"| {ICONS[set(counts) <= {Outcome.PASSED, Outcome.SKIPPED}]} {link.value} | {cells} |")
    head = " | ".join(outcome.value for outcome in Outcome)
    return f"| link | {head} |\n|{'---|' * (len(Outcome) + 1)}\n" + "\n".join(rows)
