"""Ways in which a cluster differs: policies that refuse, changed and added Nodes, objects in each new namespace."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kubechain.conditions.condition import Result, expect
from kubechain.core.run import RUN_LABEL
from kubechain.faults.admission_policies import GROUPS, bind, try_create, unbind
from kubechain.faults.testbed import TRIAL
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from kubechain.kube.paths import PLURALS
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import RealClock
from tests.terrains.ground import Ground

SYSTEM = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"]
EVERY = 99
HEARTBEAT_SECONDS, POLL_SECONDS = 5.0, 0.05


@dataclass(frozen=True)
class Rule:
    """A ValidatingAdmissionPolicy in every namespace but those of the system.

    Objects of the kinds for which the CEL `expression` is false are refused with `message`; `sample` is refused.
    """

    name: str
    kinds: tuple[str, ...]
    expression: str
    message: str
    sample: Json

    def inject(self, ground: Ground, /) -> None:
        """Create the policy and its binding."""
        home = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": SYSTEM}
        rules = [
            {
                "apiGroups": GROUPS.get(kind, [""]),
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [PLURALS[kind][1]],
            }
            for kind in self.kinds
        ]
        spec = {
            "matchConstraints": {"namespaceSelector": {"matchExpressions": [home]}, "resourceRules": rules},
            "validations": [{"expression": self.expression, "message": self.message}],
            # Objects that are being deleted are updated once more.
            "matchConditions": [{"name": "lasts", "expression": "!has(object.metadata.deletionTimestamp)"}],
        }
        bind(ground, "ValidatingAdmissionPolicy", self.name, spec, {"validationActions": ["Deny"]})

    def in_effect(self, ground: Ground, /) -> Result:
        """Create the sample with dryRun: it must be refused."""
        tried = try_create(ground, self.sample)
        return expect(isinstance(tried, str) and self.name in tried, f"{tried if isinstance(tried, str) else 'no refusal'}")

    def heal(self, ground: Ground, /) -> None:
        """Delete the policy and its binding."""
        unbind(ground, "ValidatingAdmissionPolicy", self.name)


@dataclass(frozen=True)
class WorkersPatched:
    """The first `count` workers with a merge patch, which the field `shows` shows; `back` reverts it."""

    shows: str
    patch: Json
    back: Json
    count: int = EVERY

    def inject(self, ground: Ground, /) -> None:
        """Apply the patch."""
        for node in ground.workers()[: self.count]:
            ground.api.patch("Node", "", node.name, self.patch)

    def in_effect(self, ground: Ground, /) -> Result:
        """Check the field."""
        return expect(all(node.at(self.shows) for node in ground.workers()[: self.count]), f"a Node without {self.shows}")

    def heal(self, ground: Ground, /) -> None:
        """Revert the patch."""
        for node in ground.workers():
            ground.api.patch("Node", "", node.name, self.back)


def tainted(count: int = EVERY) -> WorkersPatched:
    """Return workers with the taint dedicated=db:NoSchedule."""
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    return WorkersPatched("spec.taints", {"spec": {"taints": [taint]}}, {"spec": {"taints": None}}, count)


@dataclass
class AddedNode:
    """A Node without a machine, whose status is patched every few seconds so that it stays Ready."""

    name: str
    labels: Json = field(default_factory=dict[str, str])
    taints: tuple[Json, ...] = ()
    addresses: tuple[Json, ...] = ({"type": "InternalIP", "address": "172.31.255.7"},)
    system: str = "linux"
    architecture: str = "amd64"
    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, ground: Ground, /) -> None:
        """Create the Node, and report its status in a thread."""
        of_machine = {"hostname": self.name, "os": self.system, "arch": self.architecture}
        labels = {**{f"kubernetes.io/{key}": value for key, value in of_machine.items()}, **self.labels}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}}
        ground.recreate({**body, "spec": {"taints": [*self.taints]}})
        api = ground.api.twin()
        self._running.callback(api.close)

        def report() -> None:
            with suppress(ApiRefused):
                api.patch("Node", "", self.name, {"status": self._status()}, sub="status", form="strategic-merge")

        self._running.enter_context(run_periodically("heartbeat", HEARTBEAT_SECONDS, report, RealClock()))

    def _status(self) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        usual = {"lastHeartbeatTime": now, "reason": "Terrain"}
        pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
        conditions = [{"type": "Ready", "status": "True", **usual}]
        conditions += [{"type": each, "status": "False", **usual} for each in pressures]
        room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        info = dict.fromkeys(("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion"), "none")
        info |= {"kubeletVersion": "v1.37.2", "kubeProxyVersion": "", "operatingSystem": self.system}
        info["architecture"] = self.architecture
        return {
            "addresses": [*self.addresses],
            "conditions": conditions,
            "capacity": room,
            "allocatable": room,
            "nodeInfo": info,
        }

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the Node is Ready, and that the taint of a new Node is gone."""
        node = ground.api.get("Node", "", self.name)
        taints: list[Json] = node.at("spec.taints", []) if node else []
        fresh = any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints)
        return expect(node is not None and node.is_true("Ready") and not fresh, "a Node that is not ready")

    def heal(self, ground: Ground, /) -> None:
        """Delete the Node, and the Pods of DaemonSets that were bound to it."""
        self._running.close()
        ground.delete("Node", self.name)
        for pod in ground.api.list("Pod", only=f"spec.nodeName={self.name}").items:
            namespace = str(pod.at("metadata.namespace"))
            ground.api.delete("Pod", namespace, pod.name, {"gracePeriodSeconds": 0}, missing_ok=True)


@dataclass
class InEachNamespace:
    """Objects that every new namespace of a run gets at once, as tools for tenants give them."""

    manifests: tuple[Json, ...]
    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, ground: Ground, /) -> None:
        """Look for new namespaces in a thread, and furnish each."""
        api, done = ground.api.twin(), set[str]()
        self._running.callback(api.close)

        def poll() -> None:
            for namespace in api.list("Namespace", selector=RUN_LABEL).items:
                if namespace.name not in done and not namespace.deleting:
                    for manifest in self.manifests:
                        with suppress(ApiRefused):
                            api.create(manifest, namespace.name)
                    done.add(namespace.name)

        self._running.enter_context(run_periodically("tenants", POLL_SECONDS, poll, RealClock()))

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the namespace for samples, which exists, has the objects."""
        missing = [each for each in self.manifests if ground.api.get(each["kind"], TRIAL, each["metadata"]["name"]) is None]
        return expect(not missing, f"{len(missing)} objects missing")

    def heal(self, ground: Ground, /) -> None:
        """Stop looking; the objects are deleted with their namespaces."""
        self._running.close()
        for manifest in self.manifests:
            ground.delete(manifest["kind"], manifest["metadata"]["name"], TRIAL)
