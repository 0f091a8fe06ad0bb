"""What claims before an upgrade read of a cluster."""

import json
from typing import Any

import pytest

from kubechain.conditions import drain_room
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of
from kubechain.upgrade.cluster_state import ClusterState, kept
from tests.fakes import FakeApi, thing

POLICY = {"failurePolicy": "Fail", "paramKind": {"apiVersion": "shop.io/v1", "kind": "Limit"}}
DISCOVERED = {"resources": [{"name": "limits", "kind": "Limit", "namespaced": True}, {"name": "limits/status", "kind": "Limit"}]}


class Server(FakeApi):
    """An API server with these objects, and other answers by their paths."""

    def __init__(self, *objects: KubeObject, **answers: Any) -> None:
        super().__init__(self.find)
        self.objects, self.answers = objects, answers
        self.paths: list[str] = []

    def twin(self, keep: Any = None, *, patient: bool = False) -> Any:
        """Return this server."""
        del keep, patient
        return self

    def close(self) -> None:
        """Close nothing."""

    def find(self, _method: str, path: str, _body: Any) -> str:
        """Answer by the path."""
        self.paths.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, int):
            raise ApiRefused(answer, "no", "no")
        if answer is not None:
            return json.dumps(answer)
        listed = [each.body for each in self.objects if path == path_of(each.kind)]
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": listed})


def cluster(*objects: KubeObject, **answers: Any) -> ClusterState:
    server = Server(*objects, **answers)
    return ClusterState(server, server)


def bound(**reference: Any) -> list[KubeObject]:
    spec = {"policyName": "p", "paramRef": {"name": "max", **reference}}
    return [
        thing("ValidatingAdmissionPolicy", "p", spec=POLICY),
        thing("ValidatingAdmissionPolicyBinding", "b", spec=spec),
    ]


GROUP, PARAMETER = "/apis/shop.io/v1", "/apis/shop.io/v1/namespaces/shop/limits/max"


@pytest.mark.parametrize(
    ("answers", "reference", "known"),
    [
        ({GROUP: DISCOVERED, PARAMETER: {}}, {"namespace": "shop"}, {"b": True}),
        ({GROUP: DISCOVERED, PARAMETER: 404}, {"namespace": "shop"}, {"b": False}),
        ({GROUP: 404}, {"namespace": "shop"}, {"b": False}),
        ({GROUP: {"resources": []}}, {"namespace": "shop"}, {"b": False}),
        # In the namespace of each request, or not to be read: nothing can be said.
        ({GROUP: DISCOVERED}, {}, {}),
        ({GROUP: DISCOVERED, PARAMETER: 403}, {"namespace": "shop"}, {}),
    ],
)
def test_parameters_of_policies_are_looked_up(answers: Json, reference: Json, known: Json) -> None:
    assert cluster(*bound(**reference), **answers).known_parameters() == known


def test_each_kind_is_listed_once_and_virtual_nodes_are_no_machines() -> None:
    server = Server(thing("Node", "a"), thing("Node", "v", labels={"type": "virtual-kubelet"}))
    state = ClusterState(server, server)
    assert [each.name for each in state.machines] == ["a"]
    assert [each.name for each in state.all("Node")] == ["a", "v"]
    assert server.paths == ["/api/v1/nodes"]


def test_services_of_webhooks_are_read_by_name() -> None:
    there, gone = ({"clientConfig": {"service": {"namespace": "shop", "name": name}}} for name in ("check", "gone"))
    hooks = [thing("ValidatingWebhookConfiguration", "x", webhooks=[there, gone, {"clientConfig": {"url": "https://x"}}])]
    service = thing("Service", "check").body
    state = cluster(**{path_of("Service", "shop", "check"): service, path_of("Service", "shop", "gone"): 404})
    services, slices = state.behind(hooks)
    assert ([each.name for each in services], slices) == (["check"], [])


def test_configuration_of_kubelets_is_read() -> None:
    path = path_of("ConfigMap", "kube-system", "kubelet-config")
    found = thing("ConfigMap", "kubelet-config", data={"kubelet": "failCgroupV1: false"}).body
    assert cluster(**{path: found}).kubelet_configuration() == "failCgroupV1: false"
    assert cluster(**{path: 404}).kubelet_configuration() == ""


def test_of_a_pod_only_what_is_looked_at_is_kept() -> None:
    asks = {"requests": {"cpu": "1"}}
    spec: Json = {"nodeName": "a", "containers": [{"name": "c", "image": "x" * 1000, "resources": asks}], "volumes": [{}] * 20}
    whole = thing("Pod", "one", spec=spec, status={"phase": "Running", "podIP": "10.0.0.1"})
    small = KubeObject(kept(whole.body))
    assert drain_room.requests(small) == drain_room.requests(whole)
    assert (small.name, small.over, small.at("spec.nodeName")) == ("one", False, "a")
    assert len(json.dumps(small.body)) < 400
    node = thing("Node", "a").body
    assert kept(node) is node
