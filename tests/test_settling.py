"""A kind cluster is ready when each of its nodes is a Node that is ready; else its kubelet says why."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.cluster.kind import Cluster
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, SetupError
from kubechain.provision import settling
from tests.fakes import FakeApi, conditions, thing

INOTIFY = "E1127 09:00:00.0 12 kubelet.go:1] Failed to start cAdvisor: inotify_init: too many open files"
LOG = f"I1127 begins\n{INOTIFY}\nI1127 ends\n"


def settle(*there: str, log: str = LOG) -> None:
    """Wait for a cluster of two nodes, of which those are ready Nodes."""
    listed = [thing("Node", name, status={"conditions": conditions(Ready="True")}).body for name in there]

    def answer(_method: str, path: str, _body: Any) -> str:
        return json.dumps({"items": listed if path.endswith("/nodes") else []})

    made = SimpleNamespace(nodes=lambda: ["c-control-plane", "c-worker"], kubelet_log={"c-worker": log}.__getitem__)
    settling.settle(FakeApi(answer), cast("Cluster", made))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SETTLED", Timeout(0.2, "a test"))


def test_cluster_with_all_nodes_is_settled() -> None:
    settle("c-control-plane", "c-worker")


def test_node_that_never_registers_is_named_with_the_words_of_its_kubelet_and_the_sysctl() -> None:
    with pytest.raises(
        SetupError, match=r"got no Node c-worker .*a kubelet says: E1127 .*too many open files; .*sysctl"
    ) as caught:
        settle("c-control-plane")
    assert caught.value.code == ExitCode.CLUSTER


def test_other_words_have_no_hint_and_none_are_left_out() -> None:
    with pytest.raises(SetupError, match=r"a kubelet says: the end$"):
        settle("c-control-plane", log="the beginning\n the end\n\n")
    with pytest.raises(SetupError, match=r"got no Node c-worker \(waited [^;]*\)$"):
        settle("c-control-plane", log="")


def test_node_container_before_several_control_planes_is_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "c-external-load-balancer\nc-control-plane2\nc-control-plane\n"

    def listed(*_: object) -> str:
        return names

    cluster = Cluster("c", tmp_path, "image", Path("kind"), Path("kubectl"), Path("docker"))
    monkeypatch.setattr(type(cluster.docker), "call", listed)
    assert cluster.nodes() == ["c-control-plane", "c-control-plane2"]
