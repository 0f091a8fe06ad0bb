import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain.core.process import Completed
from kubechain.faults import testbed as module
from kubechain.faults.testbed import GIVEN_UP_SECONDS, LEADERS, SERVER, Testbed, is_frozen
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json
from tests.engine_objects import KnownNodes, as_testbed, chain_factory
from tests.fakes import FakeApi

PLACE = "/etc/kubernetes/manifests"
POD = {"kind": "Pod", "metadata": {"name": "x", "annotations": {"kept": "yes"}}, "spec": {"containers": [{"name": "x"}]}}
BOTH = [f"{PLACE}/{name}.yaml" for name in LEADERS]
SINCE = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
BEFORE, LATER = "2026-01-01T11:59:59.999999Z", "2026-01-01T12:00:01.000000Z"


PODS = "/api/v1/namespaces/kube-system/pods"


def pod(name: str, ready: str) -> Json:
    """Return a Pod whose condition Ready has this status."""
    return {"kind": "Pod", "metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


class Node:
    """The control plane's node: its processes and files, and the leases in its API server."""

    def __init__(self, *running: str, frozen: Sequence[str] = (), renewed: str = LATER) -> None:
        self.running, self.frozen = {name[:15] for name in running}, set(frozen)
        self.files = {f"{PLACE}/{name}.yaml": yaml.safe_dump(POD) for name in (*LEADERS, SERVER)}
        self.pods: dict[str, str] = {}
        self.leases: dict[str, str] = dict.fromkeys(LEADERS, renewed)
        self.written: list[str] = []
        self.deleted: list[str] = []
        self.ready = True

    def answer(self, method: str, path: str, _body: object) -> str:
        """Answer as the API server."""
        if not self.ready:
            raise ApiUnavailable("refused")
        if path == "/readyz":
            return "ok"
        if path == PODS:
            return json.dumps({"metadata": {}, "items": [pod(name, ready) for name, ready in self.pods.items()]})
        if path.startswith(f"{PODS}/"):
            self.deleted.append(path.removeprefix(f"{PODS}/"))
            return "{}"
        name = path.removeprefix("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/")
        if method == "DELETE":
            self.deleted.append(name)
        return json.dumps({"metadata": {"name": name}, "spec": {"renewTime": self.leases[name]}})

    def run(self, words: Sequence[str | Path], *, timeout: float) -> Completed:
        """Answer a check by its exit status; pgrep -x compares the first 15 characters of a name only."""
        assert timeout > 0
        typed = tuple(map(str, words))
        assert typed[:5] == ("docker", "exec", "kind-control-plane", "sh", "-c")
        answers = {f"pgrep -x {name}": name in self.running for name in {each[:15] for each in (*LEADERS, SERVER)}}
        answers |= {f"test ! -e {PLACE}/{name}.yaml": f"{PLACE}/{name}.yaml" not in self.files for name in LEADERS}
        answers |= {is_frozen(name): name in self.frozen for name in LEADERS}
        no_lease = "--leader-elect=false"
        answers |= {f"grep -q -e {no_lease} {path}": no_lease in self.files.get(path, "") for path in BOTH}
        return Completed(typed, 0 if any(answers[part] for part in typed[5].split(" || ")) else 1, "", "")

    def check(self, words: list[str], *, stdin: str | None = None, **_: Any) -> str:
        """Read a file, or write one through another folder, because the kubelet reads every file in the folder as a manifest."""
        assert "kind-control-plane" in words
        script = words[-1].split()
        if stdin is None:
            assert script[0] == "cat"
            return self.files[script[1]]
        assert "--interactive" in words
        assert [word for word in script if word.startswith(PLACE)] == [script[-1]]
        self.files[script[-1]] = stdin
        self.written.append(script[-1].removeprefix(f"{PLACE}/").removesuffix(".yaml"))
        return ""

    def pod(self, name: str) -> Any:
        """Return the manifest of a component."""
        return yaml.safe_load(self.files[f"{PLACE}/{name}.yaml"])


def make_testbed(node: Node, monkeypatch: pytest.MonkeyPatch) -> Testbed:
    monkeypatch.setattr(module, "run", node.run)
    monkeypatch.setattr(module, "check", node.check)
    cluster = KnownNodes(Path("none"), ["kind-control-plane", "kind-worker"])
    return as_testbed(cluster, chain_factory(FakeApi(node.answer)))


def test_leaders_that_renew_their_leases_are_not_revived(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS)
    assert make_testbed(node, monkeypatch).leading(SINCE, {}).met
    assert node.written == []


@pytest.mark.parametrize("name", LEADERS)
@pytest.mark.parametrize("renewed", [BEFORE, ""])
def test_leader_with_an_old_lease_does_not_lead(monkeypatch: pytest.MonkeyPatch, name: str, renewed: str) -> None:
    node = Node(*LEADERS)
    node.leases[name] = renewed
    result = make_testbed(node, monkeypatch).leading(SINCE, {})
    assert not result.met
    assert result.got.startswith(f"{name} with a lease renewed at {renewed or 'no time'}")
    assert node.written == []


@pytest.mark.parametrize("name", LEADERS)
def test_exited_leader_is_revived_once_and_leads_when_it_runs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    node = Node(*(set(LEADERS) - {name}))
    testbed = make_testbed(node, monkeypatch)
    assert testbed.leading(SINCE, {}).got == f"{name} ended"
    assert (node.written, node.deleted) == ([name], [name])
    node.running.add(name[:15])
    assert testbed.leading(SINCE, {}).met
    assert (node.written, node.deleted) == ([name], [name])


def test_what_has_exited_is_restarted_and_pods_that_are_not_ready_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS, renewed="2099-01-01T12:00:00.000000Z")
    node.pods = {"kube-proxy-a": "True", "kube-proxy-b": "False", "coredns-a": "False"}
    testbed = make_testbed(node, monkeypatch)
    testbed.restart_ended()
    assert (node.written, node.deleted) == ([SERVER], ["kube-proxy-b", "coredns-a"])
    node.running.add(SERVER[:15])
    node.pods = dict.fromkeys(node.pods, "True")
    testbed.restart_ended()
    assert (node.written, node.deleted) == ([SERVER], ["kube-proxy-b", "coredns-a"])


def test_all_exited_leaders_are_revived_in_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    assert not make_testbed(node, monkeypatch).leading(SINCE, {}).met
    assert node.written == list(LEADERS)


@pytest.mark.parametrize(("seconds", "deleted"), [(GIVEN_UP_SECONDS - 3, []), (GIVEN_UP_SECONDS + 1, list(LEADERS))])
def test_lease_is_deleted_when_its_holder_must_have_given_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float, deleted: Sequence[str]
) -> None:
    now = datetime.now(UTC)
    node = Node(*LEADERS, renewed=(now - timedelta(seconds=seconds)).isoformat())
    assert not make_testbed(node, monkeypatch).leading(now, {}).met
    assert node.deleted == deleted


def test_removed_or_frozen_leader_is_not_expected_to_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = LEADERS
    node = Node(first, frozen=[first], renewed=BEFORE)
    del node.files[f"{PLACE}/{second}.yaml"]
    assert make_testbed(node, monkeypatch).leading(SINCE, {}).met
    assert node.written == []


@pytest.mark.parametrize("name", LEADERS)
def test_component_without_leader_election_needs_no_lease(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    node = Node(*LEADERS)
    node.leases[name] = BEFORE
    assert not make_testbed(node, monkeypatch).leading(SINCE, {}).met
    node.files[f"{PLACE}/{name}.yaml"] += "# --leader-elect=false"
    assert make_testbed(node, monkeypatch).leading(SINCE, {}).met


def test_nothing_is_revived_while_the_api_server_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    node.ready = False
    assert "refused" in make_testbed(node, monkeypatch).leading(SINCE, {}).got
    assert node.written == []


@pytest.mark.parametrize("name", LEADERS)
def test_each_revival_changes_only_the_annotation(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    node = Node()
    testbed = make_testbed(node, monkeypatch)
    for time in ("1", "2"):
        testbed.revive(name)
        manifest = node.pod(name)
        assert manifest["metadata"].pop("annotations") == {"kept": "yes", "kubechain/revived": time}
        assert manifest == {**POD, "metadata": {"name": "x"}}


def test_revival_adds_annotations_to_a_manifest_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    bare: Json = {"metadata": {"name": "x"}}
    node.files = dict.fromkeys(node.files, yaml.safe_dump(bare))
    make_testbed(node, monkeypatch).revive(LEADERS[0])
    assert node.pod(LEADERS[0])["metadata"]["annotations"] == {"kubechain/revived": "1"}
