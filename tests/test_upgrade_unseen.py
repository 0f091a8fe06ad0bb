"""What was not seen of an upgrade: nothing passes without a version to look at, or over versions that were missed."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from kubechain.conditions.condition import Condition
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import NamespaceState
from kubechain.observe.changes import Change, ObjectChange
from kubechain.observe.history import History
from kubechain.upgrade import addon_config, budget
from kubechain.upgrade.invariants import (
    endpoints_follow,
    never_restarted,
    none_added,
    throughout,
    unchanged,
)
from kubechain.upgrade.phases import After, During, versions
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import FakeClock, changed, endpoint_slice, entry, not_ready, pod, replica_set, service, state, thing

PODS = [pod(number) for number in range(4)]
OBJECTS = [replica_set(), service(), endpoint_slice(*map(entry, PODS)), *PODS]
BEFORE = state(*OBJECTS)
FIRST = tuple(ObjectChange(0, 0, 5000, "ADDED", each) for each in OBJECTS)
CHECKS: dict[str, Callable[[NamespaceState], Condition[Any]]] = {
    "Service": lambda before: unchanged(before, ["Service"]),
    "ReplicaSet": lambda before: none_added(before, "ReplicaSet"),
    "Pod": lambda before: never_restarted(before, LABELS),
    "EndpointSlice": lambda before: endpoints_follow(before, WEB),
}
BUDGET = budget.held(BEFORE, LABELS, 3)


def during(*changes: ObjectChange, unseen: str = "", trouble: str = "") -> During:
    return During(cast("Any", None), cast("Any", None), BEFORE, (*FIRST, *changes), frozenset(filter(None, [unseen])), trouble)


def change(of: Any, kind: Change = "MODIFIED", at: float = 1) -> ObjectChange:
    return ObjectChange(1, at, 5000 + at, kind, of)


@pytest.mark.parametrize("kind", ["Service", "ReplicaSet", "Pod"])
def test_nothing_passes_without_a_version(kind: str) -> None:
    with pytest.raises(HarnessError, match=r"cannot decide: .*no version"):
        CHECKS[kind](BEFORE)([])


@pytest.mark.parametrize("kind", CHECKS)
def test_missed_versions_of_its_kinds_decide_nothing_and_those_of_others_do_not_matter(kind: str) -> None:
    check = throughout(CHECKS[kind](BEFORE), kind)
    assert check(during()).met
    assert check(during(unseen="Event")).met
    with pytest.raises(HarnessError, match=f"cannot decide: .*; versions of {kind} were missed"):
        check(during(unseen=kind))
    with pytest.raises(HarnessError, match=r"cannot decide: .*; watch of Pod down"):
        check(during(trouble="watch of Pod down for 3.0 s: refused"))


def test_what_was_seen_stands_whatever_was_missed() -> None:
    gone = [change(each, "DELETED", at) for at, each in enumerate(PODS[:2], 1)]
    assert not throughout(BUDGET, "Pod")(during(*gone, unseen="Pod")).met
    assert not throughout(unchanged(BEFORE, ["Service"]), "Service")(during(change(service(), "DELETED"), trouble="x")).met


def test_what_was_replaced_or_restarted_before_the_watch_began_is_seen() -> None:
    other = tuple(ObjectChange(0, 0, 5000, "ADDED", each) for each in [service(uid="another"), *PODS])
    assert not unchanged(BEFORE, ["Service"])(other).met
    without = tuple(each for each in FIRST if each.resource.kind != "Service")
    with pytest.raises(HarnessError, match="no version of a Service"):
        unchanged(BEFORE, ["Service"])(without)
    inner = thing("Service", "inner")
    assert unchanged(state(*OBJECTS, inner), ["Service"])(FIRST).got == "no Service inner"
    again = changed(PODS[0], "status.containerStatuses.0.restartCount", 1)
    assert not never_restarted(BEFORE, LABELS)([change(again), *FIRST[4:]]).met
    more = replica_set(name="more", uid="more")
    assert not none_added(BEFORE, "ReplicaSet")([*FIRST, change(more, "ADDED", 0)]).met


def test_pods_that_were_gone_before_the_watch_began_may_have_been_drained() -> None:
    with pytest.raises(HarnessError, match=f"cannot decide: .*; no Pod {PODS[3].name} at the start"):
        unchanged(BEFORE, ["Pod"])(FIRST[:-1])


def test_endpoint_of_a_pod_that_was_unready_from_the_start_is_seen() -> None:
    start = [change(not_ready(PODS[0]), "ADDED", 0), *FIRST]
    start = [each for each in start if each.resource is not PODS[0]]
    assert not endpoints_follow(BEFORE, WEB, until=5100)(start).met


def test_versions_begin_with_what_was_there_at_the_start() -> None:
    history = History("ns", FakeClock())
    history.record("ADDED", pod(0))
    history.record("ADDED", pod(1))
    history.record("DELETED", pod(0))
    newer = changed(pod(1), "metadata.resourceVersion", "999")
    history.record("MODIFIED", newer)
    start = history.sequence()
    history.record("ADDED", pod(2))
    assert [each.resource for each in versions(history.log(), start)] == [newer, history.log(start)[0].resource]
    assert [each.sequence for each in versions(history.log(), start)] == [4, 5]


def test_list_after_a_gap_says_of_which_kinds_versions_were_not_seen() -> None:
    history = History("ns", FakeClock())
    history.relist("Pod", [PODS[0]])
    assert history.unseen == frozenset()
    history.relist("Pod", [PODS[0]], gap=True)
    assert history.unseen == frozenset()
    history.relist("Pod", [], gap=True)
    assert history.unseen == {"Pod"}


def test_pods_are_compared_after_an_upgrade_that_nobody_watched() -> None:
    after = After(cast("Any", None), None, "", "v1", {}, {}, state(PODS[0]), {}, [])
    assert not after.replaced(PODS[0])
    assert after.replaced(PODS[1])
    assert not after.replaced(service())


@pytest.mark.parametrize("name", addon_config.SOURCES)
def test_configuration_that_is_not_known_from_before_decides_nothing(name: str) -> None:
    with pytest.raises(HarnessError, match=r"cannot decide: .* its configuration from before is not known"):
        addon_config.kept(name, {})({name: "mode: ipvs"})
