"""Faults of an upgrade: what they change is changed, shows, and is put back."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.core.run import UPGRADE_LABEL
from kubechain.faults.catalogue import obstacles, selection, witnesses
from kubechain.faults.catalogue.witnesses import ConfigurationChanged, WithoutRights
from kubechain.faults.injections import Objects
from kubechain.faults.testbed import Testbed
from kubechain.kube.paths import path_of
from tests.fakes import FakeApi

SPACE = "kubechain-upgrade-0a1b2c3d"


class Store:
    """Objects by path; a merge patch replaces what it names."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []

    def answer(self, method: str, path: str, body: Any) -> str:
        plain = path.partition("?")[0]
        if method == "PATCH":
            _merge(self.objects[plain], body)
        elif method == "DELETE":
            self.deleted.append(plain)
        elif plain not in self.objects:
            return json.dumps({"kind": "List", "items": [], "metadata": {}})
        return json.dumps(self.objects.get(plain, {}))


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], cast("dict[str, Any]", value))
        else:
            into[key] = value


def on(store: Store) -> Testbed:
    return cast("Testbed", SimpleNamespace(api=FakeApi(store.answer)))


def test_controller_without_rights_gets_them_back() -> None:
    path = path_of("ClusterRoleBinding", "", "system:controller:deployment-controller")
    before = [{"kind": "ServiceAccount", "name": "deployment-controller", "namespace": "kube-system"}]
    store = Store()
    store.objects[path] = {"kind": "ClusterRoleBinding", "metadata": {"name": "x"}, "subjects": before}
    testbed, lost = on(store), WithoutRights("deployment-controller")
    assert not lost.in_effect(testbed).met
    lost.inject(testbed)
    assert lost.in_effect(testbed).met
    lost.heal(testbed)
    assert store.objects[path]["subjects"] == before


def test_changed_configuration_is_put_back_once() -> None:
    path = path_of("ConfigMap", "kube-system", "coredns")
    store = Store()
    store.objects[path] = {"kind": "ConfigMap", "metadata": {"name": "coredns"}, "data": {"Corefile": "a\nb\n"}}
    testbed, change = on(store), ConfigurationChanged("coredns", "Corefile", "b\n", "c\n")
    change.heal(testbed)
    change.inject(testbed)
    assert store.objects[path]["data"]["Corefile"] == "a\nc\n"
    assert change.in_effect(testbed).met
    with pytest.raises(HarnessError, match=r"no 'b.n' in Corefile of ConfigMap coredns"):
        change.inject(testbed)
    change.heal(testbed)
    assert store.objects[path]["data"]["Corefile"] == "a\nb\n"
    assert not change.in_effect(testbed).met


def test_two_pods_of_the_witnesses_are_deleted_at_once() -> None:
    store = Store()
    space = {"kind": "Namespace", "metadata": {"name": SPACE, "labels": {UPGRADE_LABEL: "0a1b2c3d"}}}
    store.objects[path_of("Namespace")] = {"kind": "NamespaceList", "items": [space], "metadata": {}}
    pods = [{"metadata": {"name": f"web-{number}"}} for number in range(4)]
    store.objects[path_of("Pod", SPACE)] = {"kind": "PodList", "items": pods, "metadata": {}}
    witnesses.delete_pods_at_once(on(store))
    assert store.deleted == [path_of("Pod", SPACE, f"web-{number}") for number in range(2)]
    with pytest.raises(HarnessError, match="no ReplicaSet with app=web among the witnesses"):
        witnesses.label_replica_sets(on(store))


def test_what_comes_before_an_upgrade_is_looked_for_by_one_claim_of_that_time() -> None:
    for fault in selection.ALL:
        assert fault.ahead == (fault in obstacles.FAULTS), fault.id
        if fault.ahead:
            (claim,) = fault.claims
            assert claim.startswith("BEFORE-"), fault.id


def test_obstacles_are_objects_that_concern_nothing_else() -> None:
    manifests = [each for fault in obstacles.FAULTS if isinstance(fault.injection, Objects) for each in fault.injection.manifests]
    assert len(manifests) == 6
    assert all(path_of(each["kind"], "kube-system", each["metadata"]["name"]) for each in manifests)
    assert {each["metadata"]["name"] for each in manifests} == {
        "kubechain-fault",
        "v1.fault.kubechain.test",
        "nothings.fault.kubechain.test",
    }
