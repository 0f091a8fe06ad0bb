"""The kind cluster that terrains are made on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.run import RUN_LABEL
from kubechain.faults.testbed import TRIAL
from kubechain.images.docker import Docker
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.provision.settling import settled
from kubechain.workload import manifests

EFFECT = Timeout(120, "the API server reads a policy within seconds; a Node that is silent is NotReady after 50 s")
# What is under way: a ConfigMap of the cluster, so that the next command finds what a killed one has left.
NOTE, SYSTEM = "kubechain-terrains", "kube-system"
# The label of namespaces that belong to no run of the suite has this value.
TERRAINS_RUN = "terrains"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass
class Ground:
    """A kind cluster, by the kubeconfig of its administrator; the images of the workload are on its Nodes.

    `folder` is for keys, `docker` is the engine that has the node containers.
    """

    name: str
    kubeconfig: Path
    context: str
    nginx: str
    client: str
    folder: Path
    docker: Docker
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.kubeconfig, self.context, self.folder)

    def workers(self) -> list[KubeObject]:
        """Return the Nodes that run Pods, by name; virtual ones come later."""
        return sorted((node for node in self.api.list("Node").items if CONTROL_PLANE not in node.labels), key=lambda n: n.name)

    def ready(self, name: str) -> bool:
        """Return whether there is a Node of this name that is Ready."""
        node = self.api.get("Node", "", name)
        return node is not None and node.is_true("Ready")

    def require_settled(self) -> None:
        """Wait until every Node and every system Pod is ready: what was undone last may have restarted some."""
        self.until("Nodes and system Pods", lambda own: settled(own.api.list("Node").items + own.api.list("Pod", SYSTEM).items))

    def recreate(self, manifest: Json, namespace: str = "") -> None:
        """Create an object; an existing one of the same name is deleted first."""
        self.delete(manifest["kind"], manifest["metadata"]["name"], namespace)
        self.api.create(manifest, namespace)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object if it exists."""
        self.api.delete(kind, namespace, name, missing_ok=True)

    def ensure_trial_namespace(self) -> None:
        """Create the namespace for samples, and its ServiceAccount, unless it exists."""
        if self.api.get("Namespace", "", TRIAL) is None:
            self.api.create(manifests.namespace(TRIAL, {RUN_LABEL: TERRAINS_RUN}))
            self.api.create(manifests.service_account(), TRIAL)

    def note(self, terrain: str, fault: str = "") -> None:
        """Write on the cluster which terrain and which fault are being made; "" if none is."""
        data = {"terrain": terrain, "fault": fault}
        if self.api.get("ConfigMap", SYSTEM, NOTE) is None:
            self.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NOTE}, "data": data}, SYSTEM)
        else:
            self.api.patch("ConfigMap", SYSTEM, NOTE, {"data": data})

    def noted(self) -> tuple[str, str]:
        """Return which terrain and which fault a command has begun to make, and has not undone."""
        note = self.api.get("ConfigMap", SYSTEM, NOTE)
        data: Json = note.at("data", {}) if note else {}
        return str(data.get("terrain", "")), str(data.get("fault", ""))

    @contextmanager
    def samples(self) -> Generator[None]:
        """Keep the namespace for samples while the body runs: it is made before a policy can refuse it."""
        self.until("no namespace for samples of an earlier command", lambda ground: expect(not ground._ending(), "one"))
        self.ensure_trial_namespace()
        try:
            yield
        finally:
            self.delete("Namespace", TRIAL)

    def _ending(self) -> bool:
        namespace = self.api.get("Namespace", "", TRIAL)
        return namespace is not None and namespace.deleting

    def until(self, what: str, check: Callable[[Ground], Result]) -> None:
        """Wait until the cluster is as a check says; Unmet after EFFECT."""
        waiter = Waiter(RealClock())
        waiter.eventually(Polled(what, lambda: self, waiter.clock, interval=0.2), Condition[Ground](what, check), within=EFFECT)
