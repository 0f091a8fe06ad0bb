import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.requirements import (
    ALL,
    DISRUPTION,
    HOST_ACCESS,
    KUBECTL,
    OWN_CLUSTER,
    POD_CIDR,
    SLEEP_ACTION,
    TWO_NODES,
    Environment,
    missing,
    nodes,
)
from kubechain.cleanup import namespaces
from kubechain.cluster.existing import connect, identity, require_context, verify
from kubechain.cluster.target import Target
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL
from kubechain.kube import kubeconfig_files
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import KubeObject
from tests import loopback
from tests.fakes import FakeApi, thing

GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n",
    "plain text": b"this is no kubeconfig",
    "bad yaml": b"{contexts: [",
    "tabs": b"contexts:\n\t- name: x",
    "a list": b"- 1\n- 2\n",
    "a number": b"7",
    "no contexts": b"apiVersion: v1\nkind: Config\n",
    "contexts null": b"contexts:\n",
    "contexts a word": b"contexts: test\n",
    "contexts of words": b"contexts: [test]\n",
    "contexts without names": b"contexts: [{context: {}}]\n",
    "contexts with numbers as names": b"contexts: [{name: 7, context: {}}]\n",
    "another kind": b"kind: Secret\ncontexts: [{name: test, context: {}}]\n",
    "two contexts of one name": b"contexts: [{name: test}, {name: test}]\n",
    "binary": bytes(range(256)),
    "control characters": b"contexts: \x00\x01\x02\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_invalid_kubeconfig_is_reported_with_its_path_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(GARBAGE[name])
    with pytest.raises(SetupError, match=f"kubeconfig {path}: ") as caught:
        require_context(str(path), "test")
    assert caught.value.code == ExitCode.KUBECONFIG
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_reported(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "directory")):
        with pytest.raises(SetupError, match=why) as caught:
            connect(path, "test", tmp_path)
        assert caught.value.code == ExitCode.KUBECONFIG
    with pytest.raises(SetupError, match=r"none: No such file or directory; name another with --kubeconfig or \$KUBECONFIG$"):
        require_context(str(tmp_path / "none"), "test")


def test_unknown_context_is_reported_with_the_known_ones(tmp_path: Path) -> None:
    path = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(SetupError, match=f"--context=prod: not in {path}, whose contexts are test$") as caught:
        connect(path, "prod", tmp_path)
    with pytest.raises(SetupError, match=r"whose contexts are test \(did you mean test\?\)$"):
        connect(path, "tests", tmp_path)
    assert caught.value.code == ExitCode.USAGE


def test_context_without_its_cluster_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("apiVersion: v1\ncontexts: [{name: test, context: {cluster: gone, user: gone}}]\n")
    with pytest.raises(SetupError, match="context test cannot be used") as caught:
        connect(path, "test", tmp_path)
    assert caught.value.code == ExitCode.KUBECONFIG


def test_known_context_gives_its_server(tmp_path: Path) -> None:
    api = connect(loopback.kubeconfig(tmp_path, "http://127.0.0.1:6443"), "test", tmp_path)
    assert api.server == "http://127.0.0.1:6443"
    api.close()


def cluster(uid: str, server: str = "https://127.0.0.1:6443") -> FakeApi:
    text = json.dumps({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": uid}})
    return FakeApi(lambda _method, _path, _body: text, server)


def failing(error: Exception) -> FakeApi:
    def answer(*_: object) -> str:
        raise error

    return FakeApi(answer)


def test_identity_is_the_uid_of_kube_system() -> None:
    assert identity(cluster("u-1")) == "u-1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiUnavailable("refused", ExitCode.UNREACHABLE), ExitCode.UNREACHABLE),
        (ApiRefused(403, "Forbidden", "no"), ExitCode.RIGHTS),
        (ApiRefused(401, "Unauthorized", "no"), ExitCode.RIGHTS),
        (ApiRefused(404, "NotFound", "no"), ExitCode.CLUSTER),
    ],
)
def test_unreadable_identity_is_reported_with_the_server(error: Exception, code: ExitCode) -> None:
    with pytest.raises(SetupError, match=r"https://127\.0\.0\.1:6443") as caught:
        identity(failing(error))
    assert caught.value.code == code


def test_verify_accepts_the_same_cluster() -> None:
    verify(cluster("u-1"), "https://127.0.0.1:6443", "u-1")


@pytest.mark.parametrize("now", [cluster("u-2"), cluster("u-1", "https://10.0.0.1:6443")])
def test_verify_rejects_another_cluster(now: FakeApi) -> None:
    with pytest.raises(HarnessError, match="the cluster changed during the run"):
        verify(now, "https://127.0.0.1:6443", "u-1")


def test_kubeconfig_is_the_named_one_else_the_users_own() -> None:
    assert kubeconfig_files.named("/x/y") == (Path("/x/y"),)
    assert kubeconfig_files.named("") == (Path.home() / ".kube" / "config",)


TARGET = Target("c", "k", "ctx", "https://x", "u", owned=False, temporary=False, nginx="n", client="cl")


def test_target_is_read_as_it_was_written(tmp_path: Path) -> None:
    TARGET.write(tmp_path)
    assert Target.read(tmp_path) == TARGET


def environment(target: Target = TARGET, nodes: int = 2, version: str = "v1.37.2") -> Environment:
    versioned = replace(target, versions={"server": version})
    found = tuple(thing("Node", f"n{number}", spec={"podCIDR": "10.244.0.0/24"}) for number in range(nodes))
    return Environment(versioned, found, probe_from="cluster", disruptive=False)


def test_missing_requirements_are_named() -> None:
    assert missing([TWO_NODES, POD_CIDR], environment()) == []
    assert missing([TWO_NODES, OWN_CLUSTER], environment(nodes=1)) == ["2 nodes", "a kind cluster of this project"]
    lacking = (DISRUPTION, HOST_ACCESS, KUBECTL)
    assert missing(lacking, environment()) == [each.text for each in lacking]


def test_requirements_with_the_same_id_are_equal() -> None:
    assert nodes(2) == TWO_NODES
    assert len({each.id for each in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("version", "lacks"), [("v1.29.9-gke.100", True), ("v1.30.5-eks-abc123", False), ("1.37.2", False), ("", True)]
)
def test_required_version_is_compared_by_number(version: str, *, lacks: bool) -> None:
    assert bool(missing([SLEEP_ACTION], environment(version=version))) == lacks


def namespace(name: str, expires: str, **labels: str) -> KubeObject:
    return thing("Namespace", name, labels={RUN_LABEL: "aa", EXPIRES_LABEL: expires, **labels})


def test_namespace_is_ours_by_name_and_label() -> None:
    assert namespaces.is_ours(namespace("kubechain-aa-main-0", "5"))
    assert not namespaces.is_ours(namespace("default", "5"))
    assert not namespaces.is_ours(namespace("kubechain-bb-main-0", "5"))
    assert not namespaces.is_ours(thing("Namespace", "kubechain-aa-main-0"))
    assert not namespaces.is_ours(thing("Namespace", "kubechain--x", labels={RUN_LABEL: ""}))


def test_namespace_is_unneeded_once_it_expires(tmp_path: Path) -> None:
    old, fresh = namespace("kubechain-aa-main-0", "100"), namespace("kubechain-aa-main-1", "900")
    odd = namespace("kubechain-aa-main-2", "soon")
    assert namespaces.unneeded([old, fresh, odd], tmp_path, 500.0) == [old]


def test_witnesses_need_the_label_and_the_name() -> None:
    ending = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    found = [{"name": "kubechain-upgrade-1"}, {"name": "kubechain-upgrade-2", **ending}, {"name": "somebody-else"}]
    listed = json.dumps({"items": [{"metadata": each} for each in found], "metadata": {"resourceVersion": "1"}})

    def answer(_method: str, _path: str, _body: Any) -> str:
        return listed

    assert [each.name for each in namespaces.witnesses(FakeApi(answer))] == ["kubechain-upgrade-1"]
