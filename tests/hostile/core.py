"""What the controllers of the cluster share: its objects, addresses and network."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubechain.kube.objects import Json
from tests.hostile.addresses import Addresses
from tests.hostile.network import Network
from tests.hostile.store import Store

VERSION = "v1.37.2"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def unchanged(body: Json) -> Json:
    """Return the object: no webhook changes it."""
    return body


@dataclass
class Core:
    """The parts of the cluster below its API; `mutate` is a mutating webhook, `ca` the CA's certificate in PEM.

    `environments` are the variables of containers by the UID of their Pod; `absent` is an image that no registry has; `full` is
    why the scheduler finds no Node, "" if it does; `turned_away` is how many Pods of controllers their Nodes still do not take.
    The controller of EndpointSlices lists no addresses of the families
    `unlisted`, kube-proxy forwards none of `unproxied`, and the DNS has no records of `unnamed`.
    """

    store: Store
    addresses: Addresses
    network: Network
    ca: str
    mutate: Callable[[Json], Json] = unchanged
    absent: str = ""
    full: str = ""
    turned_away: int = 0
    unlisted: set[str] = field(default_factory=set[str])
    unproxied: set[str] = field(default_factory=set[str])
    unnamed: set[str] = field(default_factory=set[str])
    environments: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def suffix(self) -> str:
        """Return five random letters, as in the name of a Pod."""
        return "".join(random.choices(LETTERS, k=5))  # noqa: S311  # no secret

    def node_name(self, number: int) -> str:
        """Return the name of a Node, from 1 on."""
        return f"hostile-{number}"

    def passes(self, container: Json) -> bool:
        """Whether the readiness probe of a container passes: all do, except one that runs `false`."""
        probe: dict[str, Any] = container.get("readinessProbe", {})
        return probe.get("exec", {}).get("command") != ["false"]

    def event(self, resource: Json, reason: str, message: str) -> None:
        """Store an Event about an object."""
        metadata = resource["metadata"]
        name, when = f"{metadata['name']}.{self.suffix()}{self.suffix()}", self.store.timestamp()
        about = {"kind": resource["kind"], "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
        body: Json = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": metadata["namespace"]}}
        times = {"firstTimestamp": when, "lastTimestamp": when, "count": 1}
        self.store.create({**body, "involvedObject": about, "reason": reason, "message": message, "type": "Normal", **times})
