"""Find and remove namespaces of ended runs on a cluster that the runs did not delete."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from kubechain.cleanup import pods_of_runs, run_locks
from kubechain.conditions.condition import empty
from kubechain.conditions.timeouts import NAMESPACE_GONE
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, LIFETIME, RUN_LABEL, UPGRADE_LABEL
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
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


def expiry_of(marks: Mapping[str, str]) -> float:
    """Return the expiry in labels or annotations of a run in Unix seconds, infinity if it is no number."""
    text = marks.get(EXPIRES_LABEL, "")
    return float(text) if text.isdecimal() else float("inf")


def unneeded(
    candidates: Iterable[KubeObject], cache: Path, now: float, ended: Callable[[Mapping[str, str]], bool] = lambda _marks: False
) -> list[KubeObject]:
    """Return those namespaces of runs that may be removed at the time `now` of the API server (Unix seconds).

    `ended` says whether the Pod that annotations name has ended.
    """
    return [
        each
        for each in candidates
        if is_over(each.labels[RUN_LABEL], expiry_of(each.labels), cache, now, ended=ended(each.annotations))
    ]


def is_over(run_id: str, expires: float, cache: Path, now: float, *, ended: bool = False) -> bool:
    """Whether what a run made may be removed at the time `now` of the API server (Unix seconds); `ended` says that its Pod has.

    It may be removed if it has expired, or if its run died on this machine or ended with its Pod, but never while its run lives
    on this machine. A run on another machine cannot be observed; its expiry protects it.
    """
    return (ended or expires < now or run_locks.has_died(cache, f"{PROJECT}-{run_id}")) and not is_alive(run_id, cache)


def is_alive(run_id: str, cache: Path) -> bool:
    """Whether a run lives on this machine."""
    return run_locks.is_alive(cache, f"{PROJECT}-{run_id}")


def renew(api: Api, run_id: str, labels: dict[str, str]) -> None:
    """Set the expiry in `labels` and in the labels of the run's namespaces to LIFETIME from now, by the API server's clock.

    A namespace whose change is refused keeps its expiry: the right to patch namespaces is not required, and it may be deleted.
    """
    labels[EXPIRES_LABEL] = str(int(api.server_time() + LIFETIME.total_seconds()))
    patch = {"metadata": {"labels": {EXPIRES_LABEL: labels[EXPIRES_LABEL]}}}
    for namespace in of_run(api, run_id):
        if not namespace.deleting:
            with contextlib.suppress(ApiRefused):
                api.patch("Namespace", "", namespace.name, patch)


def clear(api: Api, uid: str, cache: Path, progress: Progress) -> list[KubeObject]:
    """Delete the unneeded namespaces and expired witnesses on the cluster `uid`, do not wait, and return them.

    Forget the dead runs that visited this cluster.
    """
    now = api.server_time()
    removable = unneeded(left_by_runs(api), cache, now, partial(pods_of_runs.has_ended, api))
    removable += [each for each in witnesses(api) if expiry_of(each.labels) < now]
    remove(api, removable, progress)
    run_locks.forget_visitors(cache, uid)
    return removable


def remove(api: Api, removable: Iterable[KubeObject], progress: Progress) -> None:
    """Delete namespaces, unless another one has the name by now, and do not wait."""
    for namespace in removable:
        with progress.step(f"removing the namespace {namespace.name}"):
            api.delete("Namespace", "", namespace.name, {"preconditions": {"uid": namespace.uid}}, missing_ok=True)


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


def await_gone(api: Api, removed: Sequence[KubeObject]) -> None:
    """Wait until namespaces whose deletion has begun no longer exist.

    Raises:
        SetupError: one still exists after NAMESPACE_GONE (exit code CLUSTER).

    """
    clock = RealClock()

    def remaining() -> list[str]:
        return [each.name for each in removed if (found := api.get("Namespace", "", each.name)) and found.uid == each.uid]

    with unmet_as(SetupError, code=ExitCode.CLUSTER):
        Waiter(clock).eventually(Polled("namespaces", remaining, clock), empty("namespace"), within=NAMESPACE_GONE)
