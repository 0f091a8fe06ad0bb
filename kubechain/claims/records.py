"""The typed records of run.json, which docs/REFERENCE.md describes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from kubechain.claims.chain_records import ChainRecord, HandOverRecord
from kubechain.claims.claim import Claim, Level, Link, Outcome
from kubechain.claims.process_records import ProcessRecord
from kubechain.claims.requirements import ProbeOrigin
from kubechain.core import files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord, rounded
from kubechain.core.setting_values import in_our_words
from kubechain.kube.traffic import LoadRecord
from kubechain.observe.wait_record import WaitRecord

SCHEMA = 2
NOTE = "schema 1, read as 2"


class CollectedClaim(JsonRecord):
    """A collected claim: its metadata and the node id of its test."""

    id: str
    link: Link
    must: str
    """The MUST sentence."""
    spec: str
    """The page under https://kubernetes.io/docs/ that promises the behaviour."""
    upstream: str
    """The closest conformance test of Kubernetes, "" if there is none."""
    level: Level
    requirements: list[str]
    """Ids of the requirements that a cluster must meet for the claim to apply."""
    after: list[Link]
    """Links that must be up besides those before `link`."""
    opens: bool
    """Whether the claim states that its link is up."""
    long: bool
    """Whether it takes ten seconds or more on any machine."""
    nodeid: str

    @staticmethod
    def of(claim: Claim, nodeid: str) -> CollectedClaim:
        """Return the record of a claim whose test has this node id."""
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
        suspects: str = "",
        seconds: float = 0.0,
        worker: str = "",
        measured: Mapping[str, float] | None = None,
        waits: Sequence[WaitRecord] = (),
    ) -> ClaimRecord:
        """Return the record of this claim after its end."""
        return ClaimRecord(
            **{name: getattr(self, name) for name in CollectedClaim.model_fields},
            outcome=outcome,
            message=message,
            waits_for=waits_for,
            suspects=suspects,
            seconds=seconds,
            worker=worker,
            measured=dict(measured or {}),
            waits=list(waits),
        )


class KnownIssue(JsonRecord):
    """What is known of a claim that fails (--waivers)."""

    reason: str
    owner: str
    expires: date
    """The last day on which the failure does not break the verdict, in UTC."""


class ClaimRecord(CollectedClaim):
    """A claim after its end."""

    outcome: Outcome
    message: str | None
    """The reason for the outcome, on one line; null for a claim that passed."""
    waits_for: str | None
    """For a blocked claim: the link that is not up."""
    suspects: str = ""
    """What the cluster shows of the components behind the broken link, "" if nothing or if the claim passed."""
    seconds: Annotated[float, rounded(3)]
    """Duration of the test's last phase."""
    worker: str
    """The process that ran the test, "" if none reported it."""
    measured: dict[str, Annotated[float, rounded(3)]]
    """Metrics that the claim recorded, by name."""
    waits: list[WaitRecord]
    known: KnownIssue | None = None
    """Of a claim that failed: the known issue that it is, null if it is none."""

    @property
    def ending(self) -> str:
        """The outcome in words: "passed", or "failed (known: REASON, OWNER, until DATE)"."""
        known = self.known
        return (
            f"{self.outcome.value} (known: {known.reason}, {known.owner}, until {known.expires})" if known else self.outcome.value
        )


class ClusterRecord(JsonRecord):
    """The cluster of a run; a field is null if the run ended before it was known."""

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
    """Milliseconds from a request to the API server to the end of the wait for its effect."""

    count: int
    median: Annotated[float, rounded(2)]
    p99: Annotated[float, rounded(2)]
    max: Annotated[float, rounded(2)]


class MilestoneRecord(JsonRecord):
    """A step of the chain, in seconds after the Deployment was first seen."""

    what: str
    seconds: Annotated[float, rounded(4)]


class PeakRecord(JsonRecord):
    """Largest resident set sizes, in MiB."""

    harness: Annotated[float, rounded(1)]
    largest_child: Annotated[float, rounded(1)]


class ShardRecord(JsonRecord):
    """The part of a suite that a run tried (--shard)."""

    part: int
    parts: int
    suite: str
    """Hash of the ids of the claims of all parts."""
    claims: int
    """Number of the claims of all parts."""
    stale: list[str]
    """A line for each known issue whose claim no longer fails."""


class SelectionRecord(JsonRecord):
    """What a run left out of the claims of its level."""

    by: list[str]
    """The options that chose the others, as they are written: `--only=A,B`, `-k dns`, `PYTEST_ADDOPTS=-k dns`."""
    left_out: list[str]
    """Ids of claims that were collected."""
    files: list[str]
    """Modules of claims that were not collected, as with `--ignore`."""


class RunRecord(JsonRecord):
    """The results of a run."""

    model_config = ConfigDict(title="run.json")

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")
    verdict: str
    """The line that the run ended with."""
    holds: bool
    """Whether the chain holds."""
    first_broken_link: Link | None
    exit_code: ExitCode
    counts: dict[Outcome, int]
    """Number of claims by outcome; files of earlier versions have no "not run"."""
    run: str
    """Id of the run."""
    started: AwareDatetime
    cluster: ClusterRecord
    versions: dict[str, str]
    """Versions of the harness, its libraries, the cluster and its images."""
    probe_from: ProbeOrigin | None
    """Where requests to nodePorts came from: this machine (host), or the client Pod (cluster)."""
    phases: list[PhaseRecord]
    change_to_wait_ms: LatencyRecord | None
    timeline: list[MilestoneRecord]
    hand_overs: list[HandOverRecord] = Field(default_factory=list[HandOverRecord])
    """How long each hand-over took in all chains of the run; empty in files of earlier versions."""
    chains: list[ChainRecord] = Field(default_factory=list[ChainRecord])
    """The chains, the slowest first, at most 50; empty in files of earlier versions."""
    processes: list[ProcessRecord] = Field(default_factory=list[ProcessRecord])
    """What each process did, and when; empty in files of earlier versions."""
    peak_mib: PeakRecord = Field(validation_alias="peakMiB", serialization_alias="peakMiB")
    load: LoadRecord | None = None
    """What the run asked of the API server; null in files of earlier versions."""
    shard: ShardRecord | None = None
    """The part of the suite that this run tried, null if it tried all of it."""
    selection: SelectionRecord | None = None
    """What this run left out of the claims of its level, null if nothing; null in files of earlier versions."""
    report: str | None
    """Path of the HTML report in the folder of the results."""
    claims: list[ClaimRecord]
    """In the order of the chain."""
    note: str = Field(default="", exclude=True)
    """A note about the conversion of a file of schema 1, else ""; not written to files."""


def read_run(source: Path | str) -> RunRecord:
    """Return the record in a run.json, given its path or its text; a file of schema 1 is converted, with a note.

    Raises:
        SetupError: the file cannot be read, is not JSON, or does not match schema 1 or 2.

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
        raise SetupError(f"{where}: {'.'.join(map(str, first['loc']))}: {in_our_words(first['msg'])}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"{where}: not a run.json of schema 1: {type(error).__name__}: {error}") from error


def _content(source: Path | str, where: str) -> dict[str, Any]:
    """Return the JSON object in a file or a text; SetupError if there is none or it has no schema number."""
    try:
        content = json.loads(files.regular(source).read_text(encoding="utf-8") if isinstance(source, Path) else source)
    except OSError as error:
        raise SetupError(f"{where}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{where}: not JSON, or truncated") from error
    if not isinstance(content, dict) or "schema" not in content:
        raise SetupError(f"{where}: not a JSON object with a schema number")
    return content  # pyright: ignore[reportUnknownVariableType]  # JSON


def _from_schema_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of schema 1 with the names of schema 2."""
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
