"""Waits until a kind cluster is ready: each Node that it must have, and the system Pods."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from kubechain.cluster.kind import Cluster
from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.provision import inotify

SETTLED = Timeout(120, "CoreDNS starts, and the workers' network with it")
# Of the kubelet, whose lines begin with the severity (klog).
SERIOUS = re.compile(r"^[EF]\d{4} ")
NO_INSTANCES = re.compile(r"inotify|too many open files", re.IGNORECASE)
MOST_CHARACTERS = 300


def settled(objects: Sequence[KubeObject], nodes: Collection[str] = ()) -> Result:
    """Return whether there is a Node of each of these names, and every Node and every Pod that is not over is ready."""
    absent = sorted(set(nodes) - {each.name for each in objects if each.kind == "Node"})
    if absent:
        return unmet(f"no Node {some(absent)}")
    waiting = [each.name for each in objects if not each.settled]
    return expect(bool(objects) and not waiting, f"{some(waiting)} not ready")


def settle(api: Api, cluster: Cluster) -> None:
    """Wait until every node of a cluster is a ready Node, and every Pod of kube-system is ready.

    Raises:
        SetupError: they do not become so in time (exit code CLUSTER); the message has what a kubelet says whose Node is not.

    """
    nodes = cluster.nodes()
    source = Polled("nodes and system Pods", lambda: api.list("Node").items + api.list("Pod", "kube-system").items, RealClock())
    condition = Condition[list[KubeObject]]("every Node and system Pod ready", lambda objects: settled(objects, nodes))
    try:
        with unmet_as(SetupError, "the new cluster does not become ready", code=ExitCode.CLUSTER):
            Waiter(RealClock()).eventually(source, condition, within=SETTLED)
    except SetupError as error:
        ready = {node.name for node in api.list("Node").items if node.settled}
        why = next((why for node in nodes if node not in ready and (why := last_words(cluster.kubelet_log(node)))), "")
        if not why:
            raise
        enough = f"; raise the limit: sysctl fs.inotify.max_user_instances={inotify.ENOUGH}"
        raise SetupError(f"{error}; a kubelet says: {why}{enough if NO_INSTANCES.search(why) else ''}", error.code) from error


def last_words(log: str) -> str:
    """Return the last serious line of the log of a kubelet, else its last line, "" of an empty one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if SERIOUS.match(line)), lines[-1] if lines else "")[:MOST_CHARACTERS]
