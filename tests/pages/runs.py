"""Runs of every kind, made from the suite's own claims by the code that makes run.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from kubechain.claims import chain_records as steps
from kubechain.claims.chain_records import ChainRecord, StepRecord
from kubechain.claims.claim import Link, Outcome
from kubechain.claims.process_records import Cause, PartRecord, ProcessRecord, SpanRecord, Work
from kubechain.claims.records import ClaimRecord, CollectedClaim, KnownIssue, RunRecord
from kubechain.claims.verdict import NOT_RUN, complete, verdict_of
from kubechain.core.progress import Progress, Step
from kubechain.core.run import Run
from kubechain.core.settings import load
from kubechain.observe.wait_record import WaitRecord
from kubechain.pytest.results import RunResult
from kubechain.workload.gates import used
from reports import catalogue, chain_page, run_json
from tests.pages.causes import EVIDENCE, FAULTS, Fault

NAMESPACE = "kubechain-0a1b2c3d-main-{}"
CLUSTER = {"name": "kubechain-0a1b2c3d", "context": "kind-kubechain-0a1b2c3d", "uid": "5c1e", "owned": True}
VERSIONS = {"server": "v1.37.2", "etcd": "3.7.0", "coredns": "1.14.6", "kind": "0.33.0", "nodeImage": "kindest/node:v1.37.2"}
PHASES = [Step("kind cluster kubechain-0a1b2c3d", 26.6, ["created"]), Step("images on every node", 9.5)]
MEASURED = {"probeFrom": "host", "images": {"nginxImage": "sha256:0a1b"}, "changeToWaitMs": [8.0, 9.5, 31.0], "timeline": []}
NO_DUAL_STACK = "needs a cluster that gives Services addresses of two IP families"
# How much of a run one process lost.
HALF = 2


@dataclass(frozen=True)
class Made:
    """A run: its record, and id of a claim -> evidence."""

    run: RunRecord
    evidence: Mapping[str, str] = field(default_factory=dict[str, str])
    earlier: Sequence[RunRecord] = ()

    @property
    def page(self) -> str:
        """The page of the run."""
        return chain_page.page(self.run, self.evidence, self.earlier)


@cache
def claims() -> tuple[CollectedClaim, ...]:
    """Return the quick claims of the suite, in the order of the chain."""
    return tuple(CollectedClaim.of(entry.claim, entry.nodeid) for entry in _quick())


@cache
def _quick() -> tuple[catalogue.Entry, ...]:
    return tuple(
        entry
        for entry in catalogue.collect()
        if entry.claim.level == "quick" and entry.nodeid.startswith(("suites/chain", "suites/lifecycle"))
    )


def chain(number: int, *, until: str = steps.REFUSED, factor: float = 1.0) -> ChainRecord:
    """Return a chain whose last step is `until`, `factor` times as slow as a usual one."""
    ends = {
        steps.REPLICASET: (0.0, 0.016), steps.POD: (0.016, 0.025), steps.SCHEDULED: (0.025, 0.047), steps.IMAGE: (0.047, 0.31),
        steps.STARTED: (0.31, 0.44), steps.READY: (0.44, 0.79), steps.LISTED: (0.79, 0.81), steps.CLUSTER_IP: (2.1, 2.31),
        steps.NODE_PORT: (2.8, 2.86), steps.NAME: (3.2, 3.29), steps.GONE: (12.4, 14.1), steps.UNLISTED: (14.1, 14.13),
        steps.REFUSED: (14.4, 14.52),
    }  # fmt: skip
    kept = steps.STEPS[: steps.STEPS.index(until) + 1]
    # Only one chain is asked and deleted.
    taken = [what for what in kept if number == 0 or steps.STEPS.index(what) <= steps.STEPS.index(steps.LISTED)]
    made = [StepRecord(what=what, began=ends[what][0] * factor, ended=ends[what][1] * factor) for what in taken]
    return ChainRecord(namespace=NAMESPACE.format(number), pulled=False, steps=made)


def made(
    records: list[ClaimRecord],
    chains: list[ChainRecord],
    *,
    interrupted: bool = False,
    evidence: Mapping[str, str] | None = None,
    stale: Sequence[str] = (),
) -> Made:
    """Return the run of these records; `stale` has a line for each known issue that no longer fails."""
    began = datetime(2026, 11, 27, 5, 54, tzinfo=UTC)
    verdict = verdict_of(records, 48.9, interrupted=interrupted, stale=stale)
    result = RunResult(
        Run("0a1b2c3d", Path("out"), began), load(), Progress(steps=list(PHASES)), verdict, records, 48.9,
        {**CLUSTER, "versions": VERSIONS}, [MEASURED], chains=chains, processes=processes(records),
    )  # fmt: skip
    return Made(run_json.document(result), evidence or {})


def processes(records: list[ClaimRecord]) -> list[ProcessRecord]:
    """Return what two processes did: the first 20 s are the cluster's, then the claims alternate."""
    spans: dict[str, list[SpanRecord]] = {"gw0": [], "gw1": []}
    for number, claim in enumerate(records):
        began = 20.0 + 0.3 * number
        wait = PartRecord(cause=Cause.WAIT, name="exactly 2 ready Pods with app=web", began=began + 0.1, ended=began + 0.2)
        fixture = PartRecord(cause=Cause.FIXTURE, name="chain", began=began, ended=began + 0.1)
        spans[f"gw{number % 2}"] += [
            SpanRecord(work=Work.SET_UP, name=claim.id, began=began, ended=began + 0.1, parts=[fixture]),
            SpanRecord(work=Work.CLAIM, name=claim.id, began=began + 0.1, ended=began + 0.25, parts=[wait]),
            SpanRecord(work=Work.TEARDOWN, name=claim.id, began=began + 0.25, ended=began + 0.28, parts=[]),
        ]
    step = SpanRecord(work=Work.STEP, name="kind cluster", began=0.2, ended=19.5, parts=[])
    return [
        ProcessRecord(process="main", spans=[step]),
        *(ProcessRecord(process=name, spans=of) for name, of in spans.items() if of),
    ]


def passed(claim: CollectedClaim) -> ClaimRecord:
    """Return the record of a claim that passed, with a wait; claims on two IP families are skipped."""
    if "dualStack" in claim.requirements:
        return claim.ended(Outcome.SKIPPED, NO_DUAL_STACK)
    wait = WaitRecord(
        what=f"objects of namespace {NAMESPACE.format(0)}", condition="exactly 2 ready Pods with app=web", seconds=0.93,
        observations=30, ended_by="change 50",
    )  # fmt: skip
    return claim.ended(Outcome.PASSED, None, seconds=0.05, worker="main", waits=[wait])


def green() -> Made:
    """Return a run in which the chain holds."""
    return made([passed(claim) for claim in claims()], [chain(n, factor=1 + n / 7) for n in range(6)])


def broken(fault: Fault) -> Made:
    """Return a run with one broken link: its first claim failed, and what uses the link is blocked by it."""
    uses = {entry.claim.id: fault.link in used(entry.claim.link, entry.claim.after) for entry in _quick()}
    first = next(claim for claim in claims() if claim.link == fault.link)
    records: list[ClaimRecord] = []
    for claim in claims():
        if claim == first:
            waits = [WaitRecord(what="objects", condition="the link", seconds=15.1, observations=90, ended_by="timeout")]
            records.append(claim.ended(Outcome.FAILED, fault.message, suspects=fault.suspects, seconds=15.1, waits=waits))
        elif uses[claim.id] or claim.link == fault.link:
            message = f"blocked by {fault.link}: {fault.message}"
            records.append(claim.ended(Outcome.BLOCKED, message, waits_for=fault.link.value))
        else:
            records.append(passed(claim))
    until = {Link.DEPLOYMENT: None, Link.PODS: steps.POD, Link.ENDPOINTS: steps.READY}.get(fault.link, steps.LISTED)
    return made(records, [chain(0, until=until)] if until else [], evidence={first.id: EVIDENCE})


def interrupted() -> Made:
    """Return a run that Ctrl-C ended after half of its claims."""
    some = claims()[: len(claims()) // HALF]
    return made(complete(claims(), map(passed, some)), [chain(0, until=steps.LISTED)], interrupted=True)


def inconclusive() -> Made:
    """Return a run that did not reach the API server."""
    why = "API server https://127.0.0.1:33533: unreachable: connection reset by peer (7 attempts in 5 s)"
    return made([claim.ended(Outcome.INCONCLUSIVE, why) for claim in claims()], [])


def skipped() -> Made:
    """Return a run in a namespace without many rights: most claims are skipped."""
    reasons = ("needs a namespace of its own (--namespace NAME)", "needs the right to list nodes", NO_DUAL_STACK)
    records = [
        passed(claim) if claim.link == Link.DEPLOYMENT else claim.ended(Outcome.SKIPPED, reasons[number % len(reasons)])
        for number, claim in enumerate(claims())
    ]
    return made(records, [chain(0, until=steps.LISTED)])


def fail_fast() -> Made:
    """Return a run that ended at the first broken link."""
    whole = broken(FAULTS[2])
    ended = [
        claim.model_copy(update={"outcome": Outcome.NOT_RUN, "message": NOT_RUN, "waits_for": None})
        if claim.outcome == Outcome.BLOCKED
        else claim
        for claim in whole.run.claims
    ]
    return made(ended, whole.run.chains, evidence=whole.evidence)


ISSUE = KnownIssue(reason="CoreDNS bug 12", owner="ann", expires=date(2027, 1, 31))


def known_issue() -> Made:
    """Return a run in which one claim fails for a known reason."""
    return _with_issue(lambda claim: claim.model_copy(update={"known": ISSUE}))


def expired() -> Made:
    """Return a run in which one claim fails, and its known issue has expired."""
    why = f"known issue expired on 2026-11-20: {ISSUE.reason}, {ISSUE.owner}"
    return _with_issue(lambda claim: claim.model_copy(update={"message": f"{claim.message} ({why})"}))


def _with_issue(change: Callable[[ClaimRecord], ClaimRecord]) -> Made:
    whole = broken(FAULTS[-1])
    failed = next(claim for claim in whole.run.claims if claim.outcome == Outcome.FAILED)
    records = [change(claim) if claim.id == failed.id else claim for claim in whole.run.claims]
    return made(records, whole.run.chains, evidence=whole.evidence)


def stale() -> Made:
    """Return a run in which a known issue no longer fails."""
    line = "known issue CHAIN-DNS-010 no longer fails: remove it from known.yaml"
    return made([passed(claim) for claim in claims()], [chain(0)], stale=[line])


def trend() -> Made:
    """Return a run after nineteen others: two of them broken, one without a verdict, and the later ones slower."""
    others = {3: broken(FAULTS[2]), 5: inconclusive(), 9: broken(FAULTS[4])}
    earlier: list[RunRecord] = []
    for number in range(19):
        whole = others.get(number) or made([passed(claim) for claim in claims()], [chain(0, factor=1 + number / 12)])
        days = timedelta(days=19 - number)
        earlier.append(whole.run.model_copy(update={"run": f"{number:08x}", "started": whole.run.started - days}))
    last = made([passed(claim) for claim in claims()], [chain(0, factor=2.7)])
    return Made(last.run, last.evidence, earlier)


RUNS: dict[str, Callable[[], Made]] = {
    "green": green,
    **{f"broken-{fault.link.lower()}": lambda fault=fault: broken(fault) for fault in FAULTS},
    "interrupted": interrupted,
    "inconclusive": inconclusive,
    "skipped": skipped,
    "fail-fast": fail_fast,
    "known-issue": known_issue,
    "known-issue-expired": expired,
    "known-issue-stale": stale,
    "trend": trend,
}
