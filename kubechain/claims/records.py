"""run.json: what a run found, as typed records that programs can read; described in docs/REFERENCE.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from kubechain.claims.claim import Claim, Level, Link, Outcome
from kubechain.claims.requirements import ProbeOrigin
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord, rounded
from kubechain.observe.wait import WaitRecord

SCHEMA = 2
NOTE = "schema 1, read as 2"


class CollectedClaim(JsonRecord):
    """A claim that was collected: its metadata, and the test that makes it."""

    id: str
    link: Link
    must: str
    """The specification, as one sentence."""
    spec: str
    """The page under https://kubernetes.io/docs/ that promises the behaviour."""
    upstream: str
    """The conformance test next to it, "" if there is none."""
    level: Level
    requirements: list[str]
    """What a cluster must have for the claim to apply."""
    after: list[Link]
    """Links that must be up besides those before `link`."""
    opens: bool
    """Whether the claim states that its link is up."""
    long: bool
    """Whether it takes ten seconds or more on any machine."""
    nodeid: str

    @staticmethod
    def of(claim: Claim, nodeid: str) -> CollectedClaim:
        """Return the entry of a claim that the test of that node id makes."""
        return CollectedClaim(
            id=claim.id,
            link=claim.link,
            must=claim.must,
            spec=claim.spec,
            upstream=claim.upstream,
            level=claim.level,
            requirements=[requirement.id for requirement in claim.requirements],
            after=list(claim.after),
            opens=claim.opens,
            long=claim.long,
            nodeid=nodeid,
        )

    def ended(
        self,
        outcome: Outcome,
        message: str | None,
        *,
        waits_for: str | None = None,
        seconds: float = 0.0,
        worker: str = "",
        measured: Mapping[str, float] | None = None,
        waits: Sequence[WaitRecord] = (),
    ) -> ClaimRecord:
        """Return the record of this claim, which ended so."""
        return ClaimRecord(
            **{name: getattr(self, name) for name in CollectedClaim.model_fields},
            outcome=outcome,
            message=message,
            waits_for=waits_for,
            seconds=seconds,
            worker=worker,
            measured=dict(measured or {}),
            waits=list(waits),
        )


class ClaimRecord(CollectedClaim):
    """How one claim ended."""

    outcome: Outcome
    message: str | None
    """Why, on one line; null of a claim that passed."""
    waits_for: str | None
    """Of a blocked claim: what did not come up, a link as a rule."""
    seconds: Annotated[float, rounded(3)]
    """How long the test's last phase took."""
    worker: str
    """The process that ran the test, "" if none reported it."""
    measured: dict[str, Annotated[float, rounded(3)]]
    """Figures that the claim found, by name."""
    waits: list[WaitRecord]


class ClusterRecord(JsonRecord):
    """The cluster of a run; null is what is not known of it because the run could not begin."""

    name: str | None = None
    context: str | None = None
    uid: str | None = None
    """UID of the namespace kube-system."""
    owned: bool | None = None
    """Whether it is a kind cluster of this project."""


class PhaseRecord(JsonRecord):
    """One phase of a run."""

    phase: str
    seconds: Annotated[float, rounded(2)]
    notes: list[str]


class LatencyRecord(JsonRecord):
    """Milliseconds from a change of the cluster to the wait that it wakes."""

    count: int
    median: Annotated[float, rounded(2)]
    p99: Annotated[float, rounded(2)]
    max: Annotated[float, rounded(2)]


class MilestoneRecord(JsonRecord):
    """A hand-over of the chain, in seconds after the Deployment was first seen."""

    what: str
    seconds: Annotated[float, rounded(4)]


class PeakRecord(JsonRecord):
    """Largest resident sets, in MiB."""

    harness: Annotated[float, rounded(1)]
    largest_child: Annotated[float, rounded(1)]


class RunRecord(JsonRecord):
    """What a run found."""

    model_config = ConfigDict(title="run.json")

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")
    run: str
    """Id of the run."""
    started: AwareDatetime
    verdict: str
    """The line that the run ended with."""
    holds: bool
    """Whether the chain holds."""
    first_broken_link: Link | None
    exit_code: ExitCode
    counts: dict[Outcome, int]
    """Number of claims by outcome."""
    cluster: ClusterRecord
    versions: dict[str, str]
    """Versions of everything that had a part in the run."""
    probe_from: ProbeOrigin | None
    """Where nodePorts were asked from: this machine, or the client Pod in the cluster."""
    phases: list[PhaseRecord]
    change_to_wait_ms: LatencyRecord | None
    timeline: list[MilestoneRecord]
    peak_mib: PeakRecord = Field(validation_alias="peakMiB", serialization_alias="peakMiB")
    report: str | None
    """Path of the HTML report in the folder of the results."""
    claims: list[ClaimRecord]
    """In the order of the chain."""
    note: str = Field(default="", exclude=True)
    """How the file was read, "" unless it is of an earlier schema; no part of the file."""


def read_run(source: Path | str) -> RunRecord:
    """Return the record that a run.json holds, given its path or its text; one of schema 1 is read as 2, with a note.

    Raises:
        SetupError: it cannot be read, is truncated or not JSON, is of another schema, or its fields are others.

    """
    where = str(source) if isinstance(source, Path) else "run.json"
    content = _content(source, where)
    # JSON's true is equal to 1 in Python.
    if isinstance(content["schema"], bool) or content["schema"] not in (1, SCHEMA):
        raise SetupError(f"{where}: schema {content['schema']}, this version reads 1 and {SCHEMA}")
    try:
        return RunRecord.model_validate(_from_schema_1(content) if content["schema"] == 1 else content)
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"{where}: not a run.json of schema 1: {type(error).__name__}: {error}") from error


def _content(source: Path | str, where: str) -> dict[str, Any]:
    """Return the JSON object of a file or of a text, which has a schema number; SetupError if there is none."""
    try:
        content = json.loads(source.read_text(encoding="utf-8") if isinstance(source, Path) else source)
    except OSError as error:
        raise SetupError(f"{where}: {error.strerror}") from error
    except ValueError as error:
        raise SetupError(f"{where}: not JSON, or truncated") from error
    if not isinstance(content, dict) or "schema" not in content:
        raise SetupError(f"{where}: not a JSON object with a schema number")
    return content  # pyright: ignore[reportUnknownVariableType]  # JSON


def _from_schema_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of schema 1 in the names of schema 2."""
    names = {"vantage": "probeFrom"}
    renamed = {names.get(name, name): value for name, value in content.items()}
    counts = {_outcome(outcome): count for outcome, count in content["counts"].items()}
    claims = [_claim_from_schema_1(claim) for claim in content["claims"]]
    return {**renamed, "schema": SCHEMA, "counts": counts, "claims": claims, "note": NOTE}


def _claim_from_schema_1(claim: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {"requirements" if name == "needs" else name: value for name, value in claim.items()}
    return {**renamed, "outcome": _outcome(claim["outcome"])}


def _outcome(name: str) -> str:
    return Outcome.INCONCLUSIVE.value if name == "broken" else name
