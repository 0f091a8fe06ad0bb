"""The last result of each cluster of a fleet, with those before it. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import first_broken
from kubechain.conditions.text import counted
from kubechain.core.errors import ExitCode
from kubechain.core.records import JsonRecord
from kubechain.results import gate as gates
from kubechain.results import runs as finished
from kubechain.results.rules import Gate

SCHEMA = 1
State = Literal["holds", "broken", "undecided"]
LinkState = Literal["holds", "broken", "known", "blocked", "undecided", "skipped"]
# The state of a link is the first of these that one of its claims has.
ORDER: tuple[LinkState, ...] = ("broken", "undecided", "known", "blocked", "holds", "skipped")


class ClusterRow(JsonRecord):
    """One cluster of a fleet."""

    name: str
    state: State
    verdict: str
    first_broken_link: Link | None
    exit_code: ExitCode
    started: AwareDatetime | None
    """Start of the last run, null if there is none."""
    kubernetes: str
    kubechain: str
    links: dict[Link, LinkState]
    """Each link with claims."""
    known_issues: list[str]
    trend: list[State]
    """The last runs, the newest last."""
    gate: str
    """The line of the gate if a rule is not kept, else ""."""
    report: str
    """Path of chain.html of the last run, relative to the page of the fleet; "" if it is not known."""


class FleetRecord(JsonRecord):
    """The state of a fleet."""

    model_config = ConfigDict(title="fleet.json")

    schema_number: Literal[1] = Field(default=SCHEMA, alias="schema")
    line: str
    exit_code: ExitCode
    made: AwareDatetime
    clusters: list[ClusterRow]


def state_of(run: RunRecord) -> State:
    """Return whether the chain of a run holds, also where a waiver is to be removed, is broken, or neither is known."""
    if run.holds or run.exit_code == ExitCode.WAIVERS:
        return "holds"
    return "broken" if run.exit_code == ExitCode.CHAIN_BROKEN else "undecided"


def by_cluster(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Return name of a cluster -> its runs, the newest last; a cluster is known by its UID, else by its context.

    Two clusters of one name have a part of the UID in theirs.
    """
    uids = {run.cluster.context: run.cluster.uid for run in runs if run.cluster.context and run.cluster.uid}
    groups: dict[str, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: run.started):
        uid = run.cluster.uid or uids.get(run.cluster.context or "")
        key = finished.OWN if run.cluster.owned else uid or finished.cluster(run)
        groups.setdefault(key, []).append(run)
    names = Counter(finished.cluster(group[-1]) for group in groups.values())
    return {
        f"{name} ({key[:8]})" if names[name := finished.cluster(group[-1])] > 1 else name: group for key, group in groups.items()
    }


def rows(runs: Sequence[RunRecord], gate: Gate | None, *, last: int) -> list[ClusterRow]:
    """Return the row of each cluster; a part of a suite (--shard) says nothing of its cluster."""
    return [
        row(name, whole, gate, last=last)
        if (whole := [run for run in group if run.shard is None])
        else without_run(name, "no verdict: parts of a suite alone: join them with `kubechain merge`", ExitCode.HARNESS)
        for name, group in by_cluster(runs).items()
    ]


def row(name: str, runs: Sequence[RunRecord], gate: Gate | None, *, last: int, report: str = "") -> ClusterRow:
    """Return the row of a cluster from its runs, the newest last; `last` is the length of the trend."""
    run = runs[-1]
    checked = gates.check(gate, run) if gate else None
    return ClusterRow(
        name=name,
        state=state_of(run),
        verdict=run.verdict,
        first_broken_link=run.first_broken_link,
        exit_code=run.exit_code,
        started=run.started,
        kubernetes=run.versions.get("server", ""),
        kubechain=run.versions.get("kubechain", ""),
        links=links(run.claims),
        known_issues=[f"{claim.id} {claim.ending}" for claim in run.claims if claim.known],
        trend=[state_of(each) for each in runs[-last:]],
        gate="" if checked is None or checked.kept else checked.line,
        report=report,
    )


def without_run(name: str, why: str, code: ExitCode) -> ClusterRow:
    """Return the row of a cluster on which no run could begin."""
    return ClusterRow(
        name=name, state="undecided", verdict=why, first_broken_link=None, exit_code=code, started=None, kubernetes="",
        kubechain="", links={}, known_issues=[], trend=[], gate="", report="",
    )  # fmt: skip


def links(claims: Sequence[ClaimRecord]) -> dict[Link, LinkState]:
    """Return the state of each link with claims, in the order of the chain; a link that blocks others is broken."""
    found: dict[Link, set[LinkState]] = {}
    for claim in claims:
        found.setdefault(claim.link, set()).add(_state(claim))
    broken = first_broken(claims)
    if broken:
        found.setdefault(broken.link, set()).add("broken")
    return {link: min(found[link], key=ORDER.index) for link in Link if link in found}


def _state(claim: ClaimRecord) -> LinkState:
    states: Mapping[Outcome, LinkState] = {
        Outcome.PASSED: "holds",
        Outcome.FAILED: "known" if claim.known else "broken",
        Outcome.BLOCKED: "blocked",
        Outcome.SKIPPED: "skipped",
    }
    return states.get(claim.outcome, "undecided")


def record(rows: Sequence[ClusterRow], made: datetime) -> FleetRecord:
    """Return the state of a fleet: broken clusters count before undecided ones, then waivers to remove, then rules not kept."""
    states = Counter(each.state for each in rows)
    unkept = [each for each in rows if each.gate and each.state == "holds"]
    stale = [each for each in rows if each.exit_code == ExitCode.WAIVERS]
    parts = [f"the chain holds on {states['holds']} of {counted(len(rows), 'cluster')}"]
    broken = [f"{each.name} at {each.first_broken_link}" for each in rows if each.state == "broken"]
    undecided = [each.name for each in rows if each.state == "undecided"]
    parts += [f"{len(broken)} broken: {', '.join(broken)}"] if broken else []
    parts += [f"{len(undecided)} without a verdict: {', '.join(undecided)}"] if undecided else []
    parts += [f"{len(stale)} with a waiver to remove: {', '.join(each.name for each in stale)}"] if stale else []
    parts += [f"{len(unkept)} not within the gate: {', '.join(each.name for each in unkept)}"] if unkept else []
    code = ExitCode.HOLDS
    if broken:
        code = ExitCode.CHAIN_BROKEN
    elif undecided or not rows:
        code = ExitCode.HARNESS
    elif stale:
        code = ExitCode.WAIVERS
    elif unkept:
        code = ExitCode.GATE

    def urgency(each: ClusterRow) -> tuple[int, bool, str]:
        return ("broken", "undecided", "holds").index(each.state), each.exit_code != ExitCode.WAIVERS and not each.gate, each.name

    return FleetRecord(line=f"fleet: {'; '.join(parts)}", exit_code=code, made=made, clusters=sorted(rows, key=urgency))
