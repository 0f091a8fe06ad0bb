"""Changes of a cluster for upgrade.html: one that lost requests, and one that replaced Nodes."""

from __future__ import annotations

from dataclasses import replace

from kubechain.upgrade.model import AsideSamples, EventKind, NodeSpan, RouteSamples, UpgradeEvent, UpgradeRecord, Versions
from tests.test_upgrade_report import BEGAN, SECONDS, record, seen

OLD, NEW = "v1.36.3", "v1.37.2"
WORKERS = ("kubechain-0a1b2c3d-worker", "kubechain-0a1b2c3d-worker2")
CONTROL_PLANE = "kubechain-0a1b2c3d-control-plane"
Entry = tuple[float, EventKind, str]
ON_CONTROL_PLANE: tuple[Entry, ...] = (
    (4, "step", f"kubeadm upgrade apply {NEW} on {CONTROL_PLANE}"),
    (18, "restart", f"etcd of {CONTROL_PLANE} started"),
    (31, "restart", f"kube-apiserver of {CONTROL_PLANE} started"),
    (33, "version", f"API server {OLD} -> {NEW}"),
    (35, "watch", "watch of Pods down, 3.2 s"),
    (44, "restart", f"kube-controller-manager of {CONTROL_PLANE} started"),
    (46, "leader", f"kube-controller-manager: leader is {CONTROL_PLANE}"),
    (49, "restart", f"kube-scheduler of {CONTROL_PLANE} started"),
    (52, "leader", f"kube-scheduler: leader is {CONTROL_PLANE}"),
    (60, "step", f"kubelet of {CONTROL_PLANE} -> {NEW}"),
    (72, "node", f"{CONTROL_PLANE} Ready"),
)


def _on_worker(worker: str, began: float) -> tuple[Entry, ...]:
    return (
        (began, "step", f"kubeadm upgrade node on {worker}"),
        (began + 4, "node", f"{worker} cordoned"),
        (began + 8, "pod", f"witness-7d4f-x{began:.0f} deleted on {worker}"),
        (began + 15, "restart", f"kube-proxy of {worker} started"),
        (began + 20, "step", f"kubelet of {worker} -> {NEW}"),
        (began + 32, "node", f"{worker} Ready"),
        (began + 34, "node", f"{worker} uncordoned"),
    )


def _refused(each: RouteSamples) -> RouteSamples:
    """Return a route whose lost samples were refused."""
    samples = tuple(replace(sample, error="connection refused" if sample.error else "") for sample in each.tally.samples)
    return replace(each, tally=replace(each.tally, samples=samples))


def upgraded() -> UpgradeRecord:
    """Return an upgrade in which a nodePort was lost for too long, DNS was not known for a while, and the rest went well."""
    names: list[str] = [CONTROL_PLANE, *WORKERS]
    kubelets = dict.fromkeys(names, OLD)
    entries = [*ON_CONTROL_PLANE, *_on_worker(WORKERS[0], 80), *_on_worker(WORKERS[1], 130)]
    return record(
        _refused(seen("NodePort", WORKERS[0], down=(88, 112))),
        seen("NodePort", WORKERS[1]),
        seen("ClusterIP", "web", unknown=(34, 35)),
        seen("DNS", "web", unknown=(140, 146)),
        _refused(seen("API server", "get", down=(27, 33))),
        events=tuple(UpgradeEvent(BEGAN + at, kind, what) for at, kind, what in entries),
        versions=(
            Versions(BEGAN, OLD, kubelets, kubelets),
            Versions(BEGAN + 33, NEW, kubelets, {**kubelets, CONTROL_PLANE: NEW}),
            Versions(BEGAN + 60, NEW, {**kubelets, CONTROL_PLANE: NEW}, dict.fromkeys(names, NEW)),
            Versions(BEGAN + 150, NEW, dict.fromkeys(names, NEW), dict.fromkeys(names, NEW)),
        ),
    )


def replaced_nodes() -> UpgradeRecord:
    """Return an upgrade in which a worker was replaced by a new one."""
    old, new = WORKERS
    return replace(
        upgraded(),
        routes=(
            replace(seen("NodePort", old, end=90), aside={"cordoned": AsideSamples(20, 3)}),
            seen("NodePort", new),
            seen("API server", "get"),
        ),
        nodes=(
            NodeSpan("1", old, BEGAN, BEGAN + 84, "cordoned"),
            NodeSpan("2", new, BEGAN + 60, BEGAN + SECONDS),
        ),
    )
