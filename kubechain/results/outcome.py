"""The result of a run in a few hundred bytes: for a line on standard output, and for a ConfigMap."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ShardRecord
from kubechain.core.errors import ExitCode
from kubechain.core.records import JsonRecord, rounded

SCHEMA = 1
# Of the file that Kubernetes shows as the message of a container that has ended.
MOST_BYTES = 4096
# Of a part of a suite: its run.json in the ConfigMap, which holds a MiB at most with all else.
RUN_FILE = "run.json.gz"
MOST_IN_CONFIG_MAP = 900_000


class ResultRecord(JsonRecord):
    """The result of a run."""

    model_config = ConfigDict(title="the line of --json-line")

    schema_number: Literal[1] = Field(default=SCHEMA, alias="schema")
    verdict: str
    holds: bool
    first_broken_link: Link | None
    exit_code: ExitCode
    """The exit code of the command: that of the verdict, else of the gate or of the end."""
    counts: dict[Outcome, int]
    """Number of claims by outcome."""
    run: str
    """Id of the run."""
    started: AwareDatetime
    seconds: Annotated[float, rounded(1)]
    """From the beginning of the first claim to the end of the last."""
    requests: int | None = None
    """Number of requests to the API server, null if it is not known."""
    cluster: str
    """UID of the namespace kube-system, or of the only namespace that the run used; "" if it is not known."""
    kubernetes: str
    """Version of the API server, "" if it is not known."""
    kubechain: str
    shard: ShardRecord | None
    report: str
    """Address of the report, "" if none was given (--report-url)."""


def short(verdict: str) -> str:
    """Return the verdict with its end cut off after MOST_BYTES bytes of UTF-8."""
    encoded = verdict.encode()
    if len(encoded) <= MOST_BYTES:
        return verdict
    mark = " ..."
    return encoded[: MOST_BYTES - len(mark)].decode(errors="ignore") + mark


def state(record: ResultRecord) -> str:
    """Return "holds", "broken" or "undecided", as the value of a label; a chain holds also where a waiver is to be removed."""
    holds = record.holds or record.exit_code == ExitCode.WAIVERS
    return "holds" if holds else "broken" if record.exit_code == ExitCode.CHAIN_BROKEN else "undecided"
