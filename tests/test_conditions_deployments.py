from collections.abc import Callable

import pytest

from kubechain.conditions import deployments as on
from kubechain.conditions.condition import Condition
from kubechain.conditions.objects import has
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.workload.manifests import LABELS, WEB
from tests.fakes import (
    HASH,
    POD_LABELS,
    RS_NAME,
    changed,
    deployment,
    healthy,
    owned_by,
    pod,
    replica_set,
    state,
    without,
)

Change = Callable[[list[KubeObject]], list[KubeObject]]
REVISION = {"deployment.kubernetes.io/revision": "1"}
ALL: dict[str, Condition[NamespaceState]] = {
    "observed": on.observed(WEB),
    "has": has("Deployment", WEB, {"spec.replicas": 2}),
    "at_revision": on.at_revision(WEB, 1),
    "counts": on.counts(WEB, 2),
    "controls_one_replica_set": on.controls_one_replica_set(WEB, 2),
    "named_by_hash": on.named_by_hash(WEB),
    "hash_everywhere": on.hash_everywhere(WEB),
    "annotated": on.annotated(WEB, {"revision": "1"}),
    "replica_set_counts": on.replica_set_counts(WEB, 2),
    "pods_controlled": on.pods_controlled(WEB, LABELS),
    "pods_labelled": on.pods_labelled(WEB),
}


NOBODY = changed(replica_set(), "metadata.ownerReferences.0.controller", value=False)


def with_(kind: str, path: str, value: object) -> Change:
    return lambda objects: [changed(o, path, value) if o.kind == kind else o for o in objects]


def with_first_pod(path: str, value: object) -> Change:
    return lambda objects: [changed(o, path, value) if o.name == pod(0).name else o for o in objects]


def no(kind: str) -> Change:
    return lambda objects: [o for o in objects if o.kind != kind]


def plus(*more: KubeObject) -> Change:
    return lambda objects: [*objects, *more]


STRANGER = owned_by(replica_set(uid="uid-of-an-older-one"))
BROKEN: list[tuple[str, Change]] = [
    ("observed", with_("Deployment", "status.observedGeneration", 0)),
    ("observed", with_("Deployment", "metadata.generation", 2)),
    ("observed", lambda os: [without(o, "status", "observedGeneration") if o.kind == "Deployment" else o for o in os]),
    ("has", with_("Deployment", "spec.replicas", 3)),
    ("has", with_("Deployment", "spec", {})),
    ("at_revision", with_("Deployment", "metadata.annotations", {})),
    ("at_revision", with_("Deployment", "metadata.annotations", {"deployment.kubernetes.io/revision": "2"})),
    ("counts", with_("Deployment", "status.replicas", 3)),
    ("counts", with_("Deployment", "status.updatedReplicas", 1)),
    ("counts", with_("Deployment", "status.readyReplicas", 1)),
    ("counts", with_("Deployment", "status.availableReplicas", 0)),
    ("counts", with_("Deployment", "status.unavailableReplicas", 1)),
    ("counts", with_("Deployment", "status", {})),
    ("controls_one_replica_set", plus(replica_set(name="web-77", uid="another"))),
    ("controls_one_replica_set", with_("ReplicaSet", "spec.replicas", 1)),
    ("controls_one_replica_set", with_("ReplicaSet", "status.replicas", 1)),
    ("controls_one_replica_set", with_("ReplicaSet", "metadata.ownerReferences.0.uid", "uid-of-another")),
    ("controls_one_replica_set", with_("ReplicaSet", "metadata.ownerReferences", NOBODY.body["metadata"]["ownerReferences"])),
    ("controls_one_replica_set", with_("ReplicaSet", "metadata.ownerReferences", None)),
    ("named_by_hash", with_("ReplicaSet", "metadata.name", "web-other")),
    ("hash_everywhere", with_("ReplicaSet", "metadata.labels", LABELS)),
    ("hash_everywhere", with_("ReplicaSet", "spec.selector.matchLabels", LABELS)),
    ("hash_everywhere", with_("ReplicaSet", "spec.template.metadata.labels", {**POD_LABELS, on.HASH: "other"})),
    ("hash_everywhere", lambda os: [_without_hash(o) for o in os]),
    ("annotated", with_("ReplicaSet", "metadata.annotations", {})),
    ("annotated", with_("ReplicaSet", "metadata.annotations", {"deployment.kubernetes.io/revision": "7"})),
    ("replica_set_counts", with_("ReplicaSet", "status.fullyLabeledReplicas", 1)),
    ("replica_set_counts", with_("ReplicaSet", "status.readyReplicas", 1)),
    ("replica_set_counts", with_("ReplicaSet", "status.availableReplicas", 1)),
    ("replica_set_counts", with_("ReplicaSet", "status.replicas", 3)),
    ("pods_controlled", no("Pod")),
    ("pods_controlled", with_first_pod("metadata.ownerReferences", STRANGER)),
    ("pods_controlled", with_first_pod("metadata.ownerReferences", [])),
    ("pods_controlled", with_first_pod("metadata.ownerReferences.0.kind", "StatefulSet")),
    ("pods_controlled", with_first_pod("metadata.ownerReferences.0.apiVersion", "extensions/v1beta1")),
    ("pods_controlled", with_first_pod("metadata.ownerReferences.0.name", "web-old")),
    ("pods_controlled", with_first_pod("metadata.ownerReferences", NOBODY.body["metadata"]["ownerReferences"])),
    ("pods_labelled", no("Pod")),
    ("pods_labelled", with_first_pod("metadata.labels", LABELS)),
    ("pods_labelled", with_first_pod("metadata.labels", {**POD_LABELS, "app": "other"})),
    ("pods_labelled", with_("ReplicaSet", "spec.template.metadata.labels", LABELS)),
]


def _without_hash(each: KubeObject) -> KubeObject:
    if each.kind != "ReplicaSet":
        return each
    bare = changed(changed(each, "metadata.labels", LABELS), "spec.selector.matchLabels", LABELS)
    return changed(bare, "spec.template.metadata.labels", LABELS)


@pytest.mark.parametrize("name", ALL)
def test_chain_that_is_up_meets_each_condition(name: str) -> None:
    result = ALL[name](state(*healthy()))
    assert result.met, result.got


@pytest.mark.parametrize(("name", "change"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_single_wrong_value_is_unmet_with_a_message(name: str, change: Change) -> None:
    result = ALL[name](state(*change(healthy())))
    assert not result.met
    assert result.got


@pytest.mark.parametrize("name", ALL)
def test_empty_namespace_meets_no_condition(name: str) -> None:
    assert not ALL[name](state()).met


@pytest.mark.parametrize("name", ALL)
def test_every_condition_has_an_unmet_case(name: str) -> None:
    assert name in {each for each, _ in BROKEN}


@pytest.mark.parametrize("name", ALL)
def test_deployment_of_another_name_is_ignored(name: str) -> None:
    others = [changed(o, "metadata.name", "other") if o.kind == "Deployment" else o for o in healthy()]
    assert not ALL[name](state(*others)).met


def test_later_observed_generation_is_met() -> None:
    assert on.observed(WEB)(state(deployment(generation=3, status={"observedGeneration": 4}))).met


def test_current_replica_set_has_the_numerically_highest_revision() -> None:
    old = replica_set(name="web-9", uid="nine", annotations={"deployment.kubernetes.io/revision": "9"})
    new = replica_set(name="web-10", uid="ten", annotations={"deployment.kubernetes.io/revision": "10"})
    found = on.current_replica_set(state(deployment(), old, new), WEB)
    assert found
    assert found.name == "web-10"
    assert on.current_replica_set(state(old, new), WEB) is None


def test_message_of_a_missing_replica_set_names_the_others() -> None:
    orphan = replica_set(ownerReferences=[])
    assert RS_NAME in on.controls_one_replica_set(WEB, 2)(state(deployment(), orphan)).got
    assert HASH in RS_NAME


@pytest.mark.parametrize(("most", "pods"), [("25%", 1), ("50%", 1), ("0%", 0), ("100%", 2), (1, 1), (3, 3), (None, 0)])
def test_surge_is_rounded_up(most: object, pods: int) -> None:
    strategy = {"rollingUpdate": {"maxSurge": most}}
    assert on.surge(changed(deployment(), "spec.strategy", strategy)) == pods
