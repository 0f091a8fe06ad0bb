"""A pull that is to fail may wait for a slow one of another Pod: nothing is said of it before it has ended."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.objects import KubeObject
from kubechain.scenarios.failing_pods import FailingPods
from kubechain.workload import unchanged
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE
from suites.chain.test_3_pods import test_missing_image_is_named as claim
from tests.fakes import changed, pod, thing
from tests.test_conditions_pods import waiting
from tests.test_gates import up_to

ABSENT = pod(name="absent")
FAILED = f'Failed to pull image "{ABSENT_IMAGE}": connection refused'


def event(number: int, reason: str, message: str, count: int = 1) -> KubeObject:
    about = {"kind": "Pod", "name": "absent", "uid": ABSENT.uid, "fieldPath": "spec.containers{nginx}"}
    return thing("Event", f"e{number}", reason=reason, message=message, count=count, involvedObject=about)


PULLING = event(0, "Pulling", f'Pulling image "{ABSENT_IMAGE}"')
REFUSED = (event(1, "Failed", FAILED), event(2, "Failed", "Error: ErrImagePull"))
AGAIN = event(3, "Pulling", f'Pulling image "{ABSENT_IMAGE}" again')
BACK_OFF, CREATING = waiting("ImagePullBackOff")(ABSENT), waiting("ContainerCreating")(ABSENT)


def judged(
    monkeypatch: pytest.MonkeyPatch, *objects: KubeObject, later: tuple[KubeObject, ...] = (), at: float = 90, own: bool = False
) -> float:
    """Judge the claim where these objects are there, and others some seconds later; return the seconds that it took."""
    chain, waiter, clock = up_to(*objects)
    read: Callable[[], Any] = chain.objects.read
    began, pending = clock.now(), list(later)

    def delayed() -> Any:
        while pending and clock.now() - began >= at:
            now = pending.pop(0)
            chain.objects.record("MODIFIED", changed(now, "metadata.resourceVersion", f"9{now.version}"))
        return read()

    monkeypatch.setattr(chain.objects, "read", delayed)

    def same(*_: object) -> None:
        return

    monkeypatch.setattr(unchanged, "require_image", same)
    stated: Any = SimpleNamespace(objects=chain.objects, waiter=waiter, admission=SimpleNamespace(owned=own))
    claim(cast("Chain", stated), FailingPods(pod(name="crashing"), ABSENT), waiter.eventually)
    return clock.now() - began


def test_pull_that_fails_at_once_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, BACK_OFF, PULLING, *REFUSED) == 0


def test_pull_that_fails_after_a_slow_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, CREATING, PULLING, later=(*REFUSED, BACK_OFF)) >= 90


def test_second_pull_may_wait_before_the_kubelet_backs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = waiting("ErrImagePull")(ABSENT)
    again = event(4, "Failed", f"{FAILED} again")
    assert judged(monkeypatch, refused, PULLING, *REFUSED, AGAIN, later=(again, BACK_OFF)) >= 90


def test_pull_that_does_not_end_leaves_the_claim_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HarnessError, match=r"cannot decide: .*; the pull of Pod absent has not ended; expected"):
        judged(monkeypatch, CREATING, PULLING)


@pytest.mark.parametrize(
    ("objects", "own"),
    [((CREATING,), False), ((CREATING, PULLING, REFUSED[0]), False), ((CREATING, PULLING), True)],
)
def test_kubelet_that_does_not_say_that_a_pull_has_failed_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, objects: tuple[KubeObject, ...], *, own: bool
) -> None:
    with pytest.raises(Unmet, match="waiting with ErrImagePull"):
        judged(monkeypatch, *objects, own=own)
