"""What chain.html shows of run.json: states of links, the first broken link, groups and scales. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kubechain.claims import chain_records as steps
from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import excused, first_broken

# The last link of the chain itself; the later ones are what is done to a chain that is up.
LAST = Link.DNS
BLOCKED_BY = re.compile(r"^blocked by [A-Z]+: ")
EXPIRED = re.compile(r" \(known issue (?P<expired>expired on .*)\)$", re.DOTALL)
UNMET = re.compile(
    r"expected (?P<expected>.+?), got (?P<got>.+?)(?: \((?P<waited>(?:waited|gave up after|at) [\d.]+ .*)\))?", re.DOTALL
)
# Each link -> the hand-over that shows how long it took.
TOOK = {
    Link.IMAGE: steps.IMAGE,
    Link.REPLICASET: steps.REPLICASET,
    Link.PODS: steps.POD_UP,
    Link.ENDPOINTS: steps.LISTED,
    Link.CLUSTERIP: steps.CLUSTER_IP,
    Link.NODEPORT: steps.NODE_PORT,
    Link.DNS: steps.NAME,
    Link.DELETION: steps.GONE,
}
# Each hand-over -> where it begins.
SINCE = {
    steps.REPLICASET: "after the Deployment",
    steps.POD: "after the ReplicaSet",
    steps.SCHEDULED: "after its creation",
    steps.IMAGE: "on the Node, after scheduling",
    steps.STARTED: "after the image",
    steps.READY: "after the start",
    steps.LISTED: "after Ready",
    steps.CLUSTER_IP: "after address or question",
    steps.NODE_PORT: "after address or question",
    steps.NAME: "after the question",
    steps.GONE: "after its deletion",
    steps.UNLISTED: "after the Pod is gone",
    steps.REFUSED: "after Service or question",
    steps.START_UP: "creation to start, no pull",
    steps.POD_UP: "creation to Ready",
    steps.CHAIN_UP: "Deployment to address",
}


class State(StrEnum):
    """The state of a link in a run."""

    HOLDS = "holds"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    KNOWN = "known issue"
    BLOCKED = "blocked"
    NOT_RUN = "not run"
    SKIPPED = "skipped"
    NO_CLAIMS = "no claims"


BY_OUTCOME = {
    Outcome.FAILED: State.BROKEN,
    Outcome.INCONCLUSIVE: State.INCONCLUSIVE,
    Outcome.BLOCKED: State.BLOCKED,
    Outcome.NOT_RUN: State.NOT_RUN,
    Outcome.PASSED: State.HOLDS,
    Outcome.SKIPPED: State.SKIPPED,
}
# The state of a link is the first of these that one of its claims has.
WORST = (State.BROKEN, State.INCONCLUSIVE, State.KNOWN, State.BLOCKED, State.NOT_RUN, State.HOLDS, State.SKIPPED)
# What does not count for a link that a claim has shown to be up.
UNTRIED = (State.BLOCKED, State.NOT_RUN)


@dataclass(frozen=True)
class LinkView:
    """A link: its state, its number of claims by outcome, and its hand-over in seconds (the median), None if not measured."""

    link: Link
    state: State
    first: bool
    counts: Mapping[Outcome, int]
    took: float | None
    claims: Sequence[ClaimRecord]


@dataclass(frozen=True)
class Message:
    """The message of an unmet condition in its parts; `expected` is "" where it has another form, and `got` is all of it.

    `expired` says of a known issue when it expired, and whose it is.
    """

    expected: str
    got: str
    waited: str
    expired: str = ""


@dataclass(frozen=True)
class Broken:
    """The first broken link, with the claim that shows it: one that failed, else one that the link blocks."""

    link: Link
    claim: ClaimRecord
    message: Message
    suspects: str
    evidence: str


def message_of(text: str) -> Message:
    """Return the message of a claim in its parts."""
    plain = BLOCKED_BY.sub("", text)
    known = EXPIRED.search(plain)
    plain, expired = EXPIRED.sub("", plain), known["expired"] if known else ""
    match = UNMET.fullmatch(plain)
    return Message(match["expected"], match["got"], match["waited"] or "", expired) if match else Message("", plain, "", expired)


def links(run: RunRecord) -> list[LinkView]:
    """Return every link in the order of the chain, also those without claims."""
    blocking = {claim.waits_for for claim in run.claims if claim.outcome == Outcome.BLOCKED} - excused(run.claims)
    medians = {hand_over.what: hand_over.p50 for hand_over in run.hand_overs}
    found: list[LinkView] = []
    for link in Link:
        claims = [claim for claim in run.claims if claim.link == link]
        counts = Counter(claim.outcome for claim in claims)
        up = any(claim.opens and claim.outcome == Outcome.PASSED for claim in claims)
        states = {State.KNOWN if claim.known else BY_OUTCOME[claim.outcome] for claim in claims}
        states -= set(UNTRIED) if up else set()
        state = State.BROKEN if link in blocking else next((each for each in WORST if each in states), State.NO_CLAIMS)
        took = medians.get(TOOK.get(link, ""))
        ordered = {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}
        found.append(LinkView(link, state, link == run.first_broken_link, ordered, took, claims))
    return found


def first(run: RunRecord, evidence: Mapping[str, str]) -> Broken | None:
    """Return the first broken link, None if no link is broken; `evidence` is id of a claim -> text."""
    broken = first_broken(run.claims)
    if broken is None:
        return None
    showing = [claim for claim in run.claims if claim.id == broken.claim and claim.outcome == Outcome.FAILED]
    blocked = [claim for claim in run.claims if claim.waits_for == broken.link]
    of_link = [claim for claim in (*showing, *blocked) if claim.id in evidence]
    text = evidence[of_link[0].id] if of_link else ""
    claim = (showing or blocked)[0]
    return Broken(broken.link, claim, message_of(broken.message or claim.message or ""), broken.suspects, text)


def by_message(claims: Iterable[ClaimRecord]) -> dict[str, list[ClaimRecord]]:
    """Return message -> the claims that ended with it, the most frequent message first."""
    groups: dict[str, list[ClaimRecord]] = {}
    for claim in claims:
        groups.setdefault(claim.message or "", []).append(claim)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


@dataclass(frozen=True)
class Bar:
    """A step in a waterfall: its duration in seconds, and where its bar begins and how long it is, in percent of the part."""

    what: str
    seconds: float
    ended: float
    left: float
    width: float


@dataclass(frozen=True)
class Part:
    """Steps of a chain that share one scale, from `began` to `ended` seconds after the Deployment was first seen."""

    title: str
    began: float
    ended: float
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Waterfall:
    """One chain: its namespace, the claims that looked at it, and its steps in up to three parts."""

    namespace: str
    claims: Sequence[str]
    up: float | None
    parts: Sequence[Part]


PARTS = {
    "Comes up": frozenset(steps.STEPS[: steps.STEPS.index(steps.LISTED) + 1]),
    "First answers, from the first question": frozenset({steps.CLUSTER_IP, steps.NODE_PORT, steps.NAME}),
    "Goes, from the deletion": frozenset({steps.GONE, steps.UNLISTED, steps.REFUSED}),
}


def waterfalls(run: RunRecord) -> list[Waterfall]:
    """Return the chains of a run as waterfalls, in the order of run.json."""
    looking: dict[str, list[str]] = {}
    for claim in run.claims:
        for source in dict.fromkeys(wait.what.removeprefix("objects of namespace ") for wait in claim.waits):
            looking.setdefault(source, []).append(claim.id)
    return [
        Waterfall(
            chain.namespace,
            looking.get(chain.namespace, []),
            chain.ended(steps.LISTED),
            [_part(title, taken) for title, names in PARTS.items() if (taken := [s for s in chain.steps if s.what in names])],
        )
        for chain in run.chains
    ]


def _part(title: str, taken: Sequence[steps.StepRecord]) -> Part:
    began, ended = min(step.began for step in taken), max(step.ended for step in taken)
    scale = 100 / (ended - began) if ended > began else 0.0
    bars = [Bar(s.what, s.seconds, s.ended, (s.began - began) * scale, s.seconds * scale) for s in taken]
    return Part(title, began, ended, bars)
