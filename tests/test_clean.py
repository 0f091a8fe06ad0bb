"""`kubechain clean` removes the leftovers of dead runs, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from kubechain.cleanup import containers as leftovers
from kubechain.cleanup import namespaces, processes, run_locks
from kubechain.cluster.kind import Cluster
from kubechain.core.build_cache import BuildCache
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import identity, run
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL
from kubechain.core.settings import CleanSettings
from kubechain.images.docker import Docker, is_orphaned, place
from kubechain.kube.client import Api, Listing
from kubechain.kube.objects import Json, KubeObject
from kubechain.provision import cluster as provision
from kubechain.provision.clean import Cleaning

HOUR = 3600.0
# A docker client whose engine is a JSON file: containers by id (cluster, owner), and networks.
ENGINE = """#!{python} -S
import json, sys
path = "{state}"
state = json.load(open(path))
words = sys.argv[1:]
label = next((w.rpartition("=")[2] for w in words if w.startswith("label=io.x-k8s.kind.cluster=")), None)
if words[0] == "version":
    print("27.0.0")
elif words[0] == "ps":
    for identity, found in state["containers"].items():
        if "label=kubechain=1" in words:
            if "owner" in found:
                print("\\t".join([identity, found.get("cluster", ""), found["owner"]]))
        elif label is None and "{{{{.Names}}}}" not in words:
            if "cluster" in found:
                print(found["cluster"])
        elif label is None or found.get("cluster") == label:
            print(identity)
elif words[0] == "rm":
    for identity in words[3:]:
        del state["containers"][identity]
elif words[:2] == ["network", "ls"]:
    print("bridge\\n" + "\\n".join(state["networks"]))
elif words[:2] == ["network", "inspect"]:
    print(len(state["containers"]))
elif words[:2] == ["network", "rm"]:
    state["networks"].remove(words[2])
json.dump(state, open(path, "w"))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The state of an engine without containers."""
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"containers": {}, "networks": ["kind"]}))
    docker = tmp_path / "docker"
    docker.write_text(ENGINE.format(python=sys.base_prefix + "/bin/python3", state=state))
    docker.chmod(0o755)
    return state


def put(engine: Path, **containers: dict[str, str]) -> None:
    engine.write_text(json.dumps({"containers": containers, "networks": ["kind"]}))


def left(engine: Path) -> dict[str, Any]:
    return json.loads(engine.read_text())["containers"]


def client(engine: Path) -> Path:
    return engine.with_name("docker")


@pytest.fixture
def dead() -> str:
    """The identity of a process that has ended."""
    with subprocess.Popen(["sleep", "600"]) as process:
        process_identity = identity(process.pid)
        process.kill()
    return process_identity


def test_only_clusters_of_dead_runs_are_removed(tmp_path: Path, engine: Path) -> None:
    put(engine, a={"cluster": "kubechain-dead"}, b={"cluster": "kubechain-live"}, c={"cluster": "kept"},
        d={"cluster": "kubechain-elsewhere"}, e={"cluster": "theirs"}, f={"cluster": "again"})  # fmt: skip
    for name, node in (("kubechain-dead", ""), ("kubechain-live", "b"), ("kept", "c"), ("again", "older")):
        run_locks.mark_made(tmp_path, name, node)
    run_locks.mark_kept(tmp_path, "kept")
    run_locks.mark_kept(tmp_path, "theirs")
    lock = run_locks.acquire(tmp_path, "kubechain-live")
    assert leftovers.remove_dead(tmp_path, client(engine), Progress()) == ["kubechain-dead"]
    assert set(left(engine)) == {"b", "c", "d", "e", "f"}
    assert leftovers.strange_clusters(tmp_path, Docker(client(engine))) == ["kubechain-elsewhere"]
    assert leftovers.remove_dead(tmp_path, client(engine), Progress(), kept_too=True) == ["kept"]
    lock.release()
    assert leftovers.remove_dead(tmp_path, client(engine), Progress()) == ["kubechain-live"]
    assert set(left(engine)) == {"d", "e", "f"}


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
def test_cluster_is_ours_only_if_its_mark_has_all_node_ids(tmp_path: Path, noted: str | None, nodes: str, *, ours: bool) -> None:
    if noted is not None:
        run_locks.mark_made(tmp_path, "dev", noted.split())
    assert run_locks.is_ours(tmp_path, "dev", list(nodes)) is ours


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


class Namespaces:
    """An API with the namespace of a run on another machine, and a namespace of witnesses."""

    server_time = staticmethod(time.time)

    def __init__(self) -> None:
        witnesses = {"metadata": {"name": "kubechain-upgrade-b", "uid": "b", "labels": {"kubechain/upgrade": "b"}}}
        self.items: list[Json] = [namespace("kubechain-a-main-0", "a", "99999999999").body, {"kind": "Namespace", **witnesses}]

    def get(self, kind: str, space: str, name: str) -> KubeObject | None:
        found = KubeObject({"kind": kind, "metadata": {"name": name, "namespace": space, "uid": "u"}})
        return found if name == "kube-system" or name in [each["metadata"]["name"] for each in self.items] else None

    def list(self, kind: str, space: str = "", selector: str = "") -> Listing:
        if kind == "Node":
            return Listing([], "1")
        assert (kind, space) == ("Namespace", "")
        keys = [part.partition("=")[0] for part in selector.split(",")]
        return Listing([KubeObject(each) for each in self.items if set(keys) <= set(each["metadata"]["labels"])], "1")

    def delete(self, kind: str, space: str, name: str, options: Json, *, missing_ok: bool = False) -> None:
        assert (kind, space, missing_ok) == ("Namespace", "", True)
        assert options == {"preconditions": {"uid": name.rpartition("-")[2] if "upgrade" in name else name}}
        self.items = [each for each in self.items if each["metadata"]["name"] != name]

    def close(self) -> None:
        pass


def cleaning(tmp_path: Path, *, context: str = "", kept: bool = False) -> Cleaning:
    chosen = CleanSettings(cache=tmp_path / "cache", out=tmp_path / "out", context=context, kept=kept)
    return Cleaning(chosen, Progress(Console(soft_wrap=True)))


def test_namespaces_in_use_are_listed_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Namespaces()
    cleaning(tmp_path, context="prod").namespaces(cast("Api", api))
    assert "namespace kubechain-a-main-0 remains: its run may be alive" in (said := capsys.readouterr().out)
    assert "namespace kubechain-upgrade-b remains: it holds the witnesses of an upgrade" in said
    assert len(api.items) == 2


def test_kept_with_a_context_removes_there_and_not_on_this_machine(tmp_path: Path, engine: Path) -> None:
    put(engine, a={"cluster": "dev"})
    run_locks.mark_made(tmp_path / "cache", "dev", ["a"])
    run_locks.mark_kept(tmp_path / "cache", "dev")
    cleaning(tmp_path, context="prod", kept=True).engine(client(engine))
    assert set(left(engine)) == {"a"}
    api = Namespaces()
    cleaning(tmp_path, context="prod", kept=True).namespaces(cast("Api", api), kept_too=True)
    assert api.items == []
    cleaning(tmp_path, kept=True).engine(client(engine))
    assert set(left(engine)) == set()


def namespace(name: str, run: str, expires: str) -> KubeObject:
    labels = {RUN_LABEL: run, EXPIRES_LABEL: expires}
    return KubeObject({"kind": "Namespace", "metadata": {"name": name, "uid": name, "labels": labels}})


def test_namespaces_are_unneeded_once_expired_or_their_run_died(tmp_path: Path) -> None:
    lock = run_locks.acquire(tmp_path, "kubechain-live")
    run_locks.hold(run_locks.folder(tmp_path) / "kubechain-died").lock.release()
    expired, live, died, away, odd = (
        namespace("kubechain-old-main-0", "old", "1000"),
        namespace("kubechain-live-main-0", "live", "1000"),
        namespace("kubechain-died-main-0", "died", "999999"),
        namespace("kubechain-away-main-0", "away", "999999"),
        namespace("kubechain-odd-main-0", "odd", "tomorrow"),
    )
    found = [expired, live, died, away, odd]
    assert namespaces.unneeded(found, tmp_path, now=HOUR) == [expired, died]
    assert namespaces.unneeded(found, tmp_path, now=HOUR, kept_too=True) == [expired, died, away, odd]
    lock.release()


@pytest.mark.parametrize(("name", "run"), [("kube-system", "a"), ("kubechain-a", "a"), ("kubechain-ab-main-0", "a")])
def test_namespace_with_another_name_is_not_ours(name: str, run: str) -> None:
    assert not namespaces.is_ours(namespace(name, run, "1"))


VICTIM = """
import sys
from pathlib import Path
from kubechain.cleanup import run_locks
from kubechain.core.process import run
from kubechain.core.build_cache import BuildCache
cache, out = Path(sys.argv[1]), Path(sys.argv[2])
lock = run_locks.hold(out / ".runs" / "dead.lock")
(out / ".runs" / "dead").mkdir()
def make(folder):
    with BuildCache(cache / "builds").scratch() as scratch:
        (scratch / "file").touch()
        run(["sh", "-c", "echo ready > $0; sleep 600 & sleep 600", out / "ready"], timeout=600)
BuildCache(cache / "builds").artifact("thing", "key", make, needs_gib=0)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a run that was killed during a build."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECHAIN_CACHE": str(tmp_path / "cache"), "KUBECHAIN_OUT": str(tmp_path / "out"), "PATH": path}
    script = [sys.executable, "-c", VICTIM, tmp_path / "cache", tmp_path / "out"]
    with subprocess.Popen(script, cwd=ROOT) as process:
        run(["sh", "-c", "until [ -e $0 ]; do sleep 0.05; done", tmp_path / "out" / "ready"], timeout=20)
        process.send_signal(signal.SIGKILL)
    yield environment
    processes.end(Progress())


def clean(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "kubechain", "clean", *options]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_clean_removes_everything_of_a_killed_run(tmp_path: Path, killed: dict[str, str]) -> None:
    assert [orphan.program for orphan in processes.find()].count("sleep") >= 2
    done = clean(killed)
    assert (done.returncode, done.stderr) == (0, "")
    assert not processes.find()
    assert not list((tmp_path / "cache" / "builds").glob(".half-*"))
    assert not list((tmp_path / "cache" / "builds").glob(".scratch-*"))
    assert not (tmp_path / "out" / ".runs").exists()
    assert "no container engine answers" in done.stdout
    assert "nothing to clean" in clean(killed).stdout


def test_sweep_keeps_the_folders_of_a_living_process(tmp_path: Path) -> None:
    store = BuildCache(tmp_path)
    swept: list[list[Path]] = []
    with store.scratch() as folder:
        store.artifact("thing", "key", lambda _: swept.append(store.sweep()), needs_gib=0)
        assert folder.is_dir()
    assert swept == [[]]
    assert not store.busy()


def test_unknown_option_is_reported_in_one_line(killed: dict[str, str]) -> None:
    done = clean(killed, "--everything")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    clean(killed)
