import pytest

from kubechain.kube.objects import KubeObject, names
from kubechain.provision.settling import settled
from tests.fakes import deployment, pod, replica_set, service, state, thing


def test_at_returns_the_value_at_a_path_or_the_default() -> None:
    found = thing("Pod", "a", spec={"x": {"y": 0}, "list": []})
    assert found.at("spec.x.y", 7) == 0
    assert found.at("spec.x.z", 7) == 7
    assert found.at("spec.x.y.z", 7) == 7
    assert found.at("spec.list.0", 7) == 7
    assert found.at("nothing.at.all") is None


def test_object_with_a_name_only_has_empty_fields() -> None:
    bare = KubeObject({"metadata": {"name": "a"}})
    assert (bare.kind, bare.uid, bare.version, bare.labels, bare.annotations) == ("", "", "", {}, {})
    assert (bare.deleting, bare.controller, bare.condition("Ready")) == (False, None, {})
    assert not bare.is_true("Ready")
    nulls = KubeObject({"metadata": {"name": "a", "labels": None, "annotations": None, "ownerReferences": None}})
    assert (nulls.labels, nulls.annotations, nulls.controller) == ({}, {}, None)


def test_null_is_a_field_that_is_missing() -> None:
    nulls = thing("Pod", "a", deletionTimestamp=None, status={"conditions": None, "containerStatuses": None})
    assert (nulls.at("status.containerStatuses", []), nulls.at("status.conditions.x", 7)) == ([], 7)
    assert (nulls.deleting, nulls.condition("Ready"), nulls.is_true("Ready")) == (False, {}, False)


@pytest.mark.parametrize("status", ["False", "Unknown", "true", ""])
def test_only_status_true_in_this_spelling_is_true(status: str) -> None:
    assert not thing("Pod", "a", status={"conditions": [{"type": "Ready", "status": status}]}).is_true("Ready")


def test_labels_match_by_value_and_no_labels_match_every_object() -> None:
    assert pod(0).matches({"app": "web"})
    assert not pod(0).matches({"app": "api"})
    assert not pod(0).matches({"tier": "x"})
    assert pod(0).matches({})


def test_controller_is_the_owner_reference_with_controller_true() -> None:
    owners = [{"name": "a", "uid": "1"}, {"name": "b", "uid": "2", "controller": True}]
    assert thing("Pod", "x", ownerReferences=owners).controller == owners[1]
    assert thing("Pod", "x", ownerReferences=owners[:1]).controller is None


def test_namespace_state_finds_objects_by_kind_name_labels_and_owner() -> None:
    found = state(pod(1), pod(0), service(), replica_set(), deployment())
    assert [each.name for each in found.all("Pod")] == [pod(0).name, pod(1).name]
    assert found.all("Pod", {"app": "other"}) == ()
    assert found.one("Service", "web") is not None
    assert found.one("Pod", "web") is None
    assert [each.kind for each in found.owned_by(deployment(), "ReplicaSet")] == ["ReplicaSet"]
    assert found.owned_by(deployment(uid="another"), "ReplicaSet") == ()
    assert names(found.all("Pod")) == f"{pod(0).name}, {pod(1).name}"
    assert names([]) == "none"


@pytest.mark.parametrize(
    ("phase", "ready", "wanted"),
    [("Running", "True", True), ("Running", "False", False), ("Succeeded", "False", True), ("Failed", "False", True)],
)
def test_cluster_is_awaited_without_pods_that_have_ended(phase: str, ready: str, *, wanted: bool) -> None:
    pod = KubeObject({"kind": "Pod", "metadata": {"name": "coredns"}, "status": {"phase": phase, "conditions": []}})
    pod.body["status"]["conditions"].append({"type": "Ready", "status": ready})
    assert settled([pod]).met == wanted
