"""Cordon a Node with a mark of the run, uncordon it again, and find Nodes that ended runs left cordoned."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from kubechain.cleanup import namespaces, pods_of_runs
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import CORDONED_BY, EXPIRES_LABEL, LIFETIME, OWNED_BY, POD, owner_marks
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

MARKS = (CORDONED_BY, EXPIRES_LABEL, OWNED_BY, POD)
CORDONED = Timeout(60, "the API server accepts a change of a Node, also if it fails or the Node changes meanwhile")


def cordon(api: Api, node: str, run_id: str) -> None:
    """Make a Node unschedulable, with an annotation that says by which run.

    Raises:
        HarnessError: there is no such Node, it is cordoned already, or the API server does not accept the change.

    """

    def attempt() -> str:
        found = _node(api, node)
        if found is None:
            raise HarnessError(f"Node {node} does not exist")
        if found.annotations.get(CORDONED_BY) == run_id:
            return ""
        if found.at("spec.unschedulable", default=False):
            raise HarnessError(f"Node {node} is cordoned already, and not by this run; it is left as it is")
        expires = str(int(api.server_time() + LIFETIME.total_seconds()))
        marks = {CORDONED_BY: run_id, EXPIRES_LABEL: expires, **owner_marks()}
        return _change(api, found, marks, unschedulable=True)

    _until_changed(f"Node {node} cordoned", attempt)


def uncordon(api: Api, node: str, run_id: str) -> None:
    """Make a Node schedulable again if this run cordoned it, and remove the annotation.

    Raises:
        HarnessError: the API server does not accept the change within CORDONED.

    """

    def attempt() -> str:
        found = _node(api, node)
        if found is None or found.annotations.get(CORDONED_BY) != run_id:
            return ""
        return _change(api, found, dict.fromkeys(MARKS), unschedulable=None)

    _until_changed(f"Node {node} uncordoned", attempt)


def left_by(api: Api, run_id: str = "") -> list[KubeObject]:
    """Return the Nodes that a run cordoned, or ("") that any run cordoned; none if the user may not list the Nodes."""
    try:
        nodes = [node for node in api.list("Node", metadata_only=True).items if CORDONED_BY in node.annotations]
    except ApiRefused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return []
    return [node for node in nodes if run_id in ("", node.annotations[CORDONED_BY])]


def clear(api: Api, cache: Path, progress: Progress) -> list[KubeObject]:
    """Uncordon the Nodes that runs left cordoned which have ended; return the other Nodes with a mark."""
    now, stay = api.server_time(), list[KubeObject]()
    for node in left_by(api):
        run_id = node.annotations[CORDONED_BY]
        ended = pods_of_runs.has_ended(api, node.annotations)
        over = namespaces.is_over(run_id, namespaces.expiry_of(node.annotations), cache, now, ended=ended)
        # Without the right to change Nodes, the Node stays cordoned, and the run can begin.
        with contextlib.suppress(ApiRefused):
            if over:
                with progress.step(f"uncordoning the Node {node.name}, which the run {run_id} left cordoned"):
                    uncordon(api, node.name, run_id)
                continue
        stay.append(node)
    return stay


def _node(api: Api, name: str) -> KubeObject | None:
    # From a list, for which the suite has the right.
    return next((node for node in api.list("Node", only=f"metadata.name={name}").items if node.name == name), None)


def _change(
    api: Api, node: KubeObject, annotations: dict[str, str | None] | dict[str, str], *, unschedulable: bool | None
) -> str:
    """Change a Node unless it has changed since it was read; return "" or why to try again."""
    metadata = {"annotations": annotations, "resourceVersion": node.version}
    try:
        api.patch("Node", "", node.name, {"metadata": metadata, "spec": {"unschedulable": unschedulable}})
    except ApiRefused as refused:
        if refused.status != HTTPStatus.CONFLICT:
            raise
        return "the Node changed meanwhile"
    return ""


def _until_changed(what: str, attempt: Callable[[], str]) -> None:
    clock = RealClock()
    changed = Condition[str](what, lambda why: expect(not why, why))
    with unmet_as(SetupError, code=ExitCode.HARNESS):
        Waiter(clock).eventually(Polled("Node", attempt, clock, 0.5), changed, within=CORDONED)
