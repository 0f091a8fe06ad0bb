"""The PodDisruptionBudget of the witnesses during a change: which Pods were lost when too few were ready. Pure functions.

A budget limits voluntary disruptions. It cannot prevent involuntary ones, such as a preemption, an eviction for want of memory,
or the loss of a Node; they count against it (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping

from kubechain.conditions import pods
from kubechain.conditions.condition import Condition, Result, met, unmet
from kubechain.conditions.ended import is_involuntary
from kubechain.conditions.text import counted, some, text
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.changes import ObjectChange
from kubechain.upgrade.invariants import Log
from kubechain.upgrade.model import NodeSpan
from kubechain.upgrade.phases import During

# A Node, and the Pods on it, turn not Ready by two requests, which two watches show.
APART_SECONDS = 5.0
# After an involuntary disruption, evictions may be granted for so long as if it had not been: a Lease of 15 s may have to expire
# before another controller manager counts the Pods.
UNCOUNTED_SECONDS = 20.0
# The beginning of the step in which the run removes the budget itself.
BUDGET_REMOVED = "PodDisruptionBudget of the witnesses deleted"
# Whether the Node of a Pod was lost at a time (Unix seconds).
Lost = Callable[[KubeObject, float], bool]


def on_lost_node(spans: Iterable[NodeSpan]) -> Lost:
    """Return whether a Pod is on a Node that was not Ready, or deleted, at a time; `spans` are when each Node served."""
    known = tuple(spans)

    def check(pod: KubeObject, at: float) -> bool:
        of_node = [span for span in known if span.name == pod.at("spec.nodeName")]
        begun = [span for span in of_node if span.start <= at + APART_SECONDS]
        last = max(begun, key=lambda span: span.start, default=None)
        return last is not None and last.ended in ("not ready", "deleted") and last.end <= at + APART_SECONDS

    return check


def held(
    before: NamespaceState, labels: Mapping[str, str], least: int, *, lost: Lost = lambda _pod, _at: False
) -> Condition[Log]:
    """No Pod was lost to a voluntary disruption that left fewer than `least` Pods ready and not being deleted.

    The objects of a list count as changed at the same time, because their order is not known.
    """

    def is_left(entry: ObjectChange) -> bool:
        return entry.change != "DELETED" and entry.resource.matches(labels) and pods.is_ready(entry.resource)

    def check(log: Log) -> Result:
        ready = {pod.uid: pods.is_ready(pod) for pod in before.all("Pod", labels)}
        if sum(ready.values()) < least:
            return unmet(f"{sum(ready.values())} at the beginning")
        pod_changes = (entry for entry in log if entry.resource.kind == "Pod")
        uncounted_until, spared = -math.inf, 0
        for now, simultaneous in itertools.groupby(pod_changes, key=lambda entry: entry.now):
            gone: list[ObjectChange] = []
            for entry in simultaneous:
                uid = entry.resource.uid
                if uid in ready or entry.resource.matches(labels):
                    was, ready[uid] = ready.get(uid, False), is_left(entry)
                    gone += [entry] if was and not ready[uid] else []
            voluntary = [each for each in gone if not (is_involuntary(each.resource) or lost(each.resource, each.wall))]
            if len(voluntary) < len(gone):
                uncounted_until = now + UNCOUNTED_SECONDS
            if gone and sum(ready.values()) < least:
                if voluntary and now > uncounted_until:
                    return unmet(f"{sum(ready.values())} when {some(_lines(voluntary))}")
                spared += 1
        return met(f"fewer {counted(spared, 'time')}, after involuntary disruptions" if spared else "")

    what = f"at least {least} ready Pods with {text(labels)} after every voluntary disruption"
    return Condition(what, check)


def before_removal(during: During) -> Log:
    """Return the versions of the witnesses before the run removed their budget, which was to be kept until then; else none."""
    at = next((event.at for event in during.record.events if event.what.startswith(BUDGET_REMOVED)), -math.inf)
    return [entry for entry in during.log if entry.wall < at]


def _lines(gone: Iterable[ObjectChange]) -> list[str]:
    return [f"{entry.resource.name} was {entry.change.lower()}" for entry in gone]
