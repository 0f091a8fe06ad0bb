"""Several control planes: the configuration of the kind cluster, and the load balancer that kind writes files for."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from kubechain.cleanup import containers, run_locks
from kubechain.cluster import kind, kind_config
from kubechain.core.build_cache import BuildCache
from kubechain.core.progress import Progress
from kubechain.images import load_balancer
from kubechain.images.docker import Docker
from kubechain.images.pins import FOLDER
from tests.engine_state import client, engine_in, put
from tests.test_upgrade_kubeadm import CONTROL_PLANE, IGNORED, World, kubelet, replaced, whole_hop

PROGRAM = FOLDER / "load-balancer" / "overlay" / "usr" / "local" / "bin" / "envoy"
# As kind 0.33.0 writes them.
LISTENER = """
resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: listener_apiserver
  address:
    socket_address:
      address: "{address}"
      port_value: 6443
  filter_chains:
"""
SERVERS = """
resources:
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: kube_apiservers
  connect_timeout: 0.25s
  health_checks:
  - timeout: 3s
    http_health_check:
      path: /healthz
  load_assignment:
    cluster_name: kube_apiservers
    endpoints:
    - lb_endpoints:
"""
SERVER = """
      - endpoint:
          address:
            socket_address:
              address: {name}
              port_value: 6443
"""
NAMES = ("c-control-plane", "c-control-plane2", "c-control-plane3")


def test_configuration_has_the_control_planes_and_the_workers(tmp_path: Path) -> None:
    three = kind_config.write(tmp_path, "", planes=3)
    roles = [node["role"] for node in yaml.safe_load(three.read_text())["nodes"]]
    assert roles == ["control-plane"] * 3 + ["worker"] * 2
    assert (kind_config.size(three), kind_config.control_planes(three)) == (5, 3)
    assert kind_config.size(three, replaced=True) == 7
    assert "networking" not in yaml.safe_load(three.read_text())
    assert kind_config.control_planes(kind_config.CONFIG) == 1
    dual = yaml.safe_load(kind_config.write(tmp_path, "dual", planes=3).read_text())
    assert (len(dual["nodes"]), dual["networking"]["ipFamily"]) == (5, "dual")


def test_nodes_are_told_apart_by_their_names() -> None:
    names = ["c-control-plane2", "c-worker", "c-control-plane", "c-worker2", "c-control-plane3"]
    assert kind.split(names) == (list(NAMES), ["c-worker", "c-worker2"])


def test_other_control_planes_follow_one_by_one_before_any_kubelet(tmp_path: Path) -> None:
    others = ("c-control-plane2", "c-control-plane3")
    world = World(tmp_path, others=(*others, "c-external-load-balancer"))
    world.hop.run()
    lines = [line for line, _ in itertools.groupby(line for line in world.log.lines if not line.startswith("ps "))]
    joined: list[str] = []
    for node in others:
        joined += ["? settled", *replaced(node, "kubeadm"), f"# kubeadm upgrade node on {node}"]
        joined += [f"exec {node} kubeadm upgrade node {IGNORED} --skip-phases=addon/kube-proxy", *replaced(node, "kubectl")]
    kubelets: list[str] = []
    for node in others:
        kubelets += ["? settled", *kubelet(node), f"? {node}"]
    one = whole_hop()
    first, started = one.index("? settled"), one.index(f"? {CONTROL_PLANE}") + 1
    assert lines == [*one[:first], *joined, *one[first:started], *kubelets, *one[started:]]
    assert not any("load-balancer" in line for line in lines)


def rendered(folder: Path, address: str = "0.0.0.0", names: tuple[str, ...] = NAMES) -> subprocess.CompletedProcess[str]:  # noqa: S104
    (folder / "lds.yaml").write_text(LISTENER.format(address=address))
    (folder / "cds.yaml").write_text(SERVERS + "".join(SERVER.format(name=name) for name in names))
    return subprocess.run([PROGRAM, "render", folder], capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize(("address", "bound"), [("0.0.0.0", "0.0.0.0:6443"), ("::", "[::]:6443 v4v6")])  # noqa: S104
def test_load_balancer_serves_what_kind_writes_for_envoy(address: str, bound: str, tmp_path: Path) -> None:
    done = rendered(tmp_path, address)
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert f"bind {bound}" in lines
    assert [line for line in lines if line.startswith("server ")] == [
        f"server control-plane-{number} {name}:6443" for number, name in enumerate(NAMES, 1)
    ]
    haproxy = shutil.which("haproxy")
    if haproxy:
        (tmp_path / "haproxy.cfg").write_text(done.stdout)
        subprocess.run([haproxy, "-c", "-f", tmp_path / "haproxy.cfg"], check=True, timeout=20)


def test_load_balancer_waits_for_the_servers(tmp_path: Path) -> None:
    assert rendered(tmp_path, names=()).returncode != 0
    for name in ("lds.yaml", "cds.yaml"):
        (tmp_path / name).write_text("resources: []")
    assert subprocess.run([PROGRAM, "render", tmp_path], capture_output=True, check=False, timeout=20).returncode != 0


def test_load_balancer_belongs_to_the_cluster_of_its_creation(tmp_path: Path) -> None:
    engine = engine_in(tmp_path)
    creation = "kubechain/cluster:1"
    put(engine, a={"cluster": "kubechain-dead", "image": creation},
        b={"cluster": "kubechain-dead", "image": load_balancer.NAME, "creation": creation},
        c={"cluster": "theirs", "image": load_balancer.NAME})  # fmt: skip
    run_locks.mark_made(tmp_path, "kubechain-dead", [creation])
    docker = Docker(client(engine))
    assert containers.is_made(tmp_path, docker, "kubechain-dead")
    assert not containers.is_made(tmp_path, docker, "theirs")
    assert containers.remove_dead(tmp_path, docker.client, Progress()) == ["kubechain-dead"]
    assert set(json.loads(engine.read_text())["containers"]) == {"c"}


@pytest.mark.parametrize(("before", "ours"), [("", False), ("sha256:theirs", False), ("sha256:killed", True)])
def test_image_has_the_name_that_kind_uses_only_while_a_cluster_is_created(before: str, tmp_path: Path, *, ours: bool) -> None:
    log, program = tmp_path / "log", tmp_path / "docker"
    answer = f"echo {before}" if before else "exit 1"
    inspect = (
        f"*inspect*{load_balancer.NAME}) {answer};;\n*inspect*) echo sha256:ours;;\nimages*) echo {'killed' if ours else ''};;"
    )
    program.write_text(f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in\n{inspect}\nesac\n')
    program.chmod(0o755)
    named = load_balancer.under_the_name_of_kind(Docker(program), "kubechain/cluster:1", BuildCache(tmp_path), Progress())
    with named, log.open("a") as file:
        file.write("# created\n")
    lines = log.read_text().splitlines()
    created = lines.index("# created")
    assert lines[created - 1].startswith("build ")
    assert f"--tag {load_balancer.NAME} " in lines[created - 1]
    name = load_balancer.NAME
    assert lines[created + 1 :] == [f"tag {before} {name}" if before and not ours else f"rmi --force --no-prune {name}"]


def test_name_is_that_of_the_pinned_kind() -> None:
    """Its image is a constant of kind's source, which is there where kind was built from it."""
    source = next(Path.home().glob("go/pkg/mod/sigs.k8s.io/kind@v0.33.0/pkg/cluster/internal/loadbalancer/const.go"), None)
    if source is None:
        pytest.skip("needs the source of kind in the Go module cache")
    assert f'"docker.io/{load_balancer.NAME}"' in source.read_text()
