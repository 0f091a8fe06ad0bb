"""Whether a run finds the blockers, and calls no twin one. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubechain.claims.claim import Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from tests.blockers.records import Kind


def missed(kind: Kind, run: RunRecord) -> str:
    """Return what a run with the blocker does not say of it, "" if it says all."""
    claim = _claim(kind, run)
    if claim is None:
        return f"{kind.claim} did not run"
    if claim.outcome is not Outcome.FAILED:
        return f"{kind.claim} {claim.outcome.value}: {claim.message or 'no message'}"
    lacking = [part for part in kind.says if part not in (claim.message or "")]
    return f"{kind.claim} does not say {lacking[0]!r}: {claim.message}" if lacking else ""


def alarm(kind: Kind, run: RunRecord) -> str:
    """Return what a run with the twins says against them, "" if nothing."""
    claim = _claim(kind, run)
    if claim is None:
        return f"{kind.claim} did not run"
    return "" if claim.outcome is Outcome.PASSED else f"{kind.claim} {claim.outcome.value}: {claim.message or 'no message'}"


def _claim(kind: Kind, run: RunRecord) -> ClaimRecord | None:
    return next((each for each in run.claims if each.id == kind.claim), None)


def table(kinds: Sequence[Kind], misses: Mapping[str, str], alarms: Mapping[str, str]) -> str:
    """Return the kinds as a Markdown table, the totals, and what does not hold; the mappings are by the id of a kind."""
    lines = ["| kind | claim | blocker | twin |", "|---|---|---|---|"]
    for kind in kinds:
        blocker, twin = "missed" if misses[kind.id] else "found", "called one" if alarms[kind.id] else "quiet"
        lines.append(f"| {kind.id} | {kind.claim} | {blocker} | {twin} |")
    found = sum(not misses[kind.id] for kind in kinds)
    false = sum(bool(alarms[kind.id]) for kind in kinds)
    lines += ["", f"{len(kinds)} kinds, {found} found, {false} false alarms on the twins."]
    lines += [f"- {kind.id}: {text}" for kind in kinds for text in (misses[kind.id], alarms[kind.id]) if text]
    return "\n".join(lines) + "\n"
