"""The timeline of a chain: when each of its steps happened, from the history of its namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kubechain.conditions.endpoints import SERVICE_NAME, slice_addresses
from kubechain.conditions.pods import is_ready
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import ObjectChange


@dataclass(frozen=True, slots=True)
class Milestone:
    """A step of the chain; `seconds` count from the moment at which the Deployment was first seen."""

    what: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the milestone as run.json holds it."""
        return {"what": self.what, "seconds": round(self.seconds, 4)}


def milestones(log: Iterable[ObjectChange], name: str) -> list[Milestone]:
    """Return the steps of the chain of Deployment `name`, in the order of time; [] if the log has no such Deployment."""
    labels = {"app": name}
    steps: list[tuple[str, Callable[[KubeObject], bool]]] = [
        ("Deployment created", lambda o: o.kind == "Deployment" and o.name == name),
        ("ReplicaSet created", lambda o: o.kind == "ReplicaSet" and o.matches(labels)),
        ("Pod created", lambda o: o.kind == "Pod" and o.matches(labels)),
        ("Pod scheduled", lambda o: o.kind == "Pod" and o.matches(labels) and o.is_true("PodScheduled")),
        ("Pod ready", lambda o: o.kind == "Pod" and o.matches(labels) and is_ready(o)),
        (
            "address in EndpointSlice",
            lambda o: o.kind == "EndpointSlice" and o.matches({SERVICE_NAME: name}) and bool(slice_addresses([o])),
        ),
        (
            "Deployment complete",
            lambda o: o.kind == "Deployment" and o.name == name and o.is_true("Available"),
        ),
    ]
    entries = list(log)
    firsts = [(what, next((entry.now for entry in entries if is_done(entry.resource)), None)) for what, is_done in steps]
    start = firsts[0][1]
    if start is None:
        return []
    reached = [Milestone(what, at - start) for what, at in firsts if at is not None]
    return sorted(reached, key=lambda milestone: milestone.seconds)
