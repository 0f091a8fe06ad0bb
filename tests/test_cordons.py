"""A Node is cordoned and uncordoned with a mark of the run; the expiry of namespaces follows the API server's clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.cleanup import cordons, namespaces, run_locks
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.run import CORDONED_BY, EXPIRES_LABEL, RUN_LABEL
from kubechain.kube.client import Api
from tests.loopback import kubeconfig
from tests.namespace_server import ApiServer, api_server

HOURS = 3600.0


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as found:
        found.put("nodes", "a", resourceVersion="1")
        yield found


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> Iterator[Api]:
    client = Api(kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
    yield client
    client.close()


def state(server: ApiServer) -> tuple[bool, str]:
    node = server.objects["nodes", "a"]
    return node["spec"].get("unschedulable", False), node["metadata"].get("annotations", {}).get(CORDONED_BY, "")


def test_node_is_marked_while_it_is_cordoned(server: ApiServer, api: Api) -> None:
    cordons.cordon(api, "a", "aa")
    assert state(server) == (True, "aa")
    cordons.uncordon(api, "a", "aa")
    assert state(server) == (False, "")


def test_uncordon_is_tried_again_after_an_error_of_the_server(server: ApiServer, api: Api) -> None:
    cordons.cordon(api, "a", "aa")
    server.failures["PATCH /api/v1/nodes/a"] = [503, 409]
    cordons.uncordon(api, "a", "aa")
    assert state(server) == (False, "")


def test_cordon_of_others_is_left_as_it_is(server: ApiServer, api: Api) -> None:
    server.put("nodes", "a", spec={"unschedulable": True}, resourceVersion="1")
    with pytest.raises(HarnessError, match="Node a is cordoned already, and not by this run"):
        cordons.cordon(api, "a", "aa")
    cordons.uncordon(api, "a", "aa")
    assert state(server) == (True, "")


def test_nodes_of_ended_runs_are_uncordoned_and_others_are_listed(server: ApiServer, api: Api, tmp_path: Path) -> None:
    cordons.cordon(api, "a", "aa")
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == ["a"]
    lock = run_locks.acquire(tmp_path, "kubechain-aa")
    server.time += 3 * HOURS
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == ["a"]
    assert state(server) == (True, "aa")
    lock.abandon()
    server.time -= 3 * HOURS
    assert cordons.clear(api, tmp_path, Progress()) == []
    assert state(server) == (False, "")


def test_namespaces_expire_by_the_clock_of_the_server(server: ApiServer, api: Api, tmp_path: Path) -> None:
    # The clock of this machine is years ahead of the server's.
    server.put("namespaces", "kubechain-bb-main-0", labels={RUN_LABEL: "bb", EXPIRES_LABEL: str(int(server.time + HOURS))})
    assert namespaces.clear(api, "uid-kube-system", tmp_path, Progress()) == []
    server.time += 2 * HOURS
    assert namespaces.clear(api, "uid-kube-system", tmp_path, Progress()) == ["kubechain-bb-main-0"]


def test_expiry_is_renewed_while_a_run_lives(server: ApiServer, api: Api, tmp_path: Path) -> None:
    labels = {RUN_LABEL: "aa", EXPIRES_LABEL: "5"}
    server.put("namespaces", "kubechain-aa-main-0", labels=dict(labels))
    server.put("namespaces", "kubechain-bb-main-0", labels={RUN_LABEL: "bb", EXPIRES_LABEL: "5"})
    namespaces.renew(api, "aa", labels)
    assert labels[EXPIRES_LABEL] == str(int(server.time + 2 * HOURS))
    assert server.objects["namespaces", "kubechain-aa-main-0"]["metadata"]["labels"] == labels
    assert namespaces.clear(api, "uid-kube-system", tmp_path, Progress()) == ["kubechain-bb-main-0"]


def test_run_may_begin_without_the_right_to_change_nodes_and_namespaces(server: ApiServer, api: Api, tmp_path: Path) -> None:
    cordons.cordon(api, "a", "aa")
    server.time += 3 * HOURS
    server.put("namespaces", "kubechain-aa-main-0", labels={RUN_LABEL: "aa", EXPIRES_LABEL: "5"})
    server.refused |= {"PATCH /api/v1/nodes/a": 403, "PATCH /api/v1/namespaces/kubechain-aa-main-0": 403}
    assert [node.name for node in cordons.clear(api, tmp_path, Progress())] == ["a"]
    namespaces.renew(api, "aa", {})
