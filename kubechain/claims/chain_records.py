"""The records of the chains of a run in run.json: when each hand-over happened, and how long hand-overs took."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime

from kubechain.core.records import JsonRecord, rounded

REPLICASET = "ReplicaSet created"
POD = "Pod created"
SCHEDULED = "Pod scheduled"
IMAGE = "image present"
STARTED = "containers started"
READY = "Pod ready"
LISTED = "address in EndpointSlice"
CLUSTER_IP = "clusterIP answers"
NODE_PORT = "each nodePort answers"
NAME = "name resolves"
GONE = "Pod gone"
UNLISTED = "address gone"
REFUSED = "each nodePort refuses"
# The hand-overs of a chain, in their order.
STEPS = (REPLICASET, POD, SCHEDULED, IMAGE, STARTED, READY, LISTED, CLUSTER_IP, NODE_PORT, NAME, GONE, UNLISTED, REFUSED)
# Sums of hand-overs.
START_UP = "Pod start-up"
POD_UP = "Pod up"
CHAIN_UP = "chain up"


class StepRecord(JsonRecord):
    """One hand-over of a chain, in seconds after its Deployment was first seen."""

    what: str
    began: Annotated[float, rounded(4)]
    """When the step before it ended; of an answer, its first question, if that came later; of a Pod's end, its deletion."""
    ended: Annotated[float, rounded(4)]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class ChainRecord(JsonRecord):
    """One chain of a run: the hand-overs of its first Pod that became ready, else of its first Pod."""

    namespace: str
    pulled: bool | None
    """Whether the Node pulled the image for the Pod; null if no Event says."""
    steps: list[StepRecord]
    began: AwareDatetime | None = None
    """When the Deployment was first seen; null in files of earlier versions."""

    def ended(self, what: str) -> float | None:
        """Return when a step ended, in seconds after the Deployment was first seen; None if it did not."""
        return next((step.ended for step in self.steps if step.what == what), None)


class HandOverRecord(JsonRecord):
    """How long one hand-over took in all chains of a run, in seconds."""

    what: str
    count: int
    p50: Annotated[float, rounded(4)]
    p90: Annotated[float, rounded(4)]
    p99: Annotated[float, rounded(4)]
    max: Annotated[float, rounded(4)]
    slo: float | None = None
    """The bound on p99 that Kubernetes publishes; null without one."""
