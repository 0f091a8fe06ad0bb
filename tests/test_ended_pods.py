"""Pods that the cluster ends in the middle of a run, as when somebody drains a Node, are no broken link."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Link
from kubechain.claims.requirements import DISRUPTION, Requirement, right
from kubechain.conditions import containers, deployments, objects, pods, scheduling
from kubechain.conditions.condition import Condition
from kubechain.conditions.ended import why_ended
from kubechain.core.errors import Blocked, HarnessError
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.pytest import gating
from kubechain.pytest.state import ClaimState
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import FakeClock, changed, claim_of, healthy, pod, replica_set, state, thing
from tests.test_gates import giving

NOW = "2026-01-01T00:00:00Z"
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
OUT_OF_PODS = {"phase": "Failed", "reason": "OutOfpods", "message": "no room"}


# Conditions of two Pods.
CONDITIONS: dict[str, Condition[NamespaceState]] = {
    "exactly_ready": pods.exactly_ready(LABELS, 2),
    "scheduled": scheduling.scheduled(LABELS, 2),
    "count": pods.count(LABELS, 2),
    "controlled_count": pods.controlled_count(replica_set().uid, 2),
    "conditions_true": pods.conditions_true(LABELS),
    "in_pod_cidr": pods.in_pod_cidr(LABELS, {f"node-{number}": [f"10.244.{number}.0/24"] for number in range(2)}),
    "never_restarted": pods.never_restarted(LABELS),
    "run_image": containers.run_image(LABELS, "nginx:1"),
    "run_image_of": containers.run_image_of(LABELS, frozenset(["sha256:aa"])),
    "within_bounds": deployments.within_bounds(WEB, LABELS, 2, 2),
    "happened": objects.happened("Pod", LABELS, "Started"),
}
STARTED = [thing("Event", f"e{number}", reason="Started", involvedObject={"uid": pod(number).uid}) for number in range(2)]


@pytest.mark.parametrize("name", CONDITIONS)
def test_pod_that_its_node_did_not_take_counts_for_nothing(name: str) -> None:
    refused = pod(2, status=OUT_OF_PODS)
    assert CONDITIONS[name](state(pod(0), pod(1), *STARTED, refused)).met
    assert not CONDITIONS[name](state(refused)).met


def test_pod_that_is_over_counts_only_while_it_is_being_deleted() -> None:
    over = changed(pod(2), "status.phase", "Succeeded")
    going = changed(over, "metadata.deletionTimestamp", "2030-01-01T00:00:00Z")
    for condition in (pods.count(LABELS, 2), pods.exactly_ready(LABELS, 2)):
        assert condition(state(pod(0), pod(1), over)).met
        assert not condition(state(pod(0), pod(1), going)).met


def client(**over: Any) -> KubeObject:
    return pod(2, **{"name": CLIENT, "labels": {"app": CLIENT}, "ownerReferences": [], **over})


def evicted(resource: KubeObject) -> KubeObject:
    conditions: list[Json] = resource.at("status.conditions")
    targeted = changed(resource, "status.conditions", [*conditions, EVICTED])
    return changed(changed(targeted, "metadata.deletionTimestamp", NOW), "metadata.resourceVersion", "900000")


def on_a_chain(*objects: KubeObject) -> tuple[Chain, FakeClock, list[Json]]:
    """Return a chain of these objects; what is created is listed, and is ready at once."""
    clock, created = FakeClock(), list[Json]()
    history = History("ns", clock)
    for each in objects:
        history.record("ADDED", each)

    def create(body: Json, _: str) -> KubeObject:
        created.append(body)
        made = client(uid=f"again-{len(created)}")
        history.record("ADDED", made)
        return made

    def get(kind: str, _: str, name: str) -> KubeObject:
        return thing(kind, name)

    api = cast("Any", SimpleNamespace(create=create, get=get))
    observer = cast("Any", SimpleNamespace(history=history))
    chain = Chain(api, "ns", observer, Waiter(clock), (), "host", "nginx", frozenset(), "client:1", 2, begun=clock.now())
    return chain, clock, created


def test_client_that_somebody_evicts_is_made_again() -> None:
    chain, clock, created = on_a_chain(*healthy(), client())
    assert chain.client.pod == CLIENT
    chain.objects.record("MODIFIED", evicted(client()))
    clock.at(2.0, lambda: chain.objects.record("DELETED", evicted(client())))
    assert chain.client.pod == CLIENT
    assert [body["metadata"]["name"] for body in created] == [CLIENT]
    assert chain.client.pod == CLIENT
    assert len(created) == 1


def test_client_that_is_away_without_a_reason_is_a_broken_link() -> None:
    chain, _, created = on_a_chain(*healthy(), client())
    chain.objects.record("DELETED", client())
    with pytest.raises(Blocked, match="no Pod client") as caught:
        _ = chain.client
    assert (caught.value.waits_for, created) == (Link.PODS, [])


def test_pod_that_its_node_did_not_take_says_nothing_of_the_chain() -> None:
    chain, clock, _ = on_a_chain(*healthy(), client(status=OUT_OF_PODS))
    with pytest.raises(HarnessError, match=r"has ended Pod client \(OutOfpods: no room\)"):
        _ = chain.client
    assert clock.time == 1000.0


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (evicted(pod(0)), "EvictionByEvictionAPI: Eviction API: evicting"),
        (pod(0, status=OUT_OF_PODS), "OutOfpods: no room"),
        (pod(0, status={"phase": "Failed"}), "Failed"),
        (pod(0), ""),
        (changed(pod(0), "metadata.deletionTimestamp", NOW), ""),
        # What a claim deletes may end with a status of its own.
        (changed(pod(0, status={"phase": "Failed"}), "metadata.deletionTimestamp", NOW), ""),
    ],
)
def test_why_a_pod_is_ended(ended: KubeObject, said: str) -> None:
    assert why_ended(ended) == said


def meanwhile(monkeypatch: pytest.MonkeyPatch, chain: Chain, *requirements: Requirement, began: float = 1000.0) -> str:
    stated = claim_of(Link.CLUSTERIP, requirements=requirements)
    for where, name, value in ((claim, "of", stated), (gating, "chain_of", chain), (gating, "claim_state", ClaimState())):
        monkeypatch.setattr(where, name, giving(value))
    item: Any = SimpleNamespace(fixturenames=[gating.OF_CHAINS], config=None)
    return gating.ended_meanwhile(item, began)


def test_claim_that_fails_while_a_pod_is_evicted_and_replaced_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, _, _ = on_a_chain(*healthy())
    assert meanwhile(monkeypatch, chain) == ""
    chain.objects.record("DELETED", evicted(pod(0)))
    chain.objects.record("ADDED", pod(7))
    assert meanwhile(monkeypatch, chain).startswith("the cluster has ended Pod web-")
    assert meanwhile(monkeypatch, chain, began=1000.5) == ""


@pytest.mark.parametrize("requirement", [DISRUPTION, right("create", "pods/eviction")])
def test_claim_that_evicts_pods_itself_fails(monkeypatch: pytest.MonkeyPatch, requirement: Requirement) -> None:
    chain, _, _ = on_a_chain(*healthy())
    chain.objects.record("DELETED", evicted(pod(0)))
    chain.objects.record("ADDED", pod(7))
    assert meanwhile(monkeypatch, chain, requirement) == ""


def test_deployment_whose_pods_are_ended_for_good_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, _, _ = on_a_chain(*healthy())
    chain.objects.record("DELETED", evicted(pod(0)))
    chain.objects.record("ADDED", pod(7, status=OUT_OF_PODS))
    assert meanwhile(monkeypatch, chain) == ""
