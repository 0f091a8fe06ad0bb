import pytest

from kubechain.conditions import containers, endpoints, objects
from kubechain.conditions.condition import Condition
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from tests.fakes import changed, endpoint_slice, entry, not_ready, pod, service, state, thing
from tests.fakes import endpoints as endpoints_of

POD = pod(0)


def test_has_requires_every_value_and_the_object() -> None:
    has = objects.has("Pod", POD.name, {"spec.nodeName": "node-0", "spec.absent": None})
    assert has(state(POD)).met
    assert not has(state()).met
    assert not has(state(changed(POD, "spec.nodeName", "node-1"))).met
    assert not has(state(changed(POD, "spec.absent", 1))).met
    assert not has(state(changed(POD, "metadata.name", "other"))).met


def test_absent_is_by_name_or_by_uid() -> None:
    assert objects.absent("Pod", POD.name)(state(service())).met
    assert not objects.absent("Pod", POD.name)(state(POD)).met
    assert not objects.absent("Pod", POD.name, POD.uid)(state(POD)).met
    assert objects.absent("Pod", POD.name, "an-older-one")(state(POD)).met


def test_controlled_by_compares_uids() -> None:
    owner = POD.controller or {}
    orphan = changed(POD, "metadata.ownerReferences", [])
    assert objects.controlled_by("Pod", POD.name, owner["uid"])(state(POD)).met
    assert not objects.controlled_by("Pod", POD.name, "another")(state(POD)).met
    assert not objects.controlled_by("Pod", POD.name, owner["uid"])(state(orphan)).met
    assert objects.controlled_by("Pod", POD.name, None)(state(orphan)).met
    assert not objects.controlled_by("Pod", POD.name, None)(state(POD)).met
    assert not objects.controlled_by("Pod", POD.name, None)(state()).met


def event(about: KubeObject, reason: str) -> KubeObject:
    return thing("Event", f"{about.name}.{reason}", reason=reason, involvedObject={"uid": about.uid})


def test_events_are_required_for_each_object() -> None:
    both = (POD, pod(1))
    happened = objects.happened("Pod", LABELS, "Pulled", "Started")
    all_events = [event(each, reason) for each in both for reason in ("Pulled", "Started", "Created")]
    assert happened(state(*both, *all_events)).met
    assert not happened(state(*both, *all_events[:4])).met
    assert not happened(state(*both)).met
    assert not happened(state(*all_events)).met
    assert not happened(state(changed(POD, "metadata.uid", "new"), *all_events)).met


def test_event_about_anything_shows_that_events_are_stored() -> None:
    assert objects.any_event()(state(event(thing("Node", "n"), "Any"))).met
    assert objects.any_event()(state(POD)).got == "none"


def test_absence_of_an_event_is_decided_after_a_later_event() -> None:
    never = objects.never_happened("Pod", LABELS, "Pulling", after="Started")
    assert never(state(POD, event(POD, "Started"))).met
    assert not never(state(POD)).met
    assert not never(state(POD, event(POD, "Started"), event(POD, "Pulling"))).met
    assert not never(state()).met


def test_row_of_a_table_is_found_by_its_object() -> None:
    table: Json = {
        "columnDefinitions": [{"name": "Name"}, {"name": "Ready"}],
        "rows": [{"object": {"metadata": {"name": "web"}}, "cells": ["web", 2]}],
    }
    assert objects.table_row(table, "web") == {"Name": "web", "Ready": "2"}
    with pytest.raises(KeyError):
        objects.table_row(table, "other")


def container(**status: object) -> KubeObject:
    return changed(POD, "status.containerStatuses", [{"name": "nginx", "restartCount": 0, **status}])


PULLING = container(state={"waiting": {"reason": "ImagePullBackOff"}})
CRASHING = container(
    restartCount=3,
    state={"waiting": {"reason": "CrashLoopBackOff"}},
    lastState={"terminated": {"exitCode": 1}},
)
ENDED = container(state={"terminated": {"exitCode": 3, "message": "said so"}})
UNSCHEDULED: Json = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
PENDING = thing("Pod", POD.name, uid=POD.uid, spec={}, status={"phase": "Pending", "conditions": [UNSCHEDULED]})
RESTARTED = container(restartCount=1, state={"running": {}})
UNREADY = not_ready(POD)
NAME, UID = POD.name, POD.uid
STARTING: dict[str, tuple[Condition[NamespaceState], KubeObject, list[KubeObject]]] = {
    "waits_because": (
        containers.waits_because(NAME, "ErrImagePull", "ImagePullBackOff"),
        PULLING,
        [POD, CRASHING, ENDED, changed(POD, "status", {})],
    ),
    "pull_failed": (
        containers.pull_failed(NAME),
        container(state={"waiting": {"reason": "ErrImagePull"}}),
        [POD, PULLING, CRASHING],
    ),
    "unschedulable": (
        containers.unschedulable(NAME),
        PENDING,
        [
            POD,
            changed(PENDING, "status.phase", "Running"),
            changed(PENDING, "spec.nodeName", "node-0"),
            changed(PENDING, "status.conditions", []),
            changed(PENDING, "status.conditions.0.reason", "SchedulingGated"),
            changed(PENDING, "status.conditions.0.message", ""),
        ],
    ),
    "restarted": (
        containers.restarted(NAME, UID, 1),
        RESTARTED,
        [
            POD,
            CRASHING,
            changed(RESTARTED, "metadata.uid", "new"),
            container(restartCount=2, state={"running": {}}),
            container(restartCount=1, state={"waiting": {}}),
        ],
    ),
    "counts_crashes": (
        containers.counts_crashes(NAME, 3),
        CRASHING,
        [
            POD,
            changed(CRASHING, "status.containerStatuses.0.restartCount", 2),
            changed(CRASHING, "status.containerStatuses.0.lastState", {}),
            changed(CRASHING, "status.containerStatuses.0.lastState", {"terminated": {"exitCode": 0}}),
            changed(CRASHING, "status.containerStatuses.0.state", {"running": {}}),
        ],
    ),
    "runs_unready": (
        containers.runs_unready(NAME, UID),
        UNREADY,
        [
            POD,
            changed(UNREADY, "metadata.uid", "new"),
            changed(UNREADY, "status.containerStatuses.0.restartCount", 1),
            changed(UNREADY, "status.phase", "Pending"),
            changed(UNREADY, "status.conditions", []),
        ],
    ),
}


@pytest.mark.parametrize("name", STARTING)
def test_container_condition_is_met_by_the_right_status_only(name: str) -> None:
    condition, right, wrong = STARTING[name]
    result = condition(state(right))
    assert result.met, result.got
    for each in wrong:
        assert not condition(state(each)).met, each
    assert not condition(state()).met


def test_end_of_a_container_is_its_exit_code_and_message() -> None:
    assert containers.ended_with(ENDED) == (3, "said so")
    assert containers.ended_with(POD) == (-1, "")
    assert containers.ended_with(PENDING) == (-1, "")


A, B = pod(0), pod(1)
BOTH = endpoint_slice({**entry(A), "nodeName": "node-0"}, {**entry(B), "nodeName": "node-1"})


def test_endpoints_name_the_nodes_of_their_pods() -> None:
    there = endpoints.on_their_nodes(WEB)
    assert there(state(A, B, BOTH)).met
    assert not there(state(A, B)).met
    assert not there(state(A, B, changed(BOTH, "endpoints.0.nodeName", "node-1"))).met
    assert not there(state(A, B, endpoint_slice(entry(A), entry(B)))).met
    # The first of two endpoints of one Pod is wrong, the second right.
    second = endpoint_slice({**entry(A, ip="fd00::5"), "nodeName": "node-0"}, name="web-6", addressType="IPv6")
    assert not there(state(A, changed(BOTH, "endpoints.0.nodeName", "node-1"), B, second)).met


def test_endpoint_without_a_pod_or_a_node_is_unmet() -> None:
    nobody = endpoint_slice({"addresses": ["10.244.0.5"], "conditions": {"ready": True}})
    assert not endpoints.on_their_nodes(WEB)(state(A, B, nobody)).met


def test_agree_requires_equal_lists_with_an_address() -> None:
    agree = endpoints.agree(WEB)
    assert agree(state(BOTH, endpoints_of(A, B))).met
    assert not agree(state(BOTH, endpoints_of(A))).met
    assert not agree(state(BOTH)).met
    assert not agree(state(endpoints_of(A, B))).met
    assert not agree(state(endpoint_slice(), endpoints_of())).met
    assert not agree(state()).met


def test_lists_are_exactly_those_pods() -> None:
    lists = endpoints.lists(WEB, A, B)
    assert lists(state(BOTH, endpoints_of(B, A))).met
    assert not lists(state(BOTH, endpoints_of(A))).met
    assert not lists(state(endpoint_slice(entry(A)), endpoints_of(A, B))).met
    assert not lists(state(endpoint_slice(entry(A), entry(B), entry(B)), endpoints_of(A, B))).met
    assert not endpoints.lists(WEB)(state(BOTH, endpoints_of(A, B))).met
    assert endpoints.lists(WEB)(state(endpoint_slice(entry(A, ready=False)), endpoints_of())).met


def test_endpoint_has_exactly_these_conditions() -> None:
    ending = {"ready": False, "serving": True, "terminating": True}
    condition = endpoints.endpoint_is(WEB, A.uid, ready=False, serving=True, terminating=True)
    assert condition(state(endpoint_slice({**entry(A), "conditions": ending}, entry(B)))).met
    assert not condition(state(endpoint_slice({**entry(B), "conditions": ending}))).met
    assert not condition(state(endpoint_slice(entry(A)))).met
    assert not condition(state()).met
    for name, value in ending.items():
        other = {**ending, name: not value}
        assert not condition(state(endpoint_slice({**entry(A), "conditions": other}))).met


def test_split_over_slices_requires_every_pod() -> None:
    split = endpoints.split_without_loss(WEB, LABELS, CONTAINER_PORT, 2, at_most=1)
    one, two = endpoint_slice(entry(A)), endpoint_slice(entry(B), name="web-x2")
    assert split(state(A, B, one, two)).met
    assert not split(state(A, B, BOTH)).met
    assert not split(state(A, B, one)).met
    assert not split(state(A, B, one, two, endpoint_slice(entry(A), name="web-x3"))).met
    assert not split(state()).met


def test_exists_requires_the_object() -> None:
    assert objects.exists("ServiceAccount default")(POD).met
    assert not objects.exists("ServiceAccount default")(None).met


def test_certificate_is_required_under_its_key() -> None:
    holds = objects.holds_certificate("ca.crt")
    assert holds(thing("ConfigMap", "root", data={"ca.crt": "-----BEGIN CERTIFICATE-----\n"})).met
    assert not holds(thing("ConfigMap", "root", data={"ca.crt": ""})).met
    assert not holds(thing("ConfigMap", "root", data={"other": "-----BEGIN CERTIFICATE-----\n"})).met
    assert not holds(thing("ConfigMap", "root")).met
    assert not holds(None).met


def test_events_about_sidecars_are_not_those_of_the_pod() -> None:
    def event(container: str) -> KubeObject:
        about = {"uid": POD.uid, "fieldPath": f"spec.containers{{{container}}}"}
        return thing("Event", f"e-{container}", involvedObject=about, reason="Pulling")

    both = changed(POD, "spec.containers", [{"name": "proxy"}, {"name": "nginx"}])
    assert [each.name for each in objects.events_of(state(both, event("proxy"), event("nginx")), both)] == ["e-nginx"]


def test_failed_pull_is_seen_in_an_event_where_the_state_was_too_short() -> None:
    failed = thing("Event", "e", reason="Failed", involvedObject={"uid": PULLING.uid}, message="Error: ErrImagePull")
    check = containers.pull_failed(NAME)
    assert check(state(PULLING, failed)).met
    assert not check(state(PULLING, changed(failed, "message", "Error: ImagePullBackOff"))).met
    assert not check(state(PULLING, changed(failed, "involvedObject.uid", "other"))).met


def test_nothing_of_the_kinds_is_left() -> None:
    left = objects.none_left("Pod", "Service")
    assert left(state()).met
    assert left(state(thing("Event", "e"))).met
    assert [left(state(each)).got for each in (POD, service())] == [f"Pod {POD.name} still there", f"Service {WEB} still there"]
