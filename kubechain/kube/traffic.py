"""What this process asks of the API server: requests by verb and resource, connections, open watches, bytes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubechain.core.records import JsonRecord
from kubechain.kube.paths import request_of

MINUTE = 60.0
WRITES = frozenset({"create", "update", "patch", "delete"})
# What is created there is not stored: reviews, and connections to Pods and Services.
NOT_STORED = ("selfsubjectaccessreviews", "/exec", "/proxy", "/portforward")


class LoadRecord(JsonRecord):
    """What a run asked of the API server, all its processes together, until its results were written."""

    requests: dict[str, int]
    """Verb and resource, such as "list pods" -> number of requests, each attempt counted."""
    total: int
    """All requests."""
    writes: int
    """Requests that ask the API server to store something."""
    connections: int
    """New connections."""
    watches: int
    """The most watches that were open at once; of several processes, the sum of their peaks."""
    bytes_sent: int
    bytes_received: int
    """Of HTTP, before TLS."""


class MinuteRecord(JsonRecord):
    """What this process asked of the API server in one minute."""

    at: float
    """Begin of the minute, in seconds after the upgrade began."""
    requests: int
    writes: int
    connections: int
    bytes_sent: int
    bytes_received: int


@dataclass
class Minute:
    """The counts of one minute."""

    requests: int = 0
    writes: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0


@dataclass
class Traffic:
    """Counts since the start of the process. Safe for threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _requests: Counter[str] = field(default_factory=Counter[str])
    _watches: int = 0
    _most_watches: int = 0
    _minutes: dict[int, Minute] = field(default_factory=dict[int, Minute])

    def _now(self) -> Minute:
        return self._minutes.setdefault(int(time.time() // MINUTE), Minute())

    def request(self, method: str, path: str) -> None:
        """Count a request, given its method and its path with the query."""
        verb, resource = request_of(method, path)
        with self._lock:
            self._requests[f"{verb} {resource}"] += 1
            self._now().requests += 1
            self._now().writes += is_write(verb, resource, path)

    def connected(self) -> None:
        """Count a new connection."""
        with self._lock:
            self._now().connections += 1

    def sent(self, count: int) -> None:
        """Count bytes to the API server."""
        with self._lock:
            self._now().sent += count

    def received(self, count: int) -> None:
        """Count bytes from the API server."""
        with self._lock:
            self._now().received += count

    def watching(self, change: int) -> None:
        """Count a watch that is opened (1) or closed (-1)."""
        with self._lock:
            self._watches += change
            self._most_watches = max(self._most_watches, self._watches)

    def record(self) -> LoadRecord:
        """Return all counts."""
        with self._lock:
            minutes = list(self._minutes.values())
            return LoadRecord(
                requests=dict(sorted(self._requests.items())),
                total=self._requests.total(),
                writes=sum(minute.writes for minute in minutes),
                connections=sum(minute.connections for minute in minutes),
                watches=self._most_watches,
                bytes_sent=sum(minute.sent for minute in minutes),
                bytes_received=sum(minute.received for minute in minutes),
            )

    def minutes(self, began: float, ended: float) -> list[MinuteRecord]:
        """Return the counts of each minute from `began` to `ended` (Unix seconds)."""
        with self._lock:
            return [
                MinuteRecord(
                    at=round(max(0.0, number * MINUTE - began), 3),
                    requests=minute.requests,
                    writes=minute.writes,
                    connections=minute.connections,
                    bytes_sent=minute.sent,
                    bytes_received=minute.received,
                )
                for number, minute in sorted(self._minutes.items())
                if began // MINUTE <= number <= ended // MINUTE
            ]


TRAFFIC = Traffic()


def is_write(verb: str, resource: str, path: str) -> bool:
    """Whether a request asks the API server to store something; a dry run and a connection to a Pod do not."""
    return verb in WRITES and not resource.endswith(NOT_STORED) and "dryRun=All" not in path


def together(records: Iterable[LoadRecord]) -> LoadRecord:
    """Return the sum of the counts of several processes."""
    all_records = list(records)
    requests = sum((Counter(record.requests) for record in all_records), Counter[str]())
    return LoadRecord(
        requests=dict(sorted(requests.items())),
        total=sum(record.total for record in all_records),
        writes=sum(record.writes for record in all_records),
        connections=sum(record.connections for record in all_records),
        watches=sum(record.watches for record in all_records),
        bytes_sent=sum(record.bytes_sent for record in all_records),
        bytes_received=sum(record.bytes_received for record in all_records),
    )


def line(load: LoadRecord, seconds: float) -> str:
    """Return the counts as one line for people; `seconds` is how long the run took."""
    rate = f" ({load.total / seconds:.1f}/s)" if seconds else ""
    amounts = f"{load.bytes_received / 1e6:.1f} MB received, {load.bytes_sent / 1e6:.1f} MB sent"
    return f"{load.total:,} requests{rate}, {load.writes:,} writes, {load.watches} open watches at most, {amounts}"
