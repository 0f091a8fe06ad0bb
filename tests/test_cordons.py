"""A Node is cordoned and uncordoned with a mark of the run; the expiry of namespaces follows the API server's clock."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kubechain.cleanup import cordons, namespaces, run_locks
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.run import CORDONED_BY, EXPIRES_LABEL, OWNED_BY, RUN_LABEL, owner
from kubechain.faults.catalogue.nodes import CordonedWorkers
from kubechain.faults.testbed import Testbed
from kubechain.kube.client import Api
from tests.hostile.access import CONTEXT, plain
from tests.hostile.acts import failing, on, rule
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.furniture import namespace

pytestmark = pytest.mark.usefixtures("pauses")

HOURS = 3600.0
NODE = ("Node", "", "hostile-1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, plain()) as found:
        yield found


@pytest.fixture
def api(server: Cluster, tmp_path: Path) -> Iterator[Api]:
    client = Api(server.kubeconfig, CONTEXT, tmp_path / "secrets")
    yield client
    client.close()


def state(server: Cluster) -> tuple[bool, str]:
    node = server.store.required(NODE)
    return node["spec"].get("unschedulable", False), node["metadata"].get("annotations", {}).get(CORDONED_BY, "")


def left_by(server: Cluster, run: str, expires: float) -> None:
    server.store.create(namespace(f"kubechain-{run}-main-0", **{RUN_LABEL: run, EXPIRES_LABEL: str(int(expires))}))


def test_node_is_marked_while_it_is_cordoned(server: Cluster, api: Api) -> None:
    cordons.cordon(api, NODE[2], "aa")
    assert state(server) == (True, "aa")
    node = server.store.required(NODE)
    assert node["metadata"]["annotations"][OWNED_BY] == owner()
    cordons.uncordon(api, NODE[2], "aa")
    assert state(server) == (False, "")
    assert not server.store.required(NODE)["metadata"]["annotations"]


def test_uncordon_is_tried_again_after_an_error_of_the_server(server: Cluster, api: Api) -> None:
    cordons.cordon(api, NODE[2], "aa")
    rule(on("patch", "Node"), failing(503), times=1)(server)
    rule(on("patch", "Node"), failing(409), times=1)(server)
    cordons.uncordon(api, NODE[2], "aa")
    assert state(server) == (False, "")


def test_cordon_of_others_is_left_as_it_is(server: Cluster, api: Api) -> None:
    server.store.modify(NODE, lambda node: node["spec"].update(unschedulable=True))
    with pytest.raises(HarnessError, match=f"Node {NODE[2]} is cordoned already, and not by this run"):
        cordons.cordon(api, NODE[2], "aa")
    cordons.uncordon(api, NODE[2], "aa")
    assert state(server) == (True, "")


def test_nodes_of_ended_runs_are_uncordoned_and_others_are_listed(server: Cluster, api: Api, tmp_path: Path) -> None:
    cordons.cordon(api, NODE[2], "aa")
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == [NODE[2]]
    lock = run_locks.acquire(tmp_path, "kubechain-aa")
    server.store.ahead += 3 * HOURS
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == [NODE[2]]
    assert state(server) == (True, "aa")
    lock.abandon()
    server.store.ahead -= 3 * HOURS
    assert cordons.clear(api, tmp_path, Progress()) == []
    assert state(server) == (False, "")


def test_namespaces_expire_by_the_clock_of_the_server(server: Cluster, api: Api, tmp_path: Path) -> None:
    # The clock of this machine is days ahead of the server's.
    server.store.ahead = -48 * HOURS
    left_by(server, "bb", server.store.now() + HOURS)
    assert namespaces.clear(api, "uid-kube-system", tmp_path, Progress()) == []
    server.store.ahead += 2 * HOURS
    assert [each.name for each in namespaces.clear(api, "uid-kube-system", tmp_path, Progress())] == ["kubechain-bb-main-0"]


def test_expiry_is_renewed_while_a_run_lives(server: Cluster, api: Api, tmp_path: Path) -> None:
    labels = {RUN_LABEL: "aa", EXPIRES_LABEL: "5"}
    left_by(server, "aa", 5)
    left_by(server, "bb", 5)
    namespaces.renew(api, "aa", labels)
    assert float(labels[EXPIRES_LABEL]) == pytest.approx(server.store.now() + 2 * HOURS, abs=30)
    assert labels.items() <= server.store.required(("Namespace", "", "kubechain-aa-main-0"))["metadata"]["labels"].items()
    assert [each.name for each in namespaces.clear(api, "uid-kube-system", tmp_path, Progress())] == ["kubechain-bb-main-0"]


def test_run_may_begin_without_the_right_to_change_nodes_and_namespaces(server: Cluster, api: Api, tmp_path: Path) -> None:
    cordons.cordon(api, NODE[2], "aa")
    server.store.ahead += 3 * HOURS
    left_by(server, "aa", 5)
    rule(on("patch"), failing(403))(server)
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == [NODE[2]]
    namespaces.renew(api, "aa", {})


def test_fault_cordons_the_workers_with_the_mark_of_its_run(server: Cluster, api: Api, tmp_path: Path) -> None:
    factory = SimpleNamespace(api=api, labels={RUN_LABEL: "aa"})
    testbed = cast("Testbed", SimpleNamespace(api=api, chain_factory=factory, workers=[NODE[2]]))
    fault = CordonedWorkers()
    fault.inject(testbed)
    assert state(server) == (True, "aa")
    assert fault.in_effect(testbed).met
    # The run died on this machine; the next run on the cluster uncordons the Node.
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "kubechain-aa").touch()
    assert cordons.clear(api, tmp_path, Progress()) == []
    assert state(server) == (False, "")
    fault.heal(testbed)
    assert not fault.in_effect(testbed).met


def test_run_may_begin_and_end_without_the_right_to_list_nodes(server: Cluster, api: Api, tmp_path: Path) -> None:
    rule(on("list", "Node"), failing(403))(server)
    assert cordons.clear(api, tmp_path, Progress()) == []
    assert cordons.left_by(api, "aa") == []
