"""Joins the results of the parts of a suite (--shard) into one, with the verdict of the whole. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kubechain.claims.records import ClaimRecord, PeakRecord, PhaseRecord, RunRecord, SelectionRecord, ShardRecord
from kubechain.claims.verdict import Verdict, of_a_part, verdict_of
from kubechain.conditions.text import some
from kubechain.core.build_cache import key
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.run import LIFETIME
from kubechain.kube.traffic import together
from kubechain.results import runs as finished

# A part ends with one of these codes after it has tried its claims.
TRIED = {
    ExitCode.HOLDS,
    ExitCode.CHAIN_BROKEN,
    ExitCode.NOTHING_SELECTED,
    ExitCode.HARNESS,
    ExitCode.IMAGES,
    ExitCode.REFUSED,
    ExitCode.WAIVERS,
}


def merged(runs: Sequence[RunRecord]) -> RunRecord:
    """Return the result of a suite from those of its parts; of a part that was run again, the last result counts.

    Hand-overs come from the chains in the results, which are the slowest 50 of each part, and are left out (empty) if a part had
    more. `changeToWaitMs`, the timeline and the HTML report are those of no run, and are left out.

    Raises:
        SetupError: a part is missing, or the results are not of one suite on one cluster (exit code USAGE).

    """
    parts = list(of_parts(runs).values())
    first = parts[0]
    claims = [claim for run in parts for claim in run.claims]
    claims.sort(key=lambda claim: (claim.link.order, claim.id, claim.nodeid))
    seconds = max(map(finished.seconds, parts))
    selection = _selection(parts)
    verdict = of_a_part(_verdict(parts, claims, seconds), selection)
    return first.model_copy(
        update={
            "started": min(run.started for run in parts),
            "verdict": verdict.line,
            "holds": verdict.holds,
            "first_broken_link": verdict.first_broken_link,
            "exit_code": verdict.exit_code,
            "counts": verdict.counts,
            "phases": [PhaseRecord(phase="claims", seconds=seconds, notes=[f"{len(parts)} parts side by side"])],
            "change_to_wait_ms": None,
            "timeline": [],
            "hand_overs": [],
            "chains": [chain for run in parts for chain in run.chains],
            "peak_mib": PeakRecord(
                harness=max(run.peak_mib.harness for run in parts),
                largest_child=max(run.peak_mib.largest_child for run in parts),
            ),
            "load": together(run.load for run in parts if run.load),
            "shard": None,
            "selection": selection,
            "report": None,
            "claims": claims,
        }
    )


def of_parts(runs: Sequence[RunRecord]) -> dict[int, RunRecord]:
    """Return part -> its last result, in the order of the parts; the errors are those of `merged`."""
    last: dict[int, RunRecord] = {}
    for run in sorted(runs, key=lambda run: run.started):
        last[_shard(run).part] = run
    shards = [_shard(run) for run in last.values()]
    counts = {shard.parts for shard in shards}
    if len(counts) != 1:
        raise _error(f"results of different divisions: {', '.join(f'{count} parts' for count in sorted(counts))}")
    missing = sorted(set(range(counts.pop())) - set(last))
    if missing:
        raise _error(f"missing: {some(f'part {part}' for part in missing)}")
    starts = [run.started for run in last.values()]
    if max(starts) - min(starts) > LIFETIME:
        raise _error(f"the parts began more than {LIFETIME} apart: run all of them again")
    # A part that could not begin knows neither its claims nor, maybe, its cluster.
    suites = {shard.suite for shard in shards if shard.suite}
    if len(suites) > 1:
        raise _error("the parts are of different suites: run all with the same options and version")
    for what, values in (
        ("clusters", {run.cluster.uid for run in last.values() if run.cluster.uid}),
        ("versions of Kubernetes", {run.versions["server"] for run in last.values() if "server" in run.versions}),
        ("versions of kubechain", {run.versions.get("kubechain") for run in last.values()}),
    ):
        if len(values) > 1:
            raise _error(f"the parts are of different {what}: {', '.join(sorted(map(str, values)))}")
    return dict(sorted(last.items()))


def _shard(run: RunRecord) -> ShardRecord:
    if run.shard is None:
        raise _error(f"the run {run.run} is not a part of a suite (--shard)")
    return run.shard


def _verdict(parts: Sequence[RunRecord], claims: Sequence[ClaimRecord], seconds: float) -> Verdict:
    """Return the verdict of all claims; where no link is broken, a part that could not begin leaves it open."""
    stale = [line for run in parts if run.shard for line in run.shard.stale]
    lost = [run for run in parts if run.exit_code not in TRIED]
    trouble = None
    if lost and lost[0].shard:
        trouble = f"part {lost[0].shard.part} of {len(parts)}: {lost[0].verdict.removeprefix('no verdict: ')}"
    verdict = verdict_of(claims, seconds, trouble=trouble, stale=stale)
    lacking = "" if trouble or verdict.exit_code == ExitCode.CHAIN_BROKEN else _lacking(parts, claims)
    if lacking:
        return replace(verdict, holds=False, line=f"no verdict: {lacking}", exit_code=ExitCode.HARNESS)
    if trouble and verdict.exit_code == ExitCode.HARNESS:
        return replace(verdict, exit_code=lost[0].exit_code)
    return verdict


def _selection(parts: Sequence[RunRecord]) -> SelectionRecord | None:
    """Return what the parts left out of the suite, None if nothing."""
    records = [run.selection for run in parts if run.selection]
    if not records:
        return None
    return SelectionRecord(
        by=sorted({each for record in records for each in record.by}),
        left_out=sorted({each for record in records for each in record.left_out}),
        files=sorted({each for record in records for each in record.files}),
    )


def _lacking(parts: Sequence[RunRecord], claims: Sequence[ClaimRecord]) -> str:
    """Return why the results are not those of each claim of the suite once, "" if they are."""
    expected = max((run.shard.claims for run in parts if run.shard), default=0)
    if len(claims) != expected:
        return f"{len(claims)} of {expected} claims are in the results of the parts"
    # Two checkouts of one version may divide the same claims differently.
    suites = {run.shard.suite for run in parts if run.shard and run.shard.suite}
    if suites - {key(*sorted(claim.id for claim in claims))}:
        return "the parts have some claims twice and others not at all: run all of them again with the same version"
    return ""


def _error(why: str) -> SetupError:
    return SetupError(f"merge: {why}", ExitCode.USAGE)
