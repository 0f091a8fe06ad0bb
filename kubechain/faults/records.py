"""faults.json: what the suite found under each fault, as typed records; described in docs/REFERENCE.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from kubechain.claims.claim import Link, Outcome
from kubechain.core.records import JsonRecord, rounded
from kubechain.faults.fault import Expectation, Kind

Result = Literal["killed", "survived", "misattributed", "false alarm", "green", "equivalent", "not reached"]
GOOD: tuple[Result, ...] = ("killed", "green", "equivalent", "not reached")
UpstreamOutcome = Literal["passed", "failed", "timeout", "skipped"]


class Comparison(JsonRecord):
    """What upstream's tests found under the same fault; no outcomes if the fault does not reach them."""

    outcomes: dict[str, UpstreamOutcome] = Field(default_factory=dict[str, UpstreamOutcome])
    """Test -> outcome; "timeout" is a test that was stopped at its time limit."""
    seconds: Annotated[float, rounded(2)] = 0.0
    """How long all tests took together."""
    code_reached: bool = True
    """Whether a program came to the changed code of a mutant meanwhile; true for a fault."""

    @property
    def reached(self) -> bool:
        """Whether the fault reaches upstream's tests."""
        return bool(self.outcomes) and self.code_reached

    def count(self, outcome: UpstreamOutcome) -> int:
        """Return how many tests have this outcome."""
        return list(self.outcomes.values()).count(outcome)

    @property
    def noticing(self) -> int:
        """How many tests noticed the fault: failed, or were stopped at their time limit."""
        return self.count("failed") + self.count("timeout")


class FaultSeconds(JsonRecord):
    """How long each part of the trial of one fault took."""

    inject: Annotated[float, rounded(2)] = 0.0
    verdict: Annotated[float, rounded(2)] = 0.0
    heal: Annotated[float, rounded(2)] = 0.0

    @property
    def total(self) -> float:
        """The seconds of all parts together."""
        return self.inject + self.verdict + self.heal


class Score(JsonRecord):
    """The suite under one fault."""

    fault: str
    """Id of the fault."""
    kind: Kind
    title: str
    result: Result
    """Killed if an expected claim failed at the expected link, survived if no claim failed, misattributed if another one did;
    for a harmless change green or false alarm. What is drawn is killed at any link; what survives is equivalent if a reason is
    known why no claim can notice it, and not reached if no program came to the changed code."""
    why: str
    expected: Link | Expectation | None
    """The link that must be the first broken one, "unreachable" if there must be no verdict, "refused" if the run must say what
    keeps the cluster from taking its objects, "anywhere" for a mutant that is drawn; null for a harmless change."""
    first_broken_link: Link | None
    verdict: str
    """The line that the suite ended with under the fault."""
    outcomes: dict[str, Outcome]
    """Id of a claim -> its outcome."""
    seconds: FaultSeconds
    upstream: Comparison | None = None
    """What upstream's tests found, if they were compared; the result does not depend on it."""

    @property
    def good(self) -> bool:
        """Whether the result leaves nothing to explain."""
        return self.result in GOOD


class TotalSeconds(JsonRecord):
    """How many seconds the trials of the faults took."""

    median: Annotated[float, rounded(1)]
    max: Annotated[float, rounded(1)]
    sum: Annotated[float, rounded(1)]


class FaultsRecord(JsonRecord):
    """What the suite found under every fault of a run."""

    model_config = ConfigDict(title="faults.json")

    schema_number: Literal[2] = Field(default=2, alias="schema")
    verdict: str
    """The line that the run ended with."""
    seconds: TotalSeconds | None
    """Null if no fault was tried."""
    faults: list[Score]
