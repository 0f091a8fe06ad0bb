"""Find and remove namespaces of ended runs on a cluster that the runs did not delete."""

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
    """Return the namespaces that runs made, by labels and name, except those that are being deleted."""
    labelled = api.list("Namespace", selector=f"{RUN_LABEL},{EXPIRES_LABEL}").items
    return [namespace for namespace in labelled if is_ours(namespace) and not namespace.deleting]


def witnesses(api: Api) -> list[KubeObject]:
    """Return the namespaces with witnesses of an upgrade, by label and name, except those that are being deleted."""
    labelled = api.list("Namespace", selector=UPGRADE_LABEL).items
    return [space for space in labelled if space.name.startswith(f"{PROJECT}-upgrade-") and not space.deleting]


def is_ours(namespace: KubeObject) -> bool:
    """Whether a namespace has the label of a run, and a name that begins with that run."""
    run = namespace.labels.get(RUN_LABEL)
    return bool(run) and namespace.name.startswith(f"{PROJECT}-{run}-")


def expiry(namespace: KubeObject) -> float:
    """Return when a namespace of a run expires in Unix seconds, infinity if its label is no number."""
    text = namespace.labels.get(EXPIRES_LABEL, "")
    return float(text) if text.isdecimal() else float("inf")


def unneeded(candidates: Iterable[KubeObject], cache: Path, now: float, *, kept_too: bool = False) -> list[KubeObject]:
    """Return those namespaces of runs that may be removed at the time `now` (Unix seconds).

    A namespace may be removed if it has expired, if its run died on this machine, or with `kept_too`, but never while its
    run lives on this machine. A run on another machine cannot be observed; its expiry protects it.
    """

    def is_unneeded(namespace: KubeObject) -> bool:
        name = f"{PROJECT}-{namespace.labels[RUN_LABEL]}"
        over = expiry(namespace) < now or run_locks.has_died(cache, name) or kept_too
        return over and not run_locks.is_alive(cache, name)

    return [namespace for namespace in candidates if is_unneeded(namespace)]


def clear(api: Api, uid: str, cache: Path, progress: Progress, *, kept_too: bool = False) -> list[str]:
    """Delete the unneeded namespaces on the cluster `uid`, with `kept_too` also witnesses, and do not wait.

    Return their names. Forget the dead runs that visited this cluster.
    """
    removable = unneeded(left_by_runs(api), cache, RealClock().wall(), kept_too=kept_too)
    removable += witnesses(api) if kept_too else []
    for namespace in removable:
        with progress.step(f"removing the namespace {namespace.name} of a run that has ended"):
            api.delete("Namespace", "", namespace.name, {"preconditions": {"uid": namespace.uid}}, missing_ok=True)
    for name in run_locks.names(cache):
        visited = run_locks.visited(cache, name)
        if visited and visited[0] == uid and not run_locks.is_alive(cache, name):
            run_locks.forget(cache, name)
    return [namespace.name for namespace in removable]


def of_run(api: Api, run_id: str) -> list[KubeObject]:
    """Return the namespaces of one run, also those that are being deleted."""
    return [namespace for namespace in api.list("Namespace", selector=f"{RUN_LABEL}={run_id}").items if is_ours(namespace)]


def remove_all(api: Api, run_id: str) -> None:
    """Delete every namespace of a run, and wait until none exists.

    Raises:
        HarnessError: the API server cannot be reached or refuses, or a namespace still exists after NAMESPACE_GONE.

    """

    def remaining() -> list[str]:
        found = of_run(api, run_id)
        for namespace in found:
            if not namespace.deleting:
                api.delete("Namespace", "", namespace.name, {"preconditions": {"uid": namespace.uid}}, missing_ok=True)
        return [namespace.name for namespace in found]

    clock = RealClock()
    with unmet_as(SetupError, code=ExitCode.CLEANUP):
        Waiter(clock).eventually(
            Polled("namespaces of this run", remaining, clock, 0.5), empty("namespace"), within=NAMESPACE_GONE
        )


def await_gone(api: Api, names: list[str]) -> None:
    """Wait until namespaces whose deletion has begun no longer exist.

    Raises:
        SetupError: one still exists after NAMESPACE_GONE (exit code CLUSTER).

    """
    clock = RealClock()
    remaining = Polled("namespaces", lambda: [name for name in names if api.get("Namespace", "", name)], clock)
    with unmet_as(SetupError, code=ExitCode.CLUSTER):
        Waiter(clock).eventually(remaining, empty("namespace"), within=NAMESPACE_GONE)
