"""What the differences of terrains do to a cluster, on one that a process on loopback serves; kept images; the slow webhook."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest
import yaml

from kubechain.core import settings
from kubechain.core.run import RUN_LABEL
from kubechain.images import resolve, workload
from kubechain.images.docker import Docker
from kubechain.kube.objects import Json
from kubechain.workload import manifests
from tests import kept
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import Cluster, cluster
from tests.soak import way
from tests.terrains import components, dns, node_life
from tests.terrains.components import ProxySettings
from tests.terrains.crowd import Crowd
from tests.terrains.dns import Added
from tests.terrains.ground import SYSTEM, TERRAINS_RUN, Ground
from tests.terrains.node_life import WhileRunning

NODE_PORTS = ProxySettings("primary", {"nodePortAddresses": ["primary"]})


@pytest.fixture
def server(tmp_path: Path) -> Generator[Cluster]:
    with cluster(tmp_path, plain()) as found:
        yield found


@pytest.fixture
def ground(tmp_path: Path, server: Cluster) -> Ground:
    return Ground("hostile", server.kubeconfig, CONTEXT, "nginx:1", "client:1", tmp_path / "secrets", Docker(Path("docker")))


def test_crowd_is_made_once_and_goes(ground: Ground) -> None:
    crowd = Crowd(3, 7)
    assert not crowd.in_effect(ground).met
    crowd.inject(ground)
    crowd.inject(ground)
    assert [len(ground.api.list("Service", f"tenant-{number}").items) for number in range(3)] == [3, 2, 2]
    assert crowd.in_effect(ground).met
    crowd.heal(ground)
    assert [
        each.name for each in ground.api.list("Namespace").items if each.name.startswith("tenant") and not each.deleting
    ] == []


def proxy_config(ground: Ground) -> Json:
    stored = ground.api.get("ConfigMap", SYSTEM, "kube-proxy")
    assert stored
    return stored.at("data")


def test_proxy_has_other_settings_and_then_those_of_before_also_after_two_injections(ground: Ground) -> None:
    before = yaml.safe_dump({"mode": "iptables", "nodePortAddresses": None})
    metadata = {"metadata": {"name": "kube-proxy"}}
    ground.api.create({"apiVersion": "v1", "kind": "ConfigMap", **metadata, "data": {"config.conf": before}}, SYSTEM)
    ground.api.create({"apiVersion": "apps/v1", "kind": "DaemonSet", **metadata, "spec": {"template": {"metadata": {}}}}, SYSTEM)
    NODE_PORTS.inject(ground)
    NODE_PORTS.inject(ground)
    assert yaml.safe_load(proxy_config(ground)["config.conf"]) == {"mode": "iptables", "nodePortAddresses": ["primary"]}
    NODE_PORTS.heal(ground)
    NODE_PORTS.heal(ground)
    assert proxy_config(ground) == {"config.conf": before}
    assert not NODE_PORTS.in_effect(ground).met


def test_added_objects_are_there_and_go_in_the_end(ground: Ground) -> None:
    one = dns.service("second", SYSTEM, "10.96.0.11", {"k8s-app": "kube-dns"})
    added = Added(lambda _: [one])
    assert not added.in_effect(ground).met
    added.inject(ground)
    assert added.in_effect(ground).met
    added.heal(ground)
    added.heal(ground)
    assert ground.api.get("Service", SYSTEM, "second") is None


def test_long_cache_replaces_that_of_kubeadm() -> None:
    corefile = (
        ".:53 {\n    cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }\n    loop\n}"
    )
    edited = dns.longer(corefile)
    assert "disable" not in edited
    assert edited.endswith("denial 9984 300\n    }\n    loop\n}")


def test_webhook_allows_what_it_is_asked_and_takes_its_time(tmp_path: Path) -> None:
    with components.serving("127.0.0.1", tmp_path) as (port, bundle):
        context = ssl.create_default_context(cadata=bundle.decode())
        body = json.dumps({"request": {"uid": "u-1"}}).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{port}/", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
            assert json.load(answer)["response"] == {"uid": "u-1", "allowed": True}


def test_vendor_names_its_versions_in_answers_of_all_forms(tmp_path: Path, server: Cluster) -> None:
    with way.to(server.kubeconfig, CONTEXT, "vendor", tmp_path) as (kubeconfig, _):
        ground = Ground("x", kubeconfig, CONTEXT, "", "", tmp_path / "secrets", Docker(Path("docker")))
        nodes = ground.api.list("Node")
        one = ground.api.get("Node", "", nodes.items[0].name)
        assert one
        versions = [*nodes.items, one]
        assert {node.at("status.nodeInfo.kubeletVersion").count("-gke.1") for node in versions} == {1}
        assert "-gke.1" in ground.api.call("GET", "/version")


def test_prefix_is_part_of_every_path(tmp_path: Path, server: Cluster) -> None:
    with way.to(server.kubeconfig, CONTEXT, "prefixed", tmp_path) as (kubeconfig, _):
        url = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        assert url.endswith("/k8s/clusters/c-1")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url.removesuffix("/k8s/clusters/c-1") + "/version", timeout=10)  # noqa: S310


@pytest.mark.parametrize("built", [True, False])
def test_images_have_the_names_of_the_builds_only_where_they_were_built(tmp_path: Path, *, built: bool) -> None:
    docker = tmp_path / "docker"
    conf = '{clusters: [{cluster: {}}], current-context: "kind-a"}'
    lines = ["#!/bin/sh", 'case "$1" in', f"image) {'echo sha256:1' if built else 'exit 1'} ;;", "ps) echo id ;;"]
    docker.write_text("\n".join([*lines, f"exec) echo '{conf}' ;;", "port) echo 127.0.0.1:7 ;;", "esac\n"]))
    docker.chmod(0o755)
    found = kept.kept(Docker(docker), "a", tmp_path)
    given = settings.load()
    public = (resolve.public_nginx(given), resolve.public_client(given))
    assert (found.nginx, found.client) == ((workload.NGINX.tag, workload.CLIENT.tag) if built else public)
    assert found.context == "kind-a"


def test_something_happens_once_when_a_run_of_the_suite_has_begun(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_life, "POLL_SECONDS", 0.02)
    acted = threading.Semaphore(0)
    later = WhileRunning(0.0, lambda _ground: acted.release())
    ground.api.create(manifests.namespace("samples", {RUN_LABEL: TERRAINS_RUN}))
    later.begin(ground)
    assert not acted.acquire(timeout=0.3)
    ground.api.create(manifests.namespace("kubechain-a", {RUN_LABEL: "a"}))
    assert acted.acquire(timeout=5)
    assert not acted.acquire(timeout=0.3)
    later.end()
