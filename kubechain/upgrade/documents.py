"""upgrade.json: the observations of an upgrade, as typed records; described in docs/REFERENCE.md.

`at`, `start` and `end` are seconds after the upgrade began.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from kubechain.core.records import JsonRecord, rounded
from kubechain.kube.traffic import MinuteRecord
from kubechain.upgrade.model import Absence, EventKind, Kind

Seconds = Annotated[float, rounded(3)]


class OutageRecord(JsonRecord):
    """An outage of a route."""

    start: Seconds
    end: Seconds
    seconds: Seconds
    error: Seconds
    """Error bound of `seconds`."""
    lost: int
    """Number of lost requests."""
    errors: dict[str, int]
    """Error -> number of requests that were lost with it."""


class DurationRecord(JsonRecord):
    """A duration and its error bound."""

    seconds: Seconds
    error: Seconds


class AllowanceRecord(JsonRecord):
    """For how long a route may be unavailable in all hops together, and why."""

    seconds: float
    reason: str


class WindowRecord(JsonRecord):
    """A time in which a route counts."""

    start: Seconds
    end: Seconds


class AsideRecord(JsonRecord):
    """Samples that do not count, because a Node of the route did not serve."""

    why: Absence
    samples: int
    lost: int


class NodeRecord(JsonRecord):
    """A time in which a Node served: it was Ready and not cordoned."""

    name: str
    uid: str
    start: Seconds
    end: Seconds
    ended: Absence | Literal[""]
    """Why it ended, "" at the end of the observations."""


class RouteRecord(JsonRecord):
    """The observations of a route to the witnesses."""

    name: str
    """The route's name in messages."""
    kind: Kind
    what: str
    """The destination, such as a Node, "get" or "write"."""
    probe_from: str
    """The Node of the Pod that sends the requests, "" for the machine of the run."""
    connections: Literal["new", "kept"]
    windows: list[WindowRecord]
    """When the route counts, because its Nodes serve; empty for all of the time."""
    unseen: list[WindowRecord]
    """When nobody asked, because the run was away; not in the windows."""
    aside: list[AsideRecord]
    answered: bool
    """False for a route that was there before the change and did not answer then."""
    samples: int
    up: int
    lost: int
    unknown: int
    largest_gap: Seconds
    """The longest time without a known state of the route."""
    outages: list[OutageRecord]
    unavailable: DurationRecord
    """All outages together."""
    allowed: AllowanceRecord
    within: bool | None
    """Whether the route was unavailable no longer than allowed; null if that cannot be decided."""


class EventRecord(JsonRecord):
    """An event of the upgrade."""

    at: Seconds
    kind: EventKind
    what: str


class VersionsRecord(JsonRecord):
    """The versions from a time on."""

    at: Seconds
    server: str
    """Of the API server."""
    kubelets: dict[str, str]
    """Node name -> version, "" where unknown."""
    proxies: dict[str, str]
    """Node name -> version of its kube-proxy, "" where unknown."""


class SampledRecord(JsonRecord):
    """What the samplers asked of the API server, per second on average."""

    requests: Annotated[float, rounded(2)]
    connections: Annotated[float, rounded(2)]
    """New TLS connections."""
    writes: Annotated[float, rounded(2)]


class UpgradeDocument(JsonRecord):
    """The observations of an upgrade."""

    model_config = ConfigDict(title="upgrade.json")

    schema_number: Literal[2] = Field(default=2, alias="schema")
    verdict: str
    """The line that the run ended with."""
    hops: list[str]
    """The versions in order, the first is the one before the upgrade."""
    began: AwareDatetime
    ended: AwareDatetime
    seconds: Seconds
    upgraded_by_this_run: bool
    """False for an upgrade by other means."""
    change: str
    """The command of a change that need not be an upgrade, "by hand" without one, "" for an upgrade."""
    control_planes: int
    """Number of control planes at the end of the watch, 0 if it is not known."""
    routes: list[RouteRecord]
    events: list[EventRecord]
    """In order of time."""
    versions: list[VersionsRecord]
    """An entry for each change of a version."""
    relists: int
    """How often a watch had to list again, so that changes may be missing."""
    lost_watches: int
    """How often a watch lost its connection."""
    warnings: list[str]
    """Warnings of the API server about deprecated APIs."""
    drained: list[str]
    """Names of the drained Nodes."""
    nodes: list[NodeRecord]
    """When each Node served."""
    absences: list[WindowRecord]
    """When the run was away, because its Pod was evicted or killed; samplers in Pods asked meanwhile."""
    sampled: SampledRecord
    """The load of the samplers on the API server."""
    load: list[MinuteRecord]
    """The load of the rest of the run on the API server, minute by minute."""
