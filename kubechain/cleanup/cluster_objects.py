"""What runs left on a cluster that may still be in use: namespaces, witnesses of upgrades and cordons, with owner and age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubechain.cleanup import cordons, namespaces
from kubechain.core.progress import Progress
from kubechain.core.run import CORDONED_BY, OWNED_BY, RUN_LABEL, UPGRADE_LABEL
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
UNEXPIRED = "its run may be alive, and it has not expired; remove now: --kept"
WITNESSES = "it holds the witnesses of an upgrade, and has not expired; remove: kubechain upgrade after, or --kept"


@dataclass(frozen=True)
class Leftover:
    """A namespace or cordoned Node of a run; `line` names it with owner and age, `hint` says why it stays and how it goes.

    `is_alive` says that its run lives on this machine.
    """

    resource: KubeObject
    line: str
    hint: str
    is_alive: bool


def find(api: Api, cache: Path, nodes: Iterable[KubeObject]) -> list[Leftover]:
    """Return the cordoned `nodes`, and all namespaces of runs and of witnesses on a cluster, that are not being deleted."""
    now = api.server_time()

    def leftover(resource: KubeObject, run_id: str, hint: str) -> Leftover:
        marks = {**resource.labels, **resource.annotations}
        created = None if resource.kind == "Node" else resource.at("metadata.creationTimestamp")
        since = f", {words(now - datetime.fromisoformat(created).timestamp())} old" if created else ""
        expires = namespaces.expiry_of(marks)
        until = f", expires in {words(expires - now)}" if expires < float("inf") else ""
        owner = marks.get(OWNED_BY, "an unknown owner")
        line = f"{resource.kind} {resource.name} (by {owner}{since}{until})"
        return Leftover(resource, line, hint, namespaces.is_alive(run_id, cache))

    return [
        *(leftover(node, node.annotations[CORDONED_BY], UNEXPIRED) for node in nodes),
        *(leftover(space, space.labels[RUN_LABEL], UNEXPIRED) for space in namespaces.left_by_runs(api)),
        *(leftover(space, space.labels[UPGRADE_LABEL], WITNESSES) for space in namespaces.witnesses(api)),
    ]


def remove(api: Api, chosen: Iterable[Leftover], progress: Progress) -> list[KubeObject]:
    """Uncordon the Nodes and delete the namespaces, without waiting; return the namespaces."""
    resources = [each.resource for each in chosen]
    for node in (each for each in resources if each.kind == "Node"):
        with progress.step(f"uncordoning the Node {node.name}"):
            cordons.uncordon(api, node.name, node.annotations[CORDONED_BY])
    spaces = [each for each in resources if each.kind != "Node"]
    namespaces.remove(api, spaces, progress)
    return spaces


def words(seconds: float) -> str:
    """Return a time such as "3 min", "5 h" or "2 d"."""
    for unit, name in ((DAY, "d"), (HOUR, "h")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds) / MINUTE:.0f} min"
