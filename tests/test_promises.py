"""Claims that promise several things: each fails where only the last of them is broken."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import Blocked, Unmet
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Polled
from kubechain.scenarios.deletion import Deleted
from kubechain.upgrade.witnesses import INNER, REPLICAS
from kubechain.workload import actions, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE, WEB
from kubechain.workload.two_families import cluster_ips_of_both
from suites.chain.test_5_endpoints import test_address_leaves_with_its_pod as address_leaves
from suites.chain.test_6_reach import test_pod_reaches_itself_through_its_service as reaches_itself
from suites.chain.test_7_discovery import test_service_links_can_be_switched_off as are_switched_off
from suites.chain.test_8_deletion import test_pods_go_with_their_deployment as pods_go
from suites.lifecycle.test_2_rollout import test_rollover_goes_straight_to_the_last as rollover
from suites.lifecycle.test_3_healing import test_deleted_pod_is_replaced as is_replaced
from suites.lifecycle.test_5_deletion import test_namespace_is_deleted_with_its_content as is_emptied
from suites.lifecycle.test_5_deletion import test_orphans_survive_and_are_adopted as are_adopted
from suites.lifecycle.test_5_deletion import test_stubborn_pod_is_killed as is_killed
from suites.upgrade.test_1_before import test_there_is_room_to_drain as is_room
from suites.upgrade.test_3_after import test_slices_are_still_managed as are_managed
from tests.fakes import (
    changed,
    conditions,
    deployment,
    endpoint_slice,
    endpoints,
    entry,
    healthy,
    pod,
    replica_set,
    service,
    thing,
)
from tests.test_gates import sick, up_to

A, B, C = pod(0), pod(1), pod(2)
REVISION = "metadata.annotations"


def deleting(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Let `then` happen when a claim deletes an object."""

    def delete(*_: object, **__: object) -> None:
        then()

    monkeypatch.setattr(actions, "delete", delete)


def nothing(*_: object) -> None:
    """Do nothing."""


def record(chain: Chain, *objects: KubeObject, gone: KubeObject) -> None:
    """Let a watch deliver that an object is gone, and others."""
    chain.objects.record("DELETED", gone)
    for each in objects:
        chain.objects.record("ADDED", changed(each, "metadata.resourceVersion", f"9{each.version}"))


def of_revision(resource: KubeObject, number: int) -> KubeObject:
    return changed(resource, REVISION, {"deployment.kubernetes.io/revision": str(number)})


def test_pod_that_was_made_in_place_of_a_deleted_one_is_a_pod_of_the_deployment() -> None:
    chain, waiter, _ = up_to(C, service())
    deleted = Deleted(chain, frozenset(["r"]), (A, B), A, {}, "", "", "")
    with pytest.raises(Unmet, match=r"expected no Pods with app=web, got 1 \(web-5d4f-2\)"):
        pods_go(deleted, waiter.eventually)


def test_address_that_stays_unready_has_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, _ = up_to(*healthy())
    late = endpoint_slice(entry(A, ready=False), entry(B), entry(C))
    deleting(monkeypatch, lambda: record(chain, C, late, endpoints(B, C), gone=A))
    with pytest.raises(Unmet, match="expected no address of web for the Pod with UID uid-Pod-web-5d4f-0"):
        address_leaves(chain, waiter.eventually)


def test_pod_of_the_same_name_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, _ = up_to(*healthy())
    deleting(monkeypatch, lambda: record(chain, pod(0, uid="another"), gone=A))
    with pytest.raises(AssertionError):
        is_replaced(chain, waiter.eventually)


def test_replica_set_of_the_same_name_was_not_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, _ = up_to(*healthy())
    orphan, again = changed(replica_set(), "metadata.ownerReferences", []), deployment(uid="again")
    deleting(monkeypatch, lambda: record(chain, orphan, gone=deployment()))

    def create(*_: object) -> KubeObject:
        record(chain, again, replica_set(again, uid="anew"), gone=orphan)
        return again

    with pytest.raises(Unmet, match=r"expected ReplicaSet web-5d4f with metadata\.uid uid-ReplicaSet-web-5d4f, got anew"):
        are_adopted(replace(chain, api=cast("Any", SimpleNamespace(create=create))), waiter.eventually)


def test_slice_that_is_left_in_a_deleted_namespace_is_part_of_it() -> None:
    chain, waiter, _ = up_to(endpoint_slice(entry(A)))
    observer = SimpleNamespace(history=chain.objects, kinds=("Pod", "EndpointSlice", "Event"))
    api = SimpleNamespace(delete=nothing)
    emptied = replace(chain, api=cast("Any", api), observer=cast("Any", observer))
    with pytest.raises(Unmet, match="expected no Pod, EndpointSlice left, got EndpointSlice web-x1 still there"):
        is_emptied(emptied, waiter.eventually)


def test_controller_that_finishes_the_roll_in_between_first_never_comes_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, _ = up_to(*healthy())
    asked: list[tuple[str, str | None]] = []

    def image(_: Chain, name: str, version: str | None = None) -> None:
        asked.append((name, version))
        chain.objects.record("MODIFIED", changed(of_revision(deployment(), 2), "metadata.resourceVersion", f"900{len(asked)}"))

    monkeypatch.setattr(actions, "image", image)
    with pytest.raises(Unmet, match=r"expected .*revision 3"):
        rollover(chain, waiter.eventually)
    assert asked == [(ABSENT_IMAGE, None), (chain.image, "3")]


def test_image_and_version_of_a_template_are_one_change() -> None:
    chain, _, _ = up_to(*healthy())
    sent: list[Json] = []

    def patch(_kind: str, _namespace: str, _name: str, body: Json, **_: str) -> KubeObject:
        sent.append(body["spec"]["template"])
        return deployment()

    asked = replace(chain, api=cast("Any", SimpleNamespace(patch=patch)))
    actions.image(asked, "nginx:2", version="3")
    container = {"name": "nginx", "image": "nginx:2"}
    assert sent == [{"metadata": {"annotations": {"kubechain/version": "3"}}, "spec": {"containers": [container]}}]


def test_service_without_a_ready_pod_reaches_nobody() -> None:
    chain, waiter, _ = up_to(*sick())
    with pytest.raises(Blocked, match="blocked by ENDPOINTS: "):
        reaches_itself(chain, waiter.eventually)


def test_service_that_lists_nobody_again_has_not_followed_its_selector_back(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, waiter, _ = up_to(changed(service(), "metadata.name", INNER))
    monkeypatch.setattr(actions, "service", nothing)
    with pytest.raises(Unmet, match=f"EndpointSlices of inner to list exactly the {REPLICAS} ready Pods"):
        are_managed(chain, waiter.eventually)


def test_service_that_requires_two_families_has_an_address_of_each() -> None:
    both = {"IPv4": "10.96.0.9", "IPv6": "fd00::9"}
    given = changed(service(), "spec.clusterIPs", [*both.values()])
    assert cluster_ips_of_both(given) == both
    with pytest.raises(Blocked, match=f"blocked by SERVICE: expected Service {WEB} with a clusterIP of each IP family, got IPv4"):
        cluster_ips_of_both(changed(service(), "spec.clusterIPs", ["10.96.0.9"]))


def test_variables_of_another_service_than_that_of_the_chain_are_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    unlinked = changed(C, "metadata.name", "unlinked")
    chain, waiter, clock = up_to(*healthy(), unlinked, changed(service(), "metadata.name", "twin"))
    variables = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}

    def environment(*_: object) -> Polled[dict[str, str]]:
        return Polled("environment", lambda: variables, clock)

    monkeypatch.setattr(sources, "environment", environment)

    def create(*_: object) -> KubeObject:
        return unlinked

    are_switched_off(chain, create, waiter.eventually)
    variables["TWIN_SERVICE_HOST"] = "10.96.0.7"
    with pytest.raises(Unmet, match="expected no variables for Service twin, got TWIN_SERVICE_HOST"):
        are_switched_off(chain, create, waiter.eventually)


def test_cluster_whose_nodes_are_all_tainted_has_no_room_that_was_looked_at() -> None:
    taints = {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}
    nodes = [thing("Node", name, spec=taints, status={"conditions": conditions(Ready="True")}) for name in ("a", "b")]
    tainted: Any = SimpleNamespace(machines=nodes, all=lambda *_: [changed(A, "spec.nodeName", "a")])  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(pytest.skip.Exception, match="needs a Node that takes Pods without tolerations"):
        is_room(tainted)


@pytest.mark.parametrize(("told", "ended", "early"), [(1, 5, False), (1, 1, True), (None, 1, True)])
def test_pod_that_is_killed_at_once_was_not_given_its_grace_period(
    monkeypatch: pytest.MonkeyPatch, told: int | None, ended: int, *, early: bool
) -> None:
    stubborn = pod(name="stubborn")
    chain, waiter, clock = up_to(stubborn)
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    message = "" if told is None else f"{start + told:.0f}\n"
    end = {"exitCode": 137, "message": message, "finishedAt": f"2026-01-01T00:00:0{ended}Z"}
    killed = changed(
        changed(stubborn, "status.containerStatuses.0.state", {"terminated": end}), "metadata.resourceVersion", "9000"
    )

    def gone() -> None:
        chain.objects.record("MODIFIED", killed)
        chain.objects.record("DELETED", killed)

    # However long it takes until the API server knows.
    deleting(monkeypatch, lambda: clock.at(2.0, gone))

    def create(*_: object) -> KubeObject:
        return stubborn

    with pytest.raises(AssertionError) if early else nullcontext():
        is_killed(chain, create, waiter.eventually)
