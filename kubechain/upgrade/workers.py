"""The workers of a kind cluster in a hop: upgraded in place, drained before it, restarted after it, or replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from kubechain.cluster import worker_nodes
from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import NODE_BACK, Timeout
from kubechain.core import redact
from kubechain.core.errors import SetupError
from kubechain.core.settings import Settings
from kubechain.kube.client import Api
from kubechain.kube.errors import starting_up
from kubechain.kube.families import family_of
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Polled
from kubechain.upgrade.machines import Machines
from kubechain.upgrade.node_commands import NodeCommands
from kubechain.workload.urls import addresses_of

# What is done to each worker: nothing besides its upgrade, a drain, a drain and a restart, or another worker in its place.
Way = Literal["in place", "drained", "restarted", "replaced"]
DRAIN_SECONDS = 180
KUBELET = Timeout(120, "the kubelet starts and reports to the API server, which may be restarting")
POLL_SECONDS = 0.5
# kubeadm's check SystemVerification fails on machines that kind supports, such as those with cgroup v1.
IGNORED = "--ignore-preflight-errors=SystemVerification"
# The command on the control plane's node.
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")


def way_of(settings: Settings) -> Way:
    """Return what is done to each worker by the options of a run."""
    if settings.replace:
        return "replaced"
    return "restarted" if settings.reboot else "drained" if settings.drain else "in place"


@dataclass(frozen=True)
class WorkerHop:
    """The hop of each worker; `record_step` is called as each step begins or ends, `machines` are those of new workers."""

    commands: NodeCommands
    api: Api
    record_step: Callable[[str], None]
    control_plane: str
    way: Way = "in place"
    machines: Machines | None = None

    def run(self, node: str) -> None:
        """Bring a worker to the new version; SetupError if a step fails (exit code CLUSTER)."""
        if self.way == "replaced":
            self._replace(node)
            return
        commands, before = self.commands, self._containers(node) if self.way == "restarted" else {}
        if self.way != "in place":
            self._drain(node)
        commands.replace(node, "kubeadm")
        commands.retry(node, "kubeadm", "upgrade", "node", IGNORED)
        self.kubelet(node)
        if self.way == "restarted":
            self._restart(node, before)
        if self.way != "in place":
            commands.retry(self.control_plane, *KUBECTL, "uncordon", node)
            self.record_step(f"uncordoned {node}")

    def kubelet(self, node: str) -> None:
        """Replace the kubelet of a node, and wait until it reports."""
        # After `kubeadm upgrade`, which removes flags that the new kubelet does not know.
        self.commands.replace(node, "kubelet")
        self.commands.run(node, "systemctl", "restart", "kubelet")
        self.record_step(f"kubelet of {node} restarted")
        self._await_kubelet(node)

    def _await_kubelet(self, node: str) -> None:
        source = Polled(f"node {node}", lambda: self._node(node), self.commands.waiter.clock, POLL_SECONDS)
        upgraded = Condition[KubeObject | None](f"Node {node} ready, kubelet v{self.commands.to}", self._upgraded)
        self.commands.wait(source, upgraded, KUBELET)

    def _upgraded(self, node: KubeObject | None) -> Result:
        """Return whether a Node is ready and its kubelet has the new version."""
        if node is None:
            return unmet("no such Node")
        version, ready = node.at("status.nodeInfo.kubeletVersion"), node.condition("Ready")
        state = f"Ready {ready.get('status')} ({ready.get('message')})"
        as_wanted = version == f"v{self.commands.to}" and node.is_true("Ready")
        return expect(as_wanted, redact.beginning(f"kubelet {version}, {state}", 200))

    def _drain(self, node: str) -> None:
        self.record_step(f"draining {node}")
        options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_SECONDS}s")
        self.commands.retry(self.control_plane, *KUBECTL, "drain", node, *options)
        self.record_step(f"drained {node}")

    def _restart(self, node: str, before: dict[str, str]) -> None:
        """Restart the machine of a node, and wait until its system Pods run again."""
        self.record_step(f"restarting {node}")
        worker_nodes.restart(self.commands.cluster, node)
        # The Node may be called Ready all the while: only new containers show that its kubelet is back.
        source = Polled(f"Pods of {node}", lambda: self._system_pods(node), self.commands.waiter.clock, POLL_SECONDS)
        again = Condition[list[KubeObject]](f"the system Pods of {node} restarted", partial(started_again, before))
        self.commands.wait(source, again, NODE_BACK)
        self._await_kubelet(node)
        self.record_step(f"restarted {node}")

    def _replace(self, node: str) -> None:
        """Join a machine as a new worker at the new version; then drain a worker, and delete its machine and its Node."""
        if self.machines is None:
            raise SetupError(f"{node}: no machine to replace it with")
        commands, cluster = self.commands, self.commands.cluster
        new = self.machines.take(cluster)
        token = commands.retry(self.control_plane, "kubeadm", "token", "create", "--ttl=10m", "--print-join-command")
        self.record_step(f"joining {new}")
        old = self._node(node)
        families = [family_of(address) for address in addresses_of(old)] if old else []
        worker_nodes.join(cluster, new, token.stdout, cluster.path, families)
        self._await_kubelet(new)
        worker_nodes.release(cluster, new)
        source = Polled(f"Pods of {new}", lambda: self._system_pods(new), commands.waiter.clock, POLL_SECONDS)
        running = Condition[list[KubeObject]](f"the system Pods of {new} ready", partial(started_again, {}))
        commands.wait(source, running, NODE_BACK)
        self.record_step(f"joined {new}")
        self._drain(node)
        worker_nodes.stop(cluster, node)
        commands.retry(self.control_plane, *KUBECTL, "delete", "node", node)
        self.record_step(f"deleted {node}")

    def _node(self, name: str) -> KubeObject | None:
        with starting_up():
            return self.api.get("Node", "", name)

    def _system_pods(self, node: str) -> list[KubeObject]:
        with starting_up():
            pods = self.api.list("Pod", "kube-system").items
        return [pod for pod in pods if pod.at("spec.nodeName") == node]

    def _containers(self, node: str) -> dict[str, str]:
        return {pod.uid: container_ids(pod) for pod in self._system_pods(node)}


def container_ids(pod: KubeObject) -> str:
    """Return the ids of a Pod's containers, "" while it has none."""
    statuses: list[Json] = pod.at("status.containerStatuses") or []
    return " ".join(str(status.get("containerID", "")) for status in statuses).strip()


def started_again(before: dict[str, str], pods: list[KubeObject]) -> Result:
    """Return whether a node has system Pods, and all of them are ready, in other containers than before."""
    waiting = [pod.name for pod in pods if not pod.settled or container_ids(pod) == before.get(pod.uid)]
    return expect(bool(pods) and not waiting, f"{some(waiting)} not" if waiting else "no Pod")
