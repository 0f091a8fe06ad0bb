"""A cluster that kubeadm makes without kind, on an engine that is a JSON file: its steps, how it fails, and its removal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from kubechain.cleanup import containers, run_locks
from kubechain.cluster import kind, network_isolation
from kubechain.core.errors import ExitCode, SetupError
from kubechain.images.docker import Docker
from kubechain.kube.objects import Json
from tests.terrains import by_kubeadm
from tests.terrains.by_kubeadm import KubeadmCluster

# Containers by name; what runs on a node is logged with its standard input.
ENGINE = """#!{python} -S
import json, re, sys
path, words = "{state}", sys.argv[1:]
state = json.load(open(path))
boxes, option = state["containers"], lambda name: words[words.index(name) + 1]
node = next((word for word in words if word in boxes), "")
if words[0] == "run":
    labels = dict(word.split("=", 1) for word, before in zip(words[1:], words) if before == "--label")
    boxes[option("--name")] = {{"labels": labels, "net": option("--net"), "image": words[-1]}}
    print("id-of-" + option("--name"))
elif words[0] == "ps":
    wanted = dict(word[6:].split("=", 1) for word in words if word.startswith("label=") and word.count("=") > 1)
    found = {{name: box for name, box in boxes.items() if wanted.items() <= box["labels"].items()}}
    for name, box in found.items():
        forms = {{"{{{{.Names}}}}": name, "{{{{.Label \\"{label}\\"}}}}": box["labels"]["{label}"]}}
        print(name if "--quiet" in words else forms.get(words[-1], "id-of-" + name + " " + box["image"]))
elif words[0] == "rm":
    state["containers"] = {{name: box for name, box in boxes.items() if "id-of-" + name not in words}}
elif words[0] == "inspect":
    print(json.dumps({{"NetworkMode": boxes[node]["net"], "Sysctls": None}}))
elif words[:2] == ["network", "ls"]:
    print("\\n".join(state["networks"]))
elif words[:2] == ["network", "create"]:
    state["networks"].append(words[-1])
elif words[0] == "logs":
    print(state["console"])
elif words[0] == "port":
    print("127.0.0.1:40001")
elif words[0] == "exec":
    typed = " ".join(words[words.index(node) + 1:])
    state["ran"].append([node, typed, sys.stdin.read() if "--interactive" in words else ""])
    answer = next((text for start, text in state["answers"].items() if typed.startswith(start)), "")
    if answer.startswith("error: "):
        json.dump(state, open(path, "w"))
        sys.exit(answer)
    print(answer)
json.dump(state, open(path, "w"))
"""
ADMIN = {
    "clusters": [{"cluster": {"server": "https://172.18.0.2:6443"}, "name": "kubernetes"}],
    "current-context": by_kubeadm.CONTEXT,
}
JOIN = "kubeadm join 172.18.0.2:6443 --token a.b --discovery-token-ca-cert-hash sha256:1"
ANSWERS = {
    "cat /kind/version": "v1.37.2",
    "cat /kind/manifests/default-cni.yaml": 'value: "{{ .PodSubnet }}"',
    "cat /etc/kubernetes/admin.conf": yaml.safe_dump(ADMIN),
    "kubeadm token create": JOIN,
}
FIRST, WORKERS = "c-control-plane", ["c-worker", "c-worker2"]


def made(folder: Path, network: str = "kind", answers: Mapping[str, str] = MappingProxyType({})) -> KubeadmCluster:
    """Return a cluster that is not made yet, on an engine of its own."""
    state, client = folder / "state.json", folder / "docker"
    console = "\x1b[0;32m  OK  \x1b[0m Reached target \x1b[0;1;39mMulti-User System\x1b[0m."
    given: Json = {"containers": {}, "networks": [network], "console": console, "ran": [], "answers": {**answers, **ANSWERS}}
    state.write_text(json.dumps(given))
    client.write_text(ENGINE.format(python=f"{sys.base_prefix}/bin/python3", state=state, label=kind.NODE_LABEL))
    client.chmod(0o755)
    return KubeadmCluster("c", folder / "run", "kubechain/node:1", Path("kind"), Path("kubectl"), client)


def engine(folder: Path) -> Any:
    return json.loads((folder / "state.json").read_text())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> KubeadmCluster:
    """A cluster that is made, in the folder of its engine."""
    made_one = made(tmp_path_factory.mktemp("made"))
    made_one.create()
    return made_one


def ran(cluster: KubeadmCluster) -> list[tuple[str, str, str]]:
    """Return what ran on nodes: (node, command, standard input)."""
    return [(node, typed, stdin) for node, typed, stdin in engine(cluster.path.parent)["ran"]]


def test_control_plane_is_initialized_and_workers_join_it_by_token(cluster: KubeadmCluster) -> None:
    typed_on = [(node, typed.replace(" --skip-phases=preflight", "")) for node, typed, _ in ran(cluster)]
    kubeadm = [(node, typed) for node, typed in typed_on if typed.startswith("kubeadm") and "token create" not in typed]
    join = f"{JOIN} --cri-socket=unix:///run/containerd/containerd.sock"
    assert kubeadm == [
        (FIRST, "kubeadm init --config=/kind/kubeadm.conf --skip-token-print"),
        *((worker, join) for worker in WORKERS),
    ]


def test_kubeadm_gets_the_version_of_the_node_and_the_network_its_range(cluster: KubeadmCluster) -> None:
    given = {typed: stdin for _, typed, stdin in ran(cluster) if stdin}
    first, *others = yaml.safe_load_all(given["sh -c cat > /kind/kubeadm.conf"])
    assert first["kubernetesVersion"] == "v1.37.2"
    assert [each["kind"] for each in others] == ["InitConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"]
    assert given["kubectl --kubeconfig=/etc/kubernetes/admin.conf create -f -"] == 'value: "10.244.0.0/16"\n'


def test_kubeconfig_leads_to_the_published_port_under_the_name_that_kubeadm_gives(cluster: KubeadmCluster) -> None:
    content = yaml.safe_load(cluster.kubeconfig_path.read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:40001"
    assert content["current-context"] == cluster.context


def test_nodes_have_the_labels_by_which_nodes_of_kind_are_found(cluster: KubeadmCluster) -> None:
    labels = {name: box["labels"][kind.ROLE_LABEL] for name, box in engine(cluster.path.parent)["containers"].items()}
    assert labels == {FIRST: "control-plane", **dict.fromkeys(WORKERS, "worker")}


def test_clean_knows_the_cluster_and_removes_it(tmp_path: Path, cluster: KubeadmCluster) -> None:
    made(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps(engine(cluster.path.parent)))
    run_locks.mark_made(tmp_path, cluster.name, cluster.ids)
    assert cluster.nodes() == [FIRST, *WORKERS]
    assert {box["net"] for box in engine(tmp_path)["containers"].values()} == {containers.NETWORK}
    assert containers.dead_clusters(tmp_path, Docker(tmp_path / "docker")) == ["c"]
    containers.remove_cluster(tmp_path, Docker(tmp_path / "docker"), "c")
    assert engine(tmp_path)["containers"] == {}


def test_kubeadm_that_fails_is_quoted_and_all_its_words_are_in_the_log(tmp_path: Path) -> None:
    cluster = made(tmp_path, answers={"kubeadm init": "error: phase wait-control-plane\ntimed out"})
    with pytest.raises(SetupError) as error:
        cluster.create()
    assert error.value.code == ExitCode.CLUSTER
    assert str(error.value).startswith(f"`kubeadm init --config=/kind/kubeadm.conf` on {FIRST} failed (status 1): ")
    assert "timed out" in str(error.value)
    assert "phase wait-control-plane" in cluster.log.read_text()
    assert cluster.remains() == [f"id-of-{name}" for name in (FIRST, *WORKERS)]


def test_node_that_does_not_start_is_named_with_what_its_console_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_kubeadm, "BOOTED", by_kubeadm.Timeout(0.3, "it is a test"))
    cluster = made(tmp_path)
    (tmp_path / "state.json").write_text(
        json.dumps({**engine(tmp_path), "console": "INFO: starting init\nFailed to mount cgroup"})
    )
    with pytest.raises(
        SetupError, match=f"the node {FIRST} does not start: expected systemd to start, got Failed to mount cgroup"
    ):
        cluster.create()


@pytest.mark.parametrize("ipv6", [True, False])
def test_network_of_nodes_is_made_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ipv6: bool) -> None:
    monkeypatch.setattr(by_kubeadm, "IPV6", tmp_path if ipv6 else tmp_path / "none")
    cluster = made(tmp_path, network="bridge")
    calls = list[tuple[str, ...]]()
    call = Docker.call

    def logged(docker: Docker, *words: str, **options: Any) -> str:
        calls.append(words)
        return call(docker, *words, **options)

    monkeypatch.setattr(Docker, "call", logged)
    for _ in range(2):
        by_kubeadm.ensure_network(cluster)
    assert engine(tmp_path)["networks"] == ["bridge", containers.NETWORK]
    (words,) = [words for words in calls if words[:2] == ("network", "create")]
    assert (network_isolation.IPV6_NETWORKS[0] in words) == ipv6
