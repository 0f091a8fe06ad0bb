import pytest

from kubechain.conditions.condition import Condition, Result, all_of, empty, equal, expect, hopeless, met, unmet
from kubechain.kube.objects import KubeObject, names
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


def test_results_say_what_there_is_only_when_they_are_not_met() -> None:
    assert expect(ok=True, got="x is 3") == met()
    assert expect(ok=False, got="x is 3") == unmet("x is 3")
    assert str(equal("x", 3, 4)) == "expected x 4, got 3"
    assert hopeless("gone").hopeless
    assert not hopeless("gone").met


def test_all_of_is_met_only_by_all_and_tells_the_first_that_is_not() -> None:
    def big(n: int) -> Result:
        return expect(n > 5, f"{n} is small")

    def even(n: int) -> Result:
        return expect(n % 2 == 0, f"{n} is odd")

    def lost(n: int) -> Result:
        return hopeless("negative") if n < 0 else met("sane")

    every: Condition[int] = all_of("big and even", big, even, lost)
    assert every(6) == met("sane")
    assert every(3).got == "3 is small"
    assert every(7).got == "7 is odd"
    assert every(-1).hopeless


def test_empty_means_that_nothing_is_left() -> None:
    assert empty("namespace")([]).met
    assert empty("namespace")(["a", "b"]).got == "a, b"
