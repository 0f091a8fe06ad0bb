"""Faults of the status: a right that is taken away and given back, policies on status, and a CoreDNS Pod that is cut off."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.core.run import RUN_LABEL
from kubechain.faults.catalogue import status
from kubechain.faults.catalogue.in_passing import Pinned
from kubechain.faults.catalogue.partly import DroppedServer
from kubechain.faults.catalogue.status import LostRight, without_resource
from kubechain.faults.testbed import TRIAL, Testbed
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json
from tests.engine_objects import KnownNodes, as_testbed, chain_factory
from tests.fakes import FakeApi, thing

RULES: list[Json] = [
    {"apiGroups": ["apps"], "resources": ["deployments", "deployments/status"], "verbs": ["update"]},
    {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["patch"]},
    {"nonResourceURLs": ["/healthz"], "verbs": ["get"]},
]
LEFT: list[Json] = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["update"]},
    {"nonResourceURLs": ["/healthz"], "verbs": ["get"], "resources": []},
]
RIGHT = LostRight("deployment-controller", "apps", "deployments/status")
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:controller:deployment-controller"
MISCOUNTED = {fault.id: fault for fault in status.FAULTS}["replicaset-miscounted"].injection
DENIED = {fault.id: fault for fault in status.FAULTS}["pod-status-denied"].injection


class Server:
    """An API server that stores objects by path and keeps the requests; with `down` it answers nothing."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.down = False

    def __call__(self, method: str, path: str, body: Any) -> str:
        """Answer a request."""
        self.requests.append((method, path, body))
        if self.down:
            raise ApiUnavailable("no answer")
        if path.endswith("/subjectaccessreviews"):
            (rules,) = [each["rules"] for path, each in self.objects.items() if "clusterroles" in path]
            return json.dumps({"status": {"allowed": any("deployments/status" in r.get("resources", []) for r in rules)}})
        if method == "POST":
            self.objects[f"{path}/{body['metadata']['name']}"] = body
            return json.dumps(body)
        if path not in self.objects:
            raise ApiRefused(404, "NotFound", path)
        if method == "PATCH":
            self.objects[path] = {**self.objects[path], **body}
        elif method == "DELETE":
            return json.dumps(self.objects.pop(path))
        return json.dumps(self.objects[path])


def fake_testbed(api: Any, folder: Path) -> Testbed:
    nodes = ["kind-control-plane", "kind-worker", "kind-worker2"]
    known = [thing("Node", name, spec={"podCIDR": "10.244.1.0/24"}) for name in nodes]
    return as_testbed(KnownNodes(folder, nodes), chain_factory(api, {RUN_LABEL: "ab12"}, known))


def test_rule_without_resources_is_left_out() -> None:
    assert without_resource(RULES, "deployments/status") == LEFT


def test_right_is_taken_away_and_given_back(tmp_path: Path) -> None:
    server = Server()
    server.objects[ROLE] = {"kind": "ClusterRole", "metadata": {"name": "x"}, "rules": RULES}
    testbed = fake_testbed(FakeApi(server), tmp_path)
    assert RIGHT.in_effect(testbed).got == "deployment-controller may update deployments/status"
    RIGHT.inject(testbed)
    assert server.objects[ROLE]["rules"] == LEFT
    assert RIGHT.in_effect(testbed).met
    review = next(body for _, path, body in server.requests if path.endswith("reviews"))
    assert review["spec"]["user"] == "system:serviceaccount:kube-system:deployment-controller"
    assert review["spec"]["resourceAttributes"]["subresource"] == "status"
    RIGHT.heal(testbed)
    assert server.objects[ROLE]["rules"] == RULES
    RIGHT.heal(testbed)


def test_right_that_could_not_be_taken_away_is_given_back(tmp_path: Path) -> None:
    server = Server()
    testbed = fake_testbed(FakeApi(server), tmp_path)
    server.down = True
    with pytest.raises(ApiUnavailable):
        RIGHT.inject(testbed)
    RIGHT.heal(testbed)
    (tmp_path / "role-deployment-controller.json").write_text(json.dumps(RULES))
    with pytest.raises(ApiUnavailable):
        RIGHT.heal(testbed)
    server.down = False
    server.objects[ROLE] = {"kind": "ClusterRole", "metadata": {"name": "x"}, "rules": LEFT}
    RIGHT.heal(testbed)
    assert server.objects[ROLE]["rules"] == RULES


@pytest.mark.parametrize("injection", [MISCOUNTED, DENIED])
def test_policy_on_a_status_has_a_sample_while_it_lasts(injection: Any, tmp_path: Path) -> None:
    server = Server()
    testbed = fake_testbed(FakeApi(server), tmp_path)
    injection.inject(testbed)
    (policy,) = [each for path, each in server.objects.items() if "policies/" in path]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"][0].partition("/")[2]) == (["UPDATE"], "status")
    samples = [path for path in server.objects if f"/{TRIAL}/" in path and not path.endswith("serviceaccounts/chain")]
    assert len(samples) == 1
    # The sample is accepted as it is: no policy works yet.
    server.objects[f"{samples[0]}/status"] = server.objects[samples[0]]
    assert not injection.in_effect(testbed).met
    injection.heal(testbed)
    assert not [path for path in server.objects if "polic" in path or path in samples]
    injection.heal(testbed)
    del server.objects[f"{samples[0]}/status"]
    assert not injection.in_effect(testbed).met


def test_pods_are_pinned_to_a_worker_by_name(tmp_path: Path) -> None:
    server = Server()
    Pinned("client", 1).inject(fake_testbed(FakeApi(server), tmp_path))
    (policy,) = [each for path, each in server.objects.items() if "policies/" in path]
    (mutation,) = policy["spec"]["mutations"]
    assert '{"kubernetes.io/hostname": "kind-worker2"}' in mutation["jsonPatch"]["expression"]
    assert policy["spec"]["matchConditions"][0]["expression"].endswith("['app'] == 'client'")


def test_one_dns_server_is_cut_off_by_its_address_until_it_is_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [{"metadata": {"name": f"dns-{n}"}, "status": {"podIP": f"10.244.0.{n}", "phase": "Running"}} for n in (2, 3)]
    scripts = list[str]()

    def answer(_method: str, _path: str, _body: Any) -> str:
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": pods})

    def run_on(_testbed: Testbed, _node: str, script: str) -> str:
        scripts.append(script)
        return ""

    def succeeds_on(_testbed: Testbed, _node: str, _script: str) -> bool:
        return True

    monkeypatch.setattr(Testbed, "run_on", run_on)
    monkeypatch.setattr(Testbed, "succeeds_on", succeeds_on)
    broken, cut = fake_testbed(FakeApi(answer), tmp_path), DroppedServer()
    assert not cut.in_effect(broken).met
    cut.heal(broken)
    assert scripts == []
    cut.inject(broken)
    assert len(scripts) == 3
    assert all("-I FORWARD -d 10.244.0.2 -p udp --dport 53 -j DROP" in script for script in scripts)
    assert cut.in_effect(broken).met
    cut.heal(broken)
    assert all("-D FORWARD -d 10.244.0.2 -p udp" in script for script in scripts[3:])
    assert not cut.in_effect(broken).met
