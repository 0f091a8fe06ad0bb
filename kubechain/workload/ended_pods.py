"""Pods of a chain that the cluster ends while a run goes on, as when somebody drains a Node: nothing is broken then.

A Pod without a controller is not replaced, which Kubernetes does not promise either.
"""

from __future__ import annotations

from kubechain.conditions.ended import why_ended
from kubechain.conditions.objects import absent
from kubechain.core.errors import HarnessError, unmet_as
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests


def last_of(objects: History, name: str) -> KubeObject | None:
    """Return the last version of a Pod, be it gone or not; None if there was none."""
    found = (each.resource for each in reversed(objects.log()) if (each.resource.kind, each.resource.name) == ("Pod", name))
    return next(found, None)


def made_again(api: Api, objects: History, waiter: Waiter, name: str, image: str) -> bool:
    """Make a client Pod again if the cluster has deleted it; return whether it is made again.

    Raises:
        HarnessError: the cluster deletes it, and it is not gone in time.

    """
    last = last_of(objects, name)
    if last is None or not why_ended(last) or not (last.deleting or objects.read().one("Pod", name) is None):
        return False
    with unmet_as(HarnessError, f"the cluster has ended Pod {name} ({why_ended(last)})"):
        waiter.eventually(objects, absent("Pod", name, last.uid))
    api.create(manifests.client_pod(name, image), objects.namespace)
    return True


def require_going_on(objects: History, name: str) -> None:
    """Raise HarnessError if the cluster has ended a Pod, or its Node did not take it: the chain says nothing by that."""
    last = last_of(objects, name)
    if last and (why := why_ended(last)):
        raise HarnessError(f"the cluster has ended Pod {name} ({why}): run again")


def ended_since(objects: History, began: float) -> str:
    """Return which Pod the cluster has ended at `began` (monotonic seconds) or later, and why; "" if none."""
    seen = (each.resource for each in objects.log() if each.now >= began and each.resource.kind == "Pod")
    return next((f"the cluster has ended Pod {pod.name} ({why})" for pod in seen if (why := why_ended(pod))), "")
