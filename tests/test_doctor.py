"""The doctor's findings about a machine and a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from kubechain.claims.claim import Claim, Link
from kubechain.claims.requirements import DISRUPTION, OWN_CLUSTER, TWO_NODES
from kubechain.cluster import docker_engine
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.settings import DoctorSettings, Folders
from kubechain.provision import doctor, inotify, machine
from kubechain.provision.machine import Finding
from tests import loopback

pytestmark = pytest.mark.usefixtures("pauses")

NODE: dict[str, Any] = {
    "metadata": {"name": "a", "uid": "a"},
    "spec": {"podCIDR": "10.244.0.0/24"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"}],
        "allocatable": {"pods": "110"},
    },
}
CLAIMS = [
    Claim("A-PODS-010", Link.PODS, "It MUST.", "x", "", "quick", ()),
    Claim("A-NODES-010", Link.NODES, "It MUST.", "x", "", "full", (OWN_CLUSTER, TWO_NODES)),
    Claim("A-NODES-020", Link.NODES, "It MUST.", "x", "", "full", (DISRUPTION,)),
    Claim("A-NODES-030", Link.NODES, "It MUST.", "x", "", "full", (OWN_CLUSTER, TWO_NODES)),
]


class Cluster:
    """An API server with one Node; `denied` are the verbs and resources that it refuses."""

    def __init__(self) -> None:
        self.denied: set[tuple[str, str]] = set()
        self.proxy: Any = {"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "mode: nftables\n"}}
        self.methods: list[str] = []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                cluster.methods.append(f"{self.command} {self.path.partition('?')[0]}")
                found = cluster.answer(self.path.partition("?")[0], body)
                text = json.dumps(found or {"reason": "NotFound"}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer  # noqa: N815  # the parent's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, body: Any) -> Any:
        """Return what the API server has at a path."""
        if path.endswith("selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            return {"status": {"allowed": (asked["verb"], asked["resource"]) not in self.denied}}
        return {
            "/version": {"gitVersion": "v1.37.2"},
            "/api/v1/namespaces/kube-system": {"metadata": {"name": "kube-system", "uid": "u-1"}},
            "/api/v1/nodes": {"metadata": {"resourceVersion": "1"}, "items": [NODE]},
            "/api/v1/namespaces/kube-system/configmaps/kube-proxy": self.proxy,
        }.get(path)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An API server on loopback."""
    api_server = Cluster()
    yield api_server
    api_server.server.shutdown()
    api_server.server.server_close()


@pytest.fixture
def settings(cluster: Cluster, tmp_path: Path) -> DoctorSettings:
    """The doctor's settings with the context of the API server."""
    kubeconfig = loopback.kubeconfig(tmp_path, f"http://127.0.0.1:{cluster.server.server_port}")
    return DoctorSettings(out=tmp_path / "out", cache=tmp_path / "cache", context="test", kubeconfig=kubeconfig)


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No container engine answers, and none can be started."""

    def refuse(_: Path) -> None:
        raise SetupError("no engine: install one", ExitCode.ENGINE)

    def none(_: Path) -> None:
        return None

    monkeypatch.setattr(docker_engine, "find", none)
    monkeypatch.setattr(docker_engine, "require_startable", refuse)


def texts(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.text for finding in findings}


def test_cluster_has_findings_and_skipped_claims(settings: DoctorSettings, cluster: Cluster) -> None:
    found = doctor.cluster(settings, CLAIMS)
    said = texts(found)
    assert said["cluster"] == f"v1.37.2 at http://127.0.0.1:{cluster.server.server_port}, kube-system has UID u-1"
    assert said["rights"] == "the user of context test has all rights that every claim needs"
    assert said["nodes"] == "1, 1 ready, IPv4 and IPv6, 1 with a podCIDR"
    assert said["kube-proxy"] == "nftables"
    assert said["claims"] == "1 of 4 apply, 3 would be skipped"
    skipped = [each.text for each in found if each.what == "skipped"]
    assert skipped[0] == "2 claims for lack of a kind cluster of this project, 2 nodes: A-NODES-010, A-NODES-030"
    assert "A-NODES-020" in skipped[1]
    assert {each.state for each in found} == {"ok", "note"}


def test_doctor_changes_neither_cluster_nor_machine(settings: DoctorSettings, cluster: Cluster, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    doctor.examine(settings, CLAIMS)
    made = {method for method in cluster.methods if not method.startswith("GET ")}
    assert made == {"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}
    assert sorted(tmp_path.rglob("*")) == before


def test_all_missing_rights_are_listed_and_decide_the_exit_code(
    settings: DoctorSettings, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.denied = {("delete", "namespaces"), ("watch", "pods")}
    assert doctor.examine(settings, CLAIMS) == ExitCode.RIGHTS
    said = capsys.readouterr().out
    assert "missing rights: the user of context test lacks the rights to delete namespaces, watch pods\n" in said
    assert "\x1b" not in said


def test_rights_of_some_claims_and_parts_are_notes(
    settings: DoctorSettings, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.denied = {("list", "nodes"), ("get", "pods")}
    assert doctor.examine(settings, CLAIMS) == ExitCode.HOLDS
    said = capsys.readouterr().out
    assert "note    rights: without the right to list nodes: the number of Nodes is not known" in said


def test_what_a_run_on_an_existing_cluster_does_not_use_is_not_looked_for(
    settings: DoctorSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.examine(settings, CLAIMS) == ExitCode.HOLDS
    said = capsys.readouterr().out
    assert [what for what in ("container engine", "disk", "registry", "kind", "go") if f" {what}: " in said] == []
    assert " kubectl: " in said
    alone = settings.model_copy(update={"context": ""})
    assert doctor.examine(alone, CLAIMS) == ExitCode.ENGINE
    assert "missing container engine: no engine: install one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("proxy", "mode"),
    [
        (None, "mode not visible"),
        ({"metadata": {"name": "kube-proxy"}, "data": {}}, "mode not visible"),
        ({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "- x"}}, "mode not visible"),
        ({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "mode: ''"}}, "iptables (the default)"),
        ({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "mode: ipvs"}}, "ipvs"),
    ],
)
def test_mode_of_kube_proxy_is_read_from_its_config_map(
    settings: DoctorSettings, cluster: Cluster, proxy: Any, mode: str
) -> None:
    cluster.proxy = proxy
    assert texts(doctor.cluster(settings, []))["kube-proxy"] == mode


def test_cluster_that_does_not_answer_decides_the_exit_code(settings: DoctorSettings, cluster: Cluster) -> None:
    cluster.server.shutdown()
    cluster.server.server_close()
    (found,) = doctor.cluster(settings, CLAIMS)
    assert (found.state, found.code) == ("missing", ExitCode.UNREACHABLE)


def test_unknown_context_is_a_usage_error(settings: DoctorSettings) -> None:
    (found,) = doctor.cluster(settings.model_copy(update={"context": "prod"}), CLAIMS)
    assert (found.state, found.code) == ("missing", ExitCode.USAGE)


def test_unwritable_folder_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out, cache = machine.folders(Folders(out=tmp_path / "a" / "b", cache=tmp_path / "file" / "x"))
    assert (out.state, cache.state, cache.code) == ("ok", "missing", ExitCode.USAGE)
    assert cache.text.endswith("--cache")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("free", "state", "code"), [(3.0, "missing", ExitCode.DISK), (5.0, "note", ExitCode.HOLDS), (20.0, "ok", ExitCode.HOLDS)]
)
def test_disk_is_checked_for_runs_and_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: str, code: ExitCode
) -> None:
    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=free * machine.GIB)

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    found = machine.disk(tmp_path / "none")
    assert (found.state, found.code) == (state, code)


@pytest.mark.parametrize(("instances", "state"), [("128", "note"), ("512", "ok"), ("", "note")])
def test_few_inotify_instances_are_noted(tmp_path: Path, instances: str, state: str) -> None:
    (tmp_path / "max_user_instances").write_text(instances)
    assert machine.instances(tmp_path).state == state


@pytest.mark.parametrize(("nodes", "enough"), [(1, True), (3, False)])
def test_cluster_that_finds_too_few_inotify_instances_is_not_begun(tmp_path: Path, nodes: int, *, enough: bool) -> None:
    (tmp_path / "max_user_instances").write_text("24")
    files = tmp_path / "proc" / "17" / "fd"
    files.mkdir(parents=True)
    for number, target in enumerate(["anon_inode:inotify"] * 3 + ["/dev/null", "socket:[1]"]):
        (files / str(number)).symlink_to(target)
    assert inotify.used(tmp_path / "proc") == 3
    short = r"3 of 24 inotify instances .* and 3 kind Nodes need about 54: raise the limit \(sysctl "
    with nullcontext() if enough else pytest.raises(SetupError, match=short):
        inotify.require_room(nodes, tmp_path, tmp_path / "proc")


def test_memory_is_read_from_meminfo(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       8388608 kB\nMemAvailable:   4194304 kB\n")
    assert machine.memory(tmp_path / "meminfo").text.startswith("4.0 of 8.0 GiB available, ")
    assert machine.memory(tmp_path / "none").text.startswith("memory not visible, ")


def test_registry_is_not_checked_without_an_engine() -> None:
    assert machine.registry(Path()) == Finding("note", "registry", "not checked: no container engine answers")


@pytest.mark.parametrize(("script", "state"), [("exit 0", "ok"), ("exit 1", "note"), ("exec sleep 60", "note")])
def test_registry_is_checked_for_at_most_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, state: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1 $2" = "manifest inspect" ] || exit 2\n{script}\n')
    docker.chmod(0o755)

    def found(_: Path) -> docker_engine.Engine:
        return docker_engine.Engine(docker, "27.0.0", ours=False)

    monkeypatch.setattr(docker_engine, "find", found)
    assert machine.registry(tmp_path).state == state


def test_program_fits_only_if_it_is_recent_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, version in {"kind": "kind v0.1.0 go1.20", "node": "v99.0.0", "go": "go version go1.99.0 linux/amd64"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    found = {each.what: each for each in (check() for check in machine.programs())}
    assert [found[name].state for name in ("kind", "node", "go")] == ["note", "ok", "ok"]
    assert "0.1.0" in found["kind"].text
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert all(check().text.startswith("not found; ") for check in machine.programs())


def test_any_kubectl_is_that_of_a_run_on_an_existing_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho Client Version: v1.2.3\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.kubectl_of_path() == Finding("ok", "kubectl", f"1.2.3 ({tmp_path / 'kubectl'})")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert machine.kubectl_of_path() == Finding("note", "kubectl", "not found; the claims that type commands are skipped")


def test_command_examines_the_claims_of_a_run(settings: DoctorSettings) -> None:
    words = ["doctor", "--context", "test", "--kubeconfig", str(settings.kubeconfig)]
    folders = ["--out", str(settings.out), "--cache", str(settings.cache)]
    argv = [sys.executable, "-m", "kubechain", *words, *folders]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "would be skipped" in done.stdout
    assert "CHAIN-" in done.stdout
