"""Whether a chain that does not come up stands before an obstacle, which is not the chain's fault."""

from __future__ import annotations

from collections.abc import Collection

from kubechain.claims.obstacles import Obstacle, no_room, refuser
from kubechain.conditions import obstructed
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.observe.changes import latest
from kubechain.observe.history import History


def taken_away(api: Api, namespace: str) -> str:
    """Return since when a namespace is being deleted, "" if it is not, or if that cannot be known."""
    try:
        found = api.get("Namespace", "", namespace)
    except HarnessError:
        return ""
    if found is None:
        return f"{namespace} is gone"
    return f"{namespace}, at {found.at('metadata.deletionTimestamp')}" if found.deleting else ""


def obstacle(objects: History, images: Collection[str]) -> tuple[Obstacle, str] | None:
    """Return the obstacle that a chain stands before, and why, by its watched objects; None if there is none.

    `images` are those that the cluster itself pulls for the run: where the run has loaded its images, a missing one is a fault
    of the cluster.
    """
    log = objects.log()
    state = latest(log)
    refused = [message for message in obstructed.refusals(state) if refuser(message)]
    if refused:
        return Obstacle.ADMISSION, f"Pod: {refused[0]}"
    full = [message for message in obstructed.unscheduled(state) if no_room(message)]
    if full:
        return Obstacle.ROOM, f"the scheduler says: {full[0]}"
    failures = [*obstructed.image_failures((entry.resource for entry in log), images).values()] if images else []
    # Nobody promises how long a registry takes.
    lacking = failures or obstructed.pulls(state, images)
    return (Obstacle.IMAGES, some(lacking, "; ", 1)) if lacking else None
