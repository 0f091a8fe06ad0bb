"""What the suite found under a fault, held against what it must find. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kubechain.claims.claim import Link
from kubechain.core.errors import ExitCode
from kubechain.faults.fault import Fault

Result = Literal["killed", "survived", "misattributed", "false alarm", "green"]
GOOD: tuple[Result, ...] = ("killed", "green")
PeerOutcome = Literal["passed", "failed", "timeout", "skipped"]
CANNOT_TELL = {ExitCode.UNREACHABLE, ExitCode.HARNESS, ExitCode.CLUSTER}


@dataclass(frozen=True)
class Comparison:
    """What another suite's tests found under the same fault: test -> outcome, none if the fault does not reach them.

    "timeout" is a test that had not ended when it was given up.
    """

    outcomes: Mapping[str, PeerOutcome] = field(default_factory=dict[str, PeerOutcome])
    seconds: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether there was something to find."""
        return bool(self.outcomes)

    def count(self, outcome: PeerOutcome) -> int:
        """Return how many tests ended so."""
        return list(self.outcomes.values()).count(outcome)

    @property
    def noticing(self) -> int:
        """How many tests did not go through: failed, or given up."""
        return self.count("failed") + self.count("timeout")


@dataclass(frozen=True)
class Judgement:
    """The suite under one fault.

    `result` is "killed" if the fault was found at the right link and by an expected claim, "survived" if nothing
    turned red, "misattributed" if something else did; for a harmless change "green" or "false alarm". `outcomes` is
    claim id -> outcome; `seconds` is how long injection, verdict and healing took. `peer` has no part in the result.
    """

    fault: str
    kind: str
    title: str
    result: Result
    why: str
    expected: str | None
    first_broken_link: str | None
    verdict: str
    outcomes: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    peer: Comparison | None = None

    @property
    def good(self) -> bool:
        """Whether the suite did what it must."""
        return self.result in GOOD

    def as_json(self) -> dict[str, Any]:
        """Return the judgement as faults.json holds it."""
        return asdict(self)


def judge(fault: Fault, run: Mapping[str, Any], seconds: Mapping[str, float], peer: Comparison | None = None) -> Judgement:
    """Judge the suite by the run.json that it left under a fault; keep what a peer found."""
    claims: Sequence[Mapping[str, Any]] = run["claims"]
    result, why = _result(fault, run, claims)
    return Judgement(
        fault.id,
        fault.kind,
        fault.title,
        result,
        why,
        fault.at.value if isinstance(fault.at, Link) else fault.at,
        run["firstBrokenLink"],
        run["verdict"],
        {claim["id"]: claim["outcome"] for claim in claims},
        seconds,
        peer,
    )


def _result(fault: Fault, run: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]) -> tuple[Result, str]:
    first, holds, verdict = run["firstBrokenLink"], bool(run["holds"]), str(run["verdict"])
    if fault.at is None:
        return ("green", "") if holds else ("false alarm", verdict)
    if holds:
        return "survived", verdict
    if fault.at == "unreachable":
        told = first is None and run["exitCode"] in CANNOT_TELL
        return ("killed" if told else "misattributed"), verdict
    if first != fault.at:
        return "misattributed", f"{first} is called broken, not {fault.at}: {verdict}"
    return _named(fault, claims)


def _named(fault: Fault, claims: Sequence[Mapping[str, Any]]) -> tuple[Result, str]:
    """Look for an expected claim that failed with a message that names the symptom."""
    failed = [claim for claim in claims if claim["id"] in fault.claims and claim["outcome"] == "failed"]
    named = [claim for claim in failed if re.search(fault.symptom, claim["message"])]
    if named:
        return "killed", f"{named[0]['id']}: {named[0]['message']}"
    if failed:
        return "misattributed", f"no message names the symptom /{fault.symptom}/: {failed[0]['message']}"
    return "misattributed", f"none of {', '.join(fault.claims)} failed"


def verdict_line(judgements: Sequence[Judgement], wanted: int) -> tuple[bool, str]:
    """Return whether all faults were judged and all judgements are good, and the line that says so."""
    faults = [each for each in judgements if each.expected is not None]
    harmless = [each for each in judgements if each.expected is None]
    killed, green = sum(each.good for each in faults), sum(each.good for each in harmless)
    line = f"faults: {killed} of {len(faults)} killed at the right link, {green} of {len(harmless)} harmless changes green"
    bad = [f"{each.fault} ({each.result})" for each in judgements if not each.good]
    missing = wanted - len(judgements)
    rest = [*([f"not so: {', '.join(bad)}"] if bad else []), *([f"{missing} not judged"] if missing else [])]
    return not rest and wanted > 0, "; ".join([line, *rest, *_compared(faults, harmless)])


def _compared(faults: Sequence[Judgement], harmless: Sequence[Judgement]) -> list[str]:
    """Say what the peer noticed, if there was one; what only its patience ran out on is told apart."""
    found = [each.peer for each in faults if each.peer]
    quiet = [each.peer for each in harmless if each.peer]
    if not found and not quiet:
        return []
    reached = [each for each in found if each.reached]
    noticed = sum(each.noticing > 0 for each in reached)
    unreached = len(found) - len(reached)
    notes = [_by_timeout(reached), f"{unreached} do not reach it" if unreached else ""]
    alarms = sum(each.noticing > 0 for each in quiet)
    told = f"upstream noticed {noticed} of {len(reached)} faults{_bracketed(notes)}"
    return [f"{told}, {alarms} false alarms on harmless{_bracketed([_by_timeout(quiet)])}"]


def _bracketed(notes: Sequence[str]) -> str:
    return f" ({', '.join(filter(None, notes))})" if any(notes) else ""


def _by_timeout(found: Sequence[Comparison]) -> str:
    """Say how many of these were noticed by tests that were given up, and by no other."""
    count = sum(each.count("timeout") > 0 and not each.count("failed") for each in found)
    return f"{count} by timeouts alone" if count else ""
