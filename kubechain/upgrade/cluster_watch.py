"""What is watched of a cluster during its upgrade: Nodes, the Pods and leases of kube-system, the API server's version."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kubechain.cluster import existing
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.watcher import Watcher
from kubechain.upgrade.model import UpgradeEvent
from kubechain.upgrade.versions import kubelets, minor

VERSION_SECONDS = 1.0
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
LABEL = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')


@dataclass
class Watching:
    """The histories, and `servers`: when (Unix seconds) which version of the API server was first seen."""

    nodes: History
    system: History
    clock: Clock
    servers: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    steps: list[UpgradeEvent] = field(default_factory=list[UpgradeEvent])

    def mark(self, what: str) -> None:
        """Note a step of the upgrade."""
        self.steps.append(UpgradeEvent(self.clock.wall(), "step", what))

    @property
    def server(self) -> str:
        """The version of the API server, as last seen; "" if it never was."""
        return self.servers[-1][1] if self.servers else ""

    @property
    def kubelets(self) -> dict[str, str]:
        """Node name -> the version of its kubelet, as last seen."""
        return kubelets(self.nodes.read().all("Node"))

    @property
    def control_planes(self) -> int:
        """The number of Nodes that are labelled as control plane, as last seen; a managed cluster shows none."""
        return sum(CONTROL_PLANE in node.labels for node in self.nodes.read().all("Node"))

    @property
    def drained(self) -> tuple[str, ...]:
        """The Nodes that were cordoned or deleted at any time: their Pods were to go."""
        log = [seen for seen in self.nodes.log() if seen.resource.kind == "Node"]
        gone = {seen.resource.name for seen in log if seen.change == "DELETED" or seen.resource.at("spec.unschedulable")}
        return tuple(sorted(gone))

    def arrived(self, server: str) -> bool:
        """Whether the API server and every kubelet left the version `server`, and are of one minor version."""
        versions = {self.server or server, *self.kubelets.values()}
        return server not in versions and len({minor(version) for version in versions}) == 1


@contextmanager
def watching(api: Api, clock: Clock) -> Generator[Watching]:
    """Watch for the time of the body."""
    twin = api.twin()
    with Watcher(api, "", clock, ("Node",)) as nodes, Watcher(api, "kube-system", clock, ("Pod", "Lease")) as system:
        found = Watching(nodes.history, system.history, clock)

        def ask() -> None:
            version = existing.server_version(twin)
            if found.server != version:
                found.servers.append((clock.wall(), version))

        with run_periodically("version of the API server", VERSION_SECONDS, ask, clock):
            yield found
    twin.close()


def deprecated(api: Api) -> dict[str, str] | None:
    """Return the deprecated APIs that anything on the cluster has asked for: "resource.version.group" -> removed in.

    From the metric apiserver_requested_deprecated_apis
    (https://kubernetes.io/docs/reference/using-api/deprecation-policy/); None where it may not be read.
    """
    try:
        text = api.call("GET", "/metrics", accept="text/plain")
    except ApiRefused:
        return None
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("apiserver_requested_deprecated_apis{"):
            labels: dict[str, str] = {name: json.loads(value) for name, value in LABEL.findall(line)}
            name = ".".join(filter(None, (labels.get(part) for part in ("resource", "version", "group"))))
            found[name] = labels.get("removed_release", "")
    return found
