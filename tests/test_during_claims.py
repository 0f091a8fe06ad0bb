"""Claims during a change whose premise goes meanwhile: what was seen before that stands, and is no reason to skip them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError, Unmet
from kubechain.kube.errors import ApiRefused
from kubechain.observe.changes import ObjectChange
from kubechain.upgrade.model import UpgradeEvent
from kubechain.upgrade.phases import During
from kubechain.upgrade.witnesses import BALANCED
from suites.upgrade.test_2_during import test_budget_is_kept as budget_is_kept
from suites.upgrade.test_2_during import test_load_balancer_keeps_answering as load_balancer_answers
from tests.fakes import FakeApi, pod, service, state, thing
from tests.test_upgrade_availability import record, seen

PODS = [pod(number) for number in range(4)]
REMOVED = "PodDisruptionBudget of the witnesses deleted: a drain waited for it for 60 s"


def no_budget(*_: object) -> str:
    """Answer that there is none."""
    raise ApiRefused(404, "NotFound", "no such object")


def during(*losses: float, removed: float = 0.0, before: Any = None) -> During:
    """Return a change in which Pods were deleted at these times, and the run removed the budget (0.0: somebody else did)."""
    events = (UpgradeEvent(removed, "step", REMOVED),) if removed else ()
    log = [ObjectChange(1, 0, 0, "ADDED", each) for each in PODS]
    log += [ObjectChange(2, at, at, "DELETED", each) for at, each in zip(losses, PODS, strict=False)]
    witnesses = SimpleNamespace(api=FakeApi(no_budget), namespace="ns")
    phase = SimpleNamespace(witnesses=witnesses, snapshot=SimpleNamespace(state=before))
    return During(cast("Any", phase), record(seen("DNS"), events=events), state(*PODS), tuple(log))


def test_budget_that_was_broken_before_the_run_removed_it_was_not_kept() -> None:
    with pytest.raises(Unmet, match=f"got 2 when {PODS[1].name} was deleted"):
        budget_is_kept(during(10, 11, removed=100))


def test_budget_that_is_gone_forbids_nothing_any_more() -> None:
    few = replace(during(), start=state(*PODS[:2]))
    for gone in (during(10, 101, removed=100), during(removed=100), during(10, 11), few):
        with pytest.raises(pytest.skip.Exception, match="needs the PodDisruptionBudget of the witnesses"):
            budget_is_kept(gone)


def test_load_balancer_that_has_lost_its_address_was_not_asked_for_nothing() -> None:
    with pytest.raises(pytest.skip.Exception, match="--load-balancer"):
        load_balancer_answers(during(before=state(service())))
    with pytest.raises(HarnessError, match="no LoadBalancer route was sampled"):
        load_balancer_answers(during(before=state(service(), thing("Service", BALANCED))))
