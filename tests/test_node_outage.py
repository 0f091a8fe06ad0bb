"""The outage of a Node: when its Pod was evicted is not told by when the next one serves."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import History
from kubechain.probes.load import Tally
from kubechain.scenarios.node_outage import TOLERATION_SECONDS, NodeOutage
from suites.lifecycle.test_4_nodes import test_pods_of_a_lost_node_are_replaced as are_replaced
from tests.fakes import FakeClock, changed, pod, thing

NODE, VICTIM = thing("Node", "node-0"), pod(0)


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


def tainted(second: int, effect: str = "NoExecute") -> Json:
    return {"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": at(second)}


def deleted(second: int, grace: int = 30) -> KubeObject:
    """Return the Pod after its deletion at a second, which its deletionTimestamp has with the grace period."""
    ending = changed(VICTIM, "metadata.deletionTimestamp", at(second + grace))
    return changed(ending, "metadata.deletionGracePeriodSeconds", grace)


def history(*versions: KubeObject) -> History:
    found = History("ns", FakeClock())
    for number, each in enumerate(versions, 1):
        found.record("MODIFIED" if number > 1 else "ADDED", changed(each, "metadata.resourceVersion", str(number)))
    return found


def outage(pods: History, *taints: Json, replaced: float = 12.0) -> NodeOutage:
    """Return the outage of a Node with these taints, which was not Ready at 0."""
    chain = cast("Any", SimpleNamespace(objects=pods))
    nodes = history(NODE, changed(NODE, "spec", {"taints": [*taints]}))
    return NodeOutage(chain, nodes, NODE, VICTIM, -50.0, 0.0, 0.1, 0.2, replaced, 20.0, 30.0, Tally("x", ()))


def test_eviction_is_timed_from_the_taint_that_drives_pods_off() -> None:
    gone = history(VICTIM, deleted(15), deleted(16, grace=0))
    assert outage(gone, tainted(1, "NoSchedule"), tainted(5)).tolerated == 10
    with pytest.raises(HarnessError, match=r"cannot decide: expected Pod web\S+ evicted .*; its deletion was not seen"):
        _ = outage(history(VICTIM), tainted(5)).tolerated
    with pytest.raises(HarnessError, match=r"cannot decide: .*; the taint was not seen"):
        _ = outage(gone, tainted(1, "NoSchedule")).tolerated


@pytest.mark.parametrize(("seconds", "replaced"), [(TOLERATION_SECONDS - 3, 10.5), (TOLERATION_SECONDS, 80.0)])
def test_pod_that_is_evicted_too_early_or_replaced_too_late_fails_the_claim(seconds: int, replaced: float) -> None:
    metrics = dict[str, float]()

    def claim(seconds: int, replaced: float) -> None:
        are_replaced(outage(history(VICTIM, deleted(5 + seconds)), tainted(5), replaced=replaced), metrics.__setitem__)

    claim(TOLERATION_SECONDS, 12.0)
    with pytest.raises(AssertionError):
        claim(seconds, replaced)
