import json
import os
import signal
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.diagnostics.suspects import suspects
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.network_policies import ALLOW
from tests.fakes import FakeApi, conditions, thing
from tests.test_keyboard_interrupt import armed

NOW = "2026-11-01T12:00:00Z"
SECONDS = 1793534400.0
READY = thing("Node", "ready", status={"conditions": conditions(Ready="True")})
LOST = thing("Node", "lost", status={"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]})
CORDONED = thing("Node", "cordoned", spec={"unschedulable": True}, status={"conditions": conditions(Ready="True")})


class ClusterApi(FakeApi):
    """An API that has these objects by the end of their path; others do not exist, and those of None are refused."""

    def __init__(self, **objects: Json | list[KubeObject] | None) -> None:
        super().__init__(self._answer)
        self._objects = {name.replace("_", "-"): value for name, value in objects.items()}

    def has(self, path: str) -> bool:
        """Whether the objects are those of a path: Calico has policies of the same name."""
        return "projectcalico.org" not in path

    def _answer(self, _method: str, path: str, _body: Any) -> str:
        found = self._objects.get(path.rpartition("/")[2], []) if self.has(path) else []
        if found is None:
            raise ApiRefused(403, "Forbidden", "no")
        if isinstance(found, list):
            return json.dumps({"metadata": {"resourceVersion": "1"}, "items": [each.body for each in found]})
        return json.dumps(found)

    def server_time(self) -> float:
        """Return the time of NOW."""
        return SECONDS


def lease(renewed: str) -> Json:
    return {"kind": "Lease", "metadata": {"name": "l"}, "spec": {"renewTime": renewed, "leaseDurationSeconds": 15}}


def coredns(ready: int, replicas: int) -> list[KubeObject]:
    return [thing("Deployment", "coredns", spec={"replicas": replicas}, status={"readyReplicas": ready} if ready else {})]


def test_silent_controller_manager_is_named_with_the_age_of_its_lease() -> None:
    api = ClusterApi(kube_controller_manager=lease("2026-11-01T11:59:12.000000Z"), nodes=[READY])
    shown = suspects(api, Link.DEPLOYMENT)
    assert shown == "kube-controller-manager: no sign of life, its Lease was renewed 48 s ago and lasts 15 s"


def test_living_component_is_shown_as_alive() -> None:
    api = ClusterApi(kube_scheduler=lease("2026-11-01T11:59:58.000000Z"), nodes=[READY])
    assert suspects(api, Link.PODS) == "kube-scheduler: alive, its Lease was renewed 2 s ago"


@pytest.mark.parametrize(("ready", "replicas"), [(0, 2), (1, 2), (0, 0)])
def test_missing_replicas_of_dns_are_counted(ready: int, replicas: int) -> None:
    api = ClusterApi(deployments=coredns(ready, replicas), nodes=[READY])
    assert suspects(api, Link.DNS) == f"coredns: {ready} of {replicas} replicas ready"


def test_healthy_components_are_no_suspects() -> None:
    assert suspects(ClusterApi(deployments=coredns(2, 2), nodes=[READY, CORDONED]), Link.DNS) == ""


def test_nodes_are_named_if_they_are_not_ready_or_none_takes_pods() -> None:
    assert suspects(ClusterApi(nodes=[READY, LOST]), Link.API) == "Node lost: not ready (NodeStatusUnknown)"
    assert suspects(ClusterApi(nodes=[CORDONED]), Link.PODS) == "Nodes: all 1 are cordoned or tainted"


def test_what_may_not_be_read_is_left_out() -> None:
    assert suspects(ClusterApi(deployments=None, pods=None, nodes=[LOST]), Link.DNS).startswith("Node lost: ")
    assert suspects(ClusterApi(deployments=None, pods=None, nodes=None), Link.DNS) == ""


def test_after_a_signal_nothing_more_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    api = ClusterApi(kube_controller_manager=lease("2026-11-01T11:59:12.000000Z"), nodes=[LOST])
    look, asked = api.list, list[str]()

    def listed(kind: str, *words: Any, **named: Any) -> Any:
        asked.append(kind)
        os.kill(os.getpid(), signal.SIGTERM)
        return look(kind, *words, **named)

    monkeypatch.setattr(api, "list", listed)
    with armed() as found:
        monkeypatch.setattr("kubechain.diagnostics.suspects.INTERRUPTS", found)
        found.hold()
        shown = suspects(api, Link.DEPLOYMENT, "ns")
        with pytest.raises(KeyboardInterrupt):
            found.release()
    assert shown.startswith("kube-controller-manager: no sign of life")
    assert "Node" not in shown
    assert asked == ["Node"]


def test_policy_that_denies_traffic_is_named_unless_the_run_allows_it() -> None:
    deny, some = thing("NetworkPolicy", "deny", spec={"podSelector": {}}), {"podSelector": {"matchLabels": {"a": "b"}}}
    found = [deny, thing("NetworkPolicy", "some", spec=some)]
    shown = suspects(ClusterApi(nodes=[READY], networkpolicies=found), Link.CLUSTERIP, "ns")
    assert shown == "NetworkPolicy deny: denies traffic in namespace ns"
    assert suspects(ClusterApi(nodes=[LOST], networkpolicies=found), Link.CLUSTERIP, "ns", inside=True) == shown
    allowed = [*found, thing("NetworkPolicy", ALLOW, spec={"podSelector": {}})]
    assert suspects(ClusterApi(nodes=[READY], networkpolicies=allowed), Link.CLUSTERIP, "ns") == ""
    assert suspects(ClusterApi(nodes=[READY], networkpolicies=None), Link.CLUSTERIP, "ns") == ""


def absent(_method: str, path: str, _body: Any) -> str:
    """Answer as a cluster whose components are no Pods, and have other names or none."""
    if path.rpartition("/")[2].startswith("kube-"):
        raise ApiRefused(404, "NotFound", "no")
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": []})


@pytest.mark.parametrize("link", Link)
def test_components_that_are_not_seen_are_no_suspects(link: Link) -> None:
    assert suspects(FakeApi(absent), link) == ""
