"""upgrade.json: what was seen of an upgrade, as typed records; described in docs/REFERENCE.md.

`at`, `start` and `end` are seconds after the upgrade began.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from kubechain.core.records import JsonRecord, rounded
from kubechain.upgrade.model import EventKind, Kind

Seconds = Annotated[float, rounded(3)]


class OutageRecord(JsonRecord):
    """One outage of a route."""

    start: Seconds
    end: Seconds
    seconds: Seconds
    error: Seconds
    """Error bound of `seconds`."""
    lost: int
    """Requests that were lost."""
    errors: dict[str, int]
    """Why requests were lost -> how many."""


class DurationRecord(JsonRecord):
    """A duration and its error bound."""

    seconds: Seconds
    error: Seconds


class AllowanceRecord(JsonRecord):
    """For how long a route may be unavailable in all hops together, and why."""

    seconds: float
    reason: str


class RouteRecord(JsonRecord):
    """What was seen of one route to the witnesses."""

    name: str
    """The route's name in messages."""
    kind: Kind
    what: str
    """What is asked, such as a Node, "get" or "write"."""
    probe_from: str
    """The Node whose Pod asks, "" for beside the harness."""
    connections: Literal["new", "kept"]
    samples: int
    up: int
    lost: int
    unknown: int
    largest_gap: Seconds
    """The longest time in which nothing is known of the route."""
    outages: list[OutageRecord]
    unavailable: DurationRecord
    """All outages together."""
    allowed: AllowanceRecord
    within: bool | None
    """Whether it was unavailable no longer than allowed; null where nothing can be said."""


class EventRecord(JsonRecord):
    """Something that happened at a moment of the upgrade."""

    at: Seconds
    kind: EventKind
    what: str


class VersionsRecord(JsonRecord):
    """The versions from a moment on."""

    at: Seconds
    server: str
    """Of the API server."""
    kubelets: dict[str, str]
    """Node name -> version, "" where unknown."""
    proxies: dict[str, str]
    """Node name -> version of its kube-proxy, "" where unknown."""


class UpgradeDocument(JsonRecord):
    """What was seen of an upgrade."""

    model_config = ConfigDict(title="upgrade.json")

    schema_number: Literal[2] = Field(default=2, alias="schema")
    verdict: str
    """The line that the run ended with."""
    hops: list[str]
    """The versions, the first of them where the upgrade began."""
    began: AwareDatetime
    ended: AwareDatetime
    seconds: Seconds
    upgraded_by_this_run: bool
    """False for an upgrade by other means."""
    control_planes: int
    """Number of Nodes with a control plane, as last seen."""
    routes: list[RouteRecord]
    events: list[EventRecord]
    """In the order of time."""
    versions: list[VersionsRecord]
    """One whenever a version changed."""
    relists: int
    """How often a watch listed again, so that versions may have been missed."""
    lost_watches: int
    """How often a watch lost its connection."""
    warnings: list[str]
    """Warnings of the API server about deprecated APIs."""
    drained: list[str]
    """Nodes that were drained."""
