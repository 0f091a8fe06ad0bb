"""Whether the Pods of a Node have room on the others, by what they request, so that a drain ends with all of them running.

Affinity, topology and volumes are not looked at: a Pod may have room and not be allowed to use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from kubechain.conditions.blockers import Blocker, name_of
from kubechain.conditions.nodes import takes_pods
from kubechain.conditions.qos import amount
from kubechain.kube.objects import Json, KubeObject

MIRROR = "kubernetes.io/config.mirror"
RESOURCES = ("cpu", "memory", "pods")
Amounts = dict[str, Decimal]


def no_room(nodes: Sequence[KubeObject], pods: Sequence[KubeObject]) -> list[Blocker]:
    """Return the Nodes that take Pods and of which the Pods that a drain evicts do not fit on the other such Nodes."""
    usable = [node for node in nodes if takes_pods(node)]
    running = [pod for pod in pods if not pod.over]
    free = {node.name: _free(node, running) for node in usable}
    found: list[Blocker] = []
    for node in usable:
        evicted = [pod for pod in running if pod.at("spec.nodeName") == node.name and _evicted(pod)]
        lacking = _lacking([requests(pod) for pod in evicted], [free[other] for other in free if other != node.name])
        if lacking:
            why = f"of its {len(evicted)} Pods, {lacking} have no room elsewhere by what they request"
            found.append(Blocker(name_of(node), why, "add a Node, or request less"))
    return found


def requests(pod: KubeObject) -> Amounts:
    """Return what a Pod requests: the sum of its containers and sidecars, or its largest init container if that is more."""
    containers: list[Json] = pod.at("spec.containers", [])
    init: list[Json] = pod.at("spec.initContainers", [])
    sidecars = [each for each in init if each.get("restartPolicy") == "Always"]
    whole: Json = pod.at("spec.resources.requests", {})
    overhead: Json = pod.at("spec.overhead", {})
    found: Amounts = {"pods": Decimal(1)}
    for name in ("cpu", "memory"):
        asked = sum((_request(each, name) for each in (*containers, *sidecars)), Decimal(0))
        most = max((_request(each, name) for each in init), default=Decimal(0))
        found[name] = (amount(whole[name]) if name in whole else max(asked, most)) + amount(overhead.get(name, 0))
    return found


def _request(container: Json, name: str) -> Decimal:
    resources: Json = container.get("resources") or {}
    given: Json = resources.get("requests") or {}
    return amount(given.get(name, 0))


def _evicted(pod: KubeObject) -> bool:
    """Whether a drain evicts a Pod: not those of DaemonSets, and not static ones."""
    return (pod.controller or {}).get("kind") != "DaemonSet" and MIRROR not in pod.annotations and not pod.deleting


def _free(node: KubeObject, pods: Sequence[KubeObject]) -> Amounts:
    used = [requests(pod) for pod in pods if pod.at("spec.nodeName") == node.name]
    return {
        name: amount(node.at(f"status.allocatable.{name}", 0)) - sum((each[name] for each in used), Decimal(0))
        for name in RESOURCES
    }


def _lacking(wanted: Sequence[Amounts], free: Sequence[Amounts]) -> int:
    """Return how many of the Pods find no Node, the largest first, each on the first Node that has room."""
    left, lacking = [dict(each) for each in free], 0
    for pod in sorted(wanted, key=lambda each: (each["memory"], each["cpu"]), reverse=True):
        place = next((each for each in left if all(each[name] >= pod[name] for name in RESOURCES)), None)
        if place is None:
            lacking += 1
            continue
        for name in RESOURCES:
            place[name] -= pod[name]
    return lacking
