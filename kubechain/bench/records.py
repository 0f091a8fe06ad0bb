"""bench.json and docs/bench-releases.json as typed records; described in docs/BENCH.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from kubechain.core.records import JsonRecord, rounded

Side = Literal["upstream", "kubechain"]
SIDES: tuple[Side, Side] = ("upstream", "kubechain")
# Numbers of processes, and the names of their ratios.
PROCESSES = {1: "serial", 2: "parallel2", 4: "parallel4"}


class SpecRecord(JsonRecord):
    """A conformance test of Kubernetes, and the claims that are measured beside it."""

    spec: str
    """Testname of the test."""
    claims: list[str]
    """Ids of the claims, without those that are left out."""


class LeftOut(JsonRecord):
    """Claims that cover a test, but are not measured."""

    claims: list[str]
    reason: str
    instead: list[str] = Field(default_factory=list[str])
    """Ids of claims that are measured in their place."""


class LoadRecord(JsonRecord):
    """What this machine asked of the API server during one measurement."""

    requests: int | None
    """Requests in the audit log; null if the cluster has none."""
    watches: int | None
    """How many of the requests are watches."""
    bytes_sent: int
    """Bytes of IP packets to the API server."""
    bytes_received: int
    """Bytes of IP packets from the API server."""


class Measurement(JsonRecord):
    """One side, once."""

    round: int
    processes: int
    side: Side
    seconds: Annotated[float, rounded(2)]
    """From the start of its first process to the end of its last."""
    failed: list[str]
    """Names of the tests or claims that did not pass; then the measurement is in no ratio."""
    load: LoadRecord


class Ratio(JsonRecord):
    """Seconds of upstream divided by those of kubechain: above 1, kubechain is faster."""

    median: Annotated[float, rounded(3)]
    min: Annotated[float, rounded(3)]
    max: Annotated[float, rounded(3)]
    rounds: int
    """Number of rounds in which both sides passed."""


class Ratios(JsonRecord):
    """The ratio for each number of processes on each side; null if no round has one."""

    serial: Ratio | None = None
    parallel2: Ratio | None = None
    parallel4: Ratio | None = None

    def of(self, processes: int) -> Ratio | None:
        """Return the ratio for a number of processes."""
        return getattr(self, PROCESSES[processes])


class Release(JsonRecord):
    """The ratios of a release, as docs/bench-releases.json keeps them."""

    release: str
    """Version of kubechain."""
    kubernetes: str
    cores: int
    """Cores of the machine; ratios of machines with other numbers are not compared."""
    ratios: Ratios


class Releases(JsonRecord):
    """The content of docs/bench-releases.json, the oldest release first."""

    releases: list[Release]


class BenchRecord(JsonRecord):
    """The result of `kubechain bench`."""

    model_config = ConfigDict(title="bench.json")

    schema_number: Literal[1] = Field(default=1, alias="schema")
    verdict: str
    """The line that the command ended with."""
    exit_code: int
    release: str
    """Version of kubechain."""
    kubernetes: str
    cores: int
    rounds: int
    """Number of rounds that were asked for."""
    specs: list[SpecRecord]
    """What is compared."""
    without_claims: list[str]
    """Testnames of the closest tests that no claim covers, which are not run."""
    left_out: list[LeftOut]
    measurements: list[Measurement]
    ratios: Ratios
    before: Release | None
    """The release with which the ratios are compared."""
