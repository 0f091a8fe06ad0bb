"""Clusters and containers of dead runs are known by marks, and not by their names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.cleanup import containers as leftovers
from kubechain.cleanup import run_locks
from kubechain.cluster import binaries
from kubechain.cluster.docker_engine import Engine
from kubechain.cluster.kind import Cluster
from kubechain.core import run as runs
from kubechain.core import settings
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import identity
from kubechain.core.progress import Progress
from kubechain.images import pins
from kubechain.images.docker import Docker, is_orphaned, place
from kubechain.images.resolve import Images
from kubechain.provision import cluster as provision
from tests.engine_state import client, engine_in, left, put


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The state of an engine without containers."""
    return engine_in(tmp_path)


@pytest.fixture
def dead() -> str:
    """The identity of a process that has ended."""
    with subprocess.Popen(["sleep", "600"]) as process:
        process_identity = identity(process.pid)
        process.kill()
    return process_identity


def test_only_clusters_of_dead_runs_are_removed(tmp_path: Path, engine: Path) -> None:
    put(engine, a={"cluster": "kubechain-dead", "image": "kubechain/cluster:1"}, b={"cluster": "kubechain-live"},
        c={"cluster": "kept"}, d={"cluster": "kubechain-elsewhere"}, e={"cluster": "theirs"}, f={"cluster": "again"})  # fmt: skip
    for name, mark in (("kubechain-dead", "kubechain/cluster:1"), ("kubechain-live", "b"), ("kept", "c"), ("again", "older")):
        run_locks.mark_made(tmp_path, name, [mark])
    run_locks.mark_kept(tmp_path, "kept", "uid")
    run_locks.mark_kept(tmp_path, "theirs", "uid")
    lock = run_locks.acquire(tmp_path, "kubechain-live")
    assert leftovers.remove_dead(tmp_path, client(engine), Progress()) == ["kubechain-dead"]
    assert set(left(engine)) == {"b", "c", "d", "e", "f"}
    assert json.loads(engine.read_text())["tags"] == [["rmi", "--no-prune", "kubechain/cluster:1"]]
    docker = Docker(client(engine))
    assert leftovers.strange_clusters(tmp_path, docker) == ["kubechain-elsewhere"]
    assert leftovers.kept_clusters(tmp_path, docker) == ["kept"]
    lock.release()
    assert leftovers.remove_dead(tmp_path, client(engine), Progress()) == ["kubechain-live"]
    leftovers.remove_cluster(tmp_path, docker, "kept")
    assert set(left(engine)) == {"d", "e", "f"}


def test_cluster_made_by_hand_after_a_killed_creation_stays(tmp_path: Path, engine: Path) -> None:
    # The run was killed before the engine had any node of its cluster; the mark of earlier versions was empty then.
    for name, mark in (("dev", ["kubechain/cluster:1"]), ("old", list[str]())):
        run_locks.mark_made(tmp_path, name, mark)
    put(engine, a={"cluster": "dev", "image": "kindest/node:v1"}, b={"cluster": "old", "image": "kindest/node:v1"})
    assert leftovers.remove_dead(tmp_path, client(engine), Progress()) == []
    assert set(left(engine)) == {"a", "b"}


def test_failed_creation_deletes_only_nodes_of_its_own(tmp_path: Path, engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(engine, theirs={"cluster": "dev", "image": "kindest/node:v1"})
    kind = tmp_path / "kind"
    kind.write_text(
        '#!/bin/sh\necho "$KIND_EXPERIMENTAL_PROVIDER: node(s) already exist for a cluster with the name dev" >&2\nexit 1\n'
    )
    kind.chmod(0o755)
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    cluster = Cluster("dev", tmp_path / "run", "image", kind, tmp_path / "kubectl", client(engine))
    with pytest.raises(SetupError, match=r"kind cannot create the cluster dev: docker: node\(s\) already exist"):
        cluster.create()
    assert set(left(engine)) == {"theirs"}
    put(engine, mine={"cluster": "dev", "image": cluster.creation}, theirs={"cluster": "dev", "image": "kindest/node:v1"})
    cluster.delete()
    assert set(left(engine)) == {"theirs"}


def test_only_containers_of_dead_processes_are_removed(engine: Path, dead: str) -> None:
    put(engine, mine={"owner": f"{place()} {identity()}"}, gone={"owner": f"{place()} {dead}"},
        far={"owner": f"elsewhere pid:[1] {dead}"}, unknown={"owner": ""},
        node={"owner": f"{place()} {dead}", "cluster": "kept"})  # fmt: skip
    leftovers.remove_containers(Docker(client(engine)), Progress())
    assert set(left(engine)) == {"mine", "far", "unknown", "node"}
    assert not is_orphaned(" ")


def test_network_of_kind_is_removed_after_the_last_cluster(engine: Path) -> None:
    put(engine, a={"cluster": "theirs"})
    leftovers.remove_network(Docker(client(engine)), Progress())
    assert json.loads(engine.read_text())["networks"] == ["kind"]
    put(engine)
    leftovers.remove_network(Docker(client(engine)), Progress())
    assert json.loads(engine.read_text())["networks"] == []


@pytest.mark.parametrize(
    ("noted", "nodes", "ours"),
    [("a b", "ab", True), ("a b", "ac", False), ("", "a", False), (None, "a", False), ("a", "", False)],
)
def test_cluster_is_ours_only_if_its_mark_has_all_node_ids(
    tmp_path: Path, engine: Path, noted: str | None, nodes: str, *, ours: bool
) -> None:
    put(engine, **{node: {"cluster": "dev"} for node in nodes})
    if noted is not None:
        run_locks.mark_made(tmp_path, "dev", noted.split())
    assert leftovers.is_made(tmp_path, Docker(client(engine)), "dev") is ours


def test_kind_cluster_of_another_user_is_refused(tmp_path: Path, engine: Path) -> None:
    put(engine, a={"cluster": "dev"})
    cluster = Cluster("dev", tmp_path, "image", tmp_path / "kind", tmp_path / "kubectl", client(engine))
    with pytest.raises(
        SetupError, match="--cluster=dev: kubechain did not make this kind cluster; use --context=kind-dev"
    ) as raised:
        provision.require_ours(cluster, tmp_path)
    assert raised.value.code == ExitCode.USAGE
    run_locks.mark_made(tmp_path, "dev", ["a"])
    provision.require_ours(cluster, tmp_path)


def answering(answer: object) -> Callable[..., object]:
    def given(*_: object) -> object:
        return answer

    return given


def test_run_touches_no_kind_cluster_of_another_user(tmp_path: Path, engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(engine, a={"cluster": "dev"})
    monkeypatch.setenv("KUBECHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECHAIN_OUT", str(tmp_path / "out"))
    host = Engine(client(engine), "27.0.0", ours=False)
    tool = binaries.Tool(tmp_path / "never-run", "")
    for module, name, given in (
        (provision.docker_engine, "ensure", host),
        (provision.resolve, "provide", Images("node", "nginx", "client", "built", pins.load().find(""), {})),
        (provision.binaries, "kind", tool),
        (provision.binaries, "kubectl", tool),
        (provision.processes, "end", None),
        (BuildCache, "require_space", None),
    ):
        monkeypatch.setattr(module, name, answering(given))
    with pytest.raises(SetupError, match="--cluster=dev: kubechain did not make this kind cluster"):
        provision.kind_cluster(runs.new(tmp_path / "out"), settings.load(), provision.Choice("dev"), Progress())
    assert set(left(engine)) == {"a"}


def test_no_node_is_made_where_the_machine_has_too_few_inotify_instances(
    tmp_path: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(provision.inotify, "limit", answering(1))
    cluster = Cluster("dev", tmp_path / "run", "image", tmp_path / "never-run", tmp_path / "kubectl", client(engine))
    with pytest.raises(SetupError, match=r"inotify instances.*sysctl") as caught:
        provision._create(cluster, settings.load(), None, Progress())  # pyright: ignore[reportPrivateUsage]
    assert caught.value.code == ExitCode.CLUSTER
    assert run_locks.made(tmp_path / "cache", "dev") == frozenset()
    assert "tags" not in json.loads(engine.read_text())


def test_container_is_orphaned_only_if_its_process_ended_on_this_machine() -> None:
    assert is_orphaned(f"{place()} 4194399-1")
    assert not is_orphaned("another-machine pid:[1] 4194399-1")
    assert not is_orphaned("")
