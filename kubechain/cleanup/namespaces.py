"""Namespaces that runs have left on a cluster that stays: which of them nobody needs any more, and their removal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kubechain.cleanup import run_locks
from kubechain.conditions.condition import empty
from kubechain.conditions.timeouts import NAMESPACE_GONE
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL, UPGRADE_LABEL
from kubechain.core.settings import PROJECT
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter


def left_by_runs(api: Api) -> list[KubeObject]:
    """Return the namespaces that runs made, told by label and name, and that are not being deleted already."""
    found = api.list("Namespace", selector=f"{RUN_LABEL},{EXPIRES_LABEL}").items
    return [each for each in found if is_ours(each) and not each.at("metadata.deletionTimestamp")]


def witnesses(api: Api) -> list[KubeObject]:
    """Return the namespaces of witnesses, told by label and name: of upgrades that have yet to come, or never did."""
    found = api.list("Namespace", selector=UPGRADE_LABEL).items
    return [each for each in found if each.name.startswith(f"{PROJECT}-upgrade-") and not each.deleting]


def is_ours(namespace: KubeObject) -> bool:
    """Whether name and labels of a namespace are what a run gives to its own."""
    run = labels(namespace).get(RUN_LABEL)
    return bool(run) and namespace.name.startswith(f"{PROJECT}-{run}-")


def labels(namespace: KubeObject) -> dict[str, str]:
    """Return the labels of a namespace."""
    return namespace.at("metadata.labels", {})


def expiry(namespace: KubeObject) -> float:
    """Return when a namespace of a run expires, in Unix seconds; never, if its label does not tell."""
    text = labels(namespace).get(EXPIRES_LABEL, "")
    return float(text) if text.isdecimal() else float("inf")


def unneeded(found: Iterable[KubeObject], cache: Path, now: float, *, kept_too: bool = False) -> list[KubeObject]:
    """Return the namespaces that no run needs any more.

    A run may live on another machine, of which nothing is known here: until it expires, a namespace is only removed
    if its run died on this machine, or if that is asked for (`kept_too`); never if its run lives on this one.
    """

    def is_unneeded(namespace: KubeObject) -> bool:
        name = f"{PROJECT}-{labels(namespace)[RUN_LABEL]}"
        over = expiry(namespace) < now or run_locks.has_died(cache, name) or kept_too
        return over and not run_locks.is_alive(cache, name)

    return [each for each in found if is_unneeded(each)]


def clear(api: Api, uid: str, cache: Path, progress: Progress, *, kept_too: bool = False) -> list[str]:
    """Begin the deletion of the namespaces on a cluster (known by its UID) that no run needs; return their names."""
    found = unneeded(left_by_runs(api), cache, RealClock().wall(), kept_too=kept_too)
    found += witnesses(api) if kept_too else []
    for namespace in found:
        with progress.step(f"removing namespace {namespace.name}, whose run is gone"):
            api.delete("Namespace", "", namespace.name, {"preconditions": {"uid": namespace.uid}}, missing_ok=True)
    for name in run_locks.names(cache):
        visited = run_locks.visited(cache, name)
        if visited and visited[0] == uid and not run_locks.is_alive(cache, name):
            run_locks.forget(cache, name)
    return [namespace.name for namespace in found]


def await_gone(api: Api, names: list[str]) -> None:
    """Wait until namespaces whose deletion has begun are gone.

    Raises:
        SetupError: they are not, after a long time (exit code CLUSTER).

    """
    clock = RealClock()
    left = Polled("namespaces", lambda: [name for name in names if api.get("Namespace", "", name)], clock)
    with unmet_as(SetupError, code=ExitCode.CLUSTER):
        Waiter(clock).eventually(left, empty("namespace"), within=NAMESPACE_GONE)
