from collections.abc import Callable

import pytest

from kubechain.conditions import containers, qos, scheduling
from kubechain.conditions import pods as on
from kubechain.conditions.condition import Condition
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.workload.manifests import LABELS
from tests.fakes import changed, conditions, not_ready, pod, state, thing

Change = Callable[[KubeObject], KubeObject]
FIRST, SECOND = pod(0), pod(1)
NODES = {"node-0": ["172.18.0.0", "fd00::2"], "node-1": ["172.18.0.1"]}
RANGES = {"node-0": ["10.244.0.0/24"], "node-1": ["10.244.1.0/24", "fd00::/64"]}
ALL: dict[str, Condition[NamespaceState]] = {
    "exactly_ready": on.exactly_ready(LABELS, 2),
    "ready": on.ready(FIRST.name),
    "on_nodes": on.on_nodes(LABELS, NODES),
    "conditions_true": on.conditions_true(LABELS),
    "run_image": containers.run_image(LABELS, "nginx:1"),
    "run_image_of": containers.run_image_of(LABELS, frozenset(["sha256:aa"])),
    "same_and_ready": on.same_and_ready(FIRST, SECOND),
    "in_pod_cidr": on.in_pod_cidr(LABELS, RANGES),
    "never_restarted": on.never_restarted(LABELS),
}


def put(path: str, value: object) -> Change:
    return lambda each: changed(each, path, value)


def waiting(reason: str) -> Change:
    status = {
        "name": "nginx",
        "restartCount": 0,
        "imageID": "",
        "state": {"waiting": {"reason": reason, "message": "no such tag"}},
    }
    return lambda each: changed(not_ready(each), "status.containerStatuses", [status])


def dying(each: KubeObject) -> KubeObject:
    return changed(each, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")


CONTAINER = "status.containerStatuses.0."
BROKEN: list[tuple[str, Change]] = [
    ("exactly_ready", not_ready),
    ("exactly_ready", dying),
    ("exactly_ready", put("metadata.labels", {"app": "other"})),
    ("exactly_ready", put("status", {})),
    ("exactly_ready", waiting("ContainerCreating")),
    ("ready", not_ready),
    ("ready", dying),
    ("ready", put("metadata.name", "other")),
    ("on_nodes", put("spec.nodeName", None)),
    ("on_nodes", put("spec.nodeName", "node-9")),
    ("on_nodes", put("status.hostIP", "172.18.0.99")),
    ("conditions_true", put("status.conditions", [])),
    ("conditions_true", put("status.conditions", conditions(Ready="True", PodScheduled="True", Initialized="True"))),
    ("conditions_true", not_ready),
    ("run_image", put("spec.containers.0.image", "nginx:2")),
    ("run_image", put(CONTAINER + "imageID", "docker.io/nginx@sha256:bb")),
    ("run_image", put(CONTAINER + "imageID", "")),
    ("run_image", put("status.containerStatuses", [])),
    ("run_image_of", put(CONTAINER + "imageID", "docker.io/nginx@sha256:bb")),
    ("run_image_of", put(CONTAINER + "imageID", "")),
    ("run_image_of", put("status.containerStatuses", [])),
    ("same_and_ready", not_ready),
    ("same_and_ready", dying),
    ("same_and_ready", put("metadata.uid", "a-new-one")),
    ("same_and_ready", put(CONTAINER + "restartCount", 1)),
    ("in_pod_cidr", put("status.podIP", "10.244.7.5")),
    ("in_pod_cidr", put("status.podIP", "10.244.1.5")),
    ("in_pod_cidr", put("status.podIP", "")),
    ("in_pod_cidr", put("spec.nodeName", "node-9")),
    ("never_restarted", put(CONTAINER + "restartCount", 1)),
    ("never_restarted", put("status.phase", "Pending")),
    ("never_restarted", put("status.phase", "Unknown")),
    ("never_restarted", put(CONTAINER + "state", {"terminated": {"exitCode": 1}})),
    ("never_restarted", put(CONTAINER + "state", {"waiting": {"reason": "CrashLoopBackOff"}})),
]


@pytest.mark.parametrize("name", ALL)
def test_two_right_pods_meet_each_condition(name: str) -> None:
    result = ALL[name](state(FIRST, SECOND))
    assert result.met, result.got


@pytest.mark.parametrize(("name", "change"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_one_wrong_pod_of_two_is_unmet_with_a_message(name: str, change: Change) -> None:
    result = ALL[name](state(change(FIRST), SECOND))
    assert not result.met
    assert result.got


@pytest.mark.parametrize("name", ALL)
def test_empty_namespace_meets_no_condition(name: str) -> None:
    assert not ALL[name](state()).met


@pytest.mark.parametrize("name", ALL)
def test_every_condition_has_an_unmet_case(name: str) -> None:
    assert name in {each for each, _ in BROKEN}


def test_exactly_ready_requires_the_exact_count() -> None:
    assert not on.exactly_ready(LABELS, 2)(state(FIRST)).met
    assert not on.exactly_ready(LABELS, 2)(state(FIRST, SECOND, pod(2))).met
    assert not on.exactly_ready(LABELS, 2)(state(FIRST, SECOND, not_ready(pod(2)))).met


def test_exactly_ready_reports_counts_and_unready_pods() -> None:
    why = on.exactly_ready(LABELS, 2)(state(FIRST, not_ready(SECOND))).got
    assert why.startswith("1 of 2 ready: ")
    assert SECOND.name in why
    assert "ContainersReady is False" in why


@pytest.mark.parametrize("reason", sorted(on.HOPELESS))
def test_pod_that_cannot_start_is_hopeless(reason: str) -> None:
    for condition in (on.exactly_ready(LABELS, 2), on.ready(FIRST.name)):
        result = condition(state(waiting(reason)(FIRST), SECOND))
        assert result.hopeless
        assert reason in result.got


@pytest.mark.parametrize(
    "reason", ["ContainerCreating", "PodInitializing", "ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"]
)
def test_pod_that_may_yet_start_is_not_hopeless(reason: str) -> None:
    assert not on.exactly_ready(LABELS, 2)(state(waiting(reason)(FIRST), SECOND)).hopeless


def test_command_that_was_not_started_twice_is_hopeless() -> None:
    last = {"terminated": {"reason": "StartError", "message": 'exec: "nginx": not found'}}
    (status,) = FIRST.at("status.containerStatuses")
    ended = {**status, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last, "restartCount": 1}
    twice, once = ({**ended, "restartCount": count} for count in (1, 0))
    check = on.exactly_ready(LABELS, 2)
    result = check(state(changed(FIRST, "status.containerStatuses", [twice]), SECOND))
    assert result.hopeless
    assert result.got.endswith('StartError: exec: "nginx": not found')
    assert not check(state(changed(FIRST, "status.containerStatuses", [once]), SECOND)).hopeless
    runs: Json = {**twice, "state": {"running": {}}}
    assert not check(state(changed(FIRST, "status.containerStatuses", [runs]), SECOND)).hopeless


def test_replaced_or_deleted_pod_is_hopeless() -> None:
    same = on.same_and_ready(FIRST)
    assert same(state(changed(FIRST, "metadata.uid", "new"))).hopeless
    assert same(state()).hopeless


def test_restart_is_hopeless() -> None:
    assert on.never_restarted(LABELS)(state(changed(FIRST, CONTAINER + "restartCount", 2))).hopeless


def test_pods_with_one_address_are_unmet() -> None:
    ranges = {"node-0": ["10.244.0.0/16"], "node-1": ["10.244.0.0/16"]}
    twins = state(FIRST, changed(SECOND, "status.podIP", FIRST.at("status.podIP")))
    assert not on.in_pod_cidr(LABELS, ranges)(twins).met


def test_address_of_the_other_family_is_in_its_own_range() -> None:
    six = changed(SECOND, "status.podIP", "fd00::5")
    assert on.in_pod_cidr(LABELS, RANGES)(state(FIRST, six)).met


def test_deleted_compares_uids_and_not_names() -> None:
    deleted = on.deleted("Pod", frozenset([FIRST.uid]))
    assert not deleted(state(FIRST)).met
    assert not deleted(state(dying(FIRST))).met
    assert deleted(state(changed(FIRST, "metadata.uid", "new"))).met
    assert deleted(state()).met


def test_conditions_without_pods_to_check_are_unmet() -> None:
    assert not on.deleted("Pod", frozenset())(state(FIRST)).met
    assert not on.same_and_ready()(state(FIRST)).met


def test_why_not_ready_shows_the_first_condition_that_is_not_true() -> None:
    def at(entries: list[Json]) -> str:
        return on.why_not_ready(changed(FIRST, "status.conditions", entries))

    blocked = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]
    assert at(blocked) == f"{FIRST.name}: PodScheduled is False (0/2 nodes are available)"
    assert at([]) == f"{FIRST.name}: PodScheduled is absent (not reported)"
    assert on.why_not_ready(dying(FIRST)) == f"{FIRST.name}: being deleted"
    assert on.why_not_ready(FIRST) == f"{FIRST.name}: ready"


def test_why_not_ready_shows_reasons_of_containers() -> None:
    status = {"name": "nginx", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    unready = not_ready(FIRST)
    first = changed(unready, "status.containerStatuses", [status])
    assert on.why_not_ready(first).endswith("; nginx: CrashLoopBackOff)")
    again = changed(first, "status.containerStatuses.0.lastState", {"terminated": {"reason": "OOMKilled"}})
    assert on.why_not_ready(again).endswith("; nginx: CrashLoopBackOff after OOMKilled)")
    assert "nginx:" not in on.why_not_ready(unready)
    assert on.not_running(FIRST) == []


def test_pods_are_scheduled_if_each_has_a_node_or_an_autoscaler_makes_one() -> None:
    condition = scheduling.scheduled(LABELS, 2)
    assert condition(state(FIRST, SECOND)).met
    assert not condition(state(FIRST)).met
    full = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "3 Insufficient cpu"}]
    alone = changed(changed(SECOND, "status.conditions", full), "spec.nodeName", None)
    result = condition(state(FIRST, alone))
    assert not result.met
    assert result.got.startswith("1 of 2 bound: ")
    assert "Insufficient cpu" in result.got
    event = thing("Event", "e", involvedObject={"uid": alone.uid}, reason="TriggeredScaleUp")
    assert condition(state(FIRST, alone, event)).met
    assert [scheduling.bound(LABELS)(each).met for each in (state(FIRST, SECOND), state(FIRST, alone, event))] == [True, False]


def test_ready_pods_have_the_labels_are_ready_and_not_terminating() -> None:
    found = on.ready_pods(state(FIRST, not_ready(SECOND), dying(pod(2)), pod(3, labels={"app": "x"})), LABELS)
    assert [each.name for each in found] == [FIRST.name]


SIDECAR = {"name": "proxy", "image": "p:1"}
RESTARTING = {"name": "proxy", "restartCount": 4, "imageID": "p@sha256:cc", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}


def with_sidecar(each: KubeObject, *, first: bool) -> KubeObject:
    specs: list[Json] = each.at("spec.containers")
    statuses: list[Json] = each.at("status.containerStatuses")
    both = changed(each, "spec.containers", [SIDECAR, *specs] if first else [*specs, SIDECAR])
    return changed(both, "status.containerStatuses", [RESTARTING, *statuses] if first else [*statuses, RESTARTING])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_sidecar_changes_no_condition(name: str, first: bool) -> None:  # noqa: FBT001  # a parameter of the test
    result = ALL[name](state(with_sidecar(FIRST, first=first), with_sidecar(SECOND, first=first)))
    assert result.met, result.got


@pytest.mark.parametrize("first", [True, False])
def test_container_is_the_one_that_was_asked_for(first: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert with_sidecar(FIRST, first=first).container == "nginx"
    assert changed(FIRST, "spec.containers", [{"name": "shop"}, SIDECAR]).container == "shop"


def test_images_of_one_inexact_name_may_differ() -> None:
    other = changed(SECOND, CONTAINER + "imageID", "docker.io/nginx@sha256:bb")
    assert containers.run_image(LABELS, "nginx:1", same=False)(state(FIRST, other)).met
    ran = containers.images_run(nginxImage=[FIRST, other], clientImage=[])
    assert ran == {"nginxImage": ", ".join(sorted(containers.image_ids([FIRST, other])))}
    assert not containers.run_image(LABELS, "nginx:1", same=False)(state(FIRST, changed(SECOND, CONTAINER + "imageID", ""))).met


CPU, BOTH = {"cpu": "500m"}, {"cpu": "500m", "memory": "64Mi"}


RESOURCES: list[tuple[list[Json], str]] = [
    ([{}, {}], "BestEffort"),
    ([{"requests": {"cpu": "0", "ephemeral-storage": "1Gi"}}], "BestEffort"),
    ([{"limits": BOTH, "requests": BOTH}], "Guaranteed"),
    ([{"limits": BOTH, "requests": {"cpu": "0.5", "memory": "65536Ki"}}], "Guaranteed"),
    ([{"limits": BOTH}], "Guaranteed"),
    ([{"limits": BOTH}, {}], "Burstable"),
    ([{"limits": BOTH, "requests": {"cpu": "100m"}}], "Burstable"),
    ([{"limits": CPU, "requests": CPU}], "Burstable"),
    ([{"requests": CPU}], "Burstable"),
]


@pytest.mark.parametrize(("resources", "wanted"), RESOURCES)
def test_qos_class_follows_from_the_resources_that_are_there(resources: list[Json], wanted: str) -> None:
    entries = [{"name": f"c{number}", "resources": each} for number, each in enumerate(resources)]
    there = changed(changed(FIRST, "spec.containers", entries), "status.qosClass", wanted)
    assert qos.class_of(there) == wanted
    assert qos.follows_from_resources(LABELS)(state(there)).met
    assert not qos.follows_from_resources(LABELS)(state(changed(there, "status.qosClass", "other"))).met


def test_resources_of_a_pod_count_before_those_of_its_containers() -> None:
    there = changed(changed(FIRST, "spec.resources", {"limits": BOTH}), "spec.containers.0.resources", {"requests": CPU})
    assert qos.class_of(there) == "Guaranteed"


def test_native_sidecar_counts_for_the_qos_class() -> None:
    assert qos.class_of(changed(FIRST, "spec.initContainers", [{"name": "proxy", "resources": {"requests": CPU}}])) == "Burstable"


def test_pod_on_a_node_that_reports_no_address_is_bound() -> None:
    assert on.on_nodes(LABELS, {"node-0": [], "node-1": ["172.18.0.1"]})(state(FIRST, SECOND)).met


def test_states_of_containers_may_be_null() -> None:
    nulls = changed(not_ready(FIRST), "status.containerStatuses", [{"name": "nginx", "state": None, "lastState": None}])
    assert not on.ready(FIRST.name)(state(nulls)).met
