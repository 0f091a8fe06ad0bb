"""The latency of `eventually`: from a request to the API server to the end of the wait for its effect."""

from __future__ import annotations

import contextlib
import threading

from kubechain.conditions.condition import Condition, Result, equal
from kubechain.conditions.objects import one
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter

ANNOTATION = "kubechain/latency"
CHANGES = 100
WAIT = Timeout(5, "a change arrives within some milliseconds")
# Where changes arrive by lists alone, a hundred would take minutes.
MOST_SECONDS = 10.0


def change_to_wait(api: Api, history: History, pod: str, clock: Clock, changes: int = CHANGES) -> list[float]:
    """Annotate a Pod `changes` times; return the milliseconds from the start of each request to the end of the wait for it.

    The request itself is included, so the figure is an upper bound. After MOST_SECONDS there are no more changes. If a request
    is refused or a wait is in vain, there is no figure: the list is empty.
    """
    try:
        # A request that can only be refused is noticed here, not after a wait in vain.
        api.patch("Pod", history.namespace, pod, {"metadata": {"annotations": {ANNOTATION: "none"}}}, seconds=0)
        return _measured(api, history, pod, clock, changes)
    except (HarnessError, Unmet):
        return []


def _measured(api: Api, history: History, pod: str, clock: Clock, changes: int) -> list[float]:
    waiter, end = Waiter(clock), clock.now() + MOST_SECONDS
    milliseconds: list[float] = []
    for number in range(changes):
        sent: list[float] = []
        writer = threading.Thread(target=_annotate, args=(api, history.namespace, pod, str(number), clock, sent))
        writer.start()
        try:
            waiter.eventually(history, _annotated(pod, str(number)), within=WAIT)
            ended = clock.now()
        finally:
            writer.join()
        milliseconds.append((ended - sent[0]) * 1000)
        if ended >= end:
            break
    return milliseconds


def _annotate(api: Api, namespace: str, pod: str, value: str, clock: Clock, sent: list[float]) -> None:
    sent.append(clock.now())
    # Without the change, the wait is in vain.
    with contextlib.suppress(HarnessError):
        api.patch("Pod", namespace, pod, {"metadata": {"annotations": {ANNOTATION: value}}}, seconds=0)


def _annotated(pod: str, value: str) -> Condition[NamespaceState]:
    def check(resource: KubeObject) -> Result:
        return equal(f"annotation {ANNOTATION}", resource.annotations.get(ANNOTATION), value)

    return one("Pod", pod, f"with annotation {ANNOTATION} {value}", check)
