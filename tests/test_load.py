"""The load on a cluster stays within the bounds of docs/LOAD.md, also with thousands of Nodes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kubechain.cleanup import cordons
from kubechain.conditions.condition import Condition, expect
from kubechain.core.bundle import ROOT
from kubechain.kube.client import Api
from kubechain.kube.listing import PAGE
from kubechain.kube.paths import request_of
from kubechain.kube.traffic import LoadRecord, Traffic, line, together
from kubechain.observe.history import History
from kubechain.probes import http
from kubechain.upgrade import routes, sampler_manifests
from kubechain.workload import node_reach, node_sample
from tests import loopback
from tests.fakes import FakeClock, changed, conditions, thing
from tests.large_cluster import large_cluster
from tests.test_upgrade_routes import chain

NODES, PODS = 5_000, 10_000
# docs/LOAD.md states them.
LIST_MIB, WATCH_MIB = 150, 120
MEASURE = """
import os, resource, sys, threading
from pathlib import Path
from kubechain.kube.client import Api
from kubechain.observe.clock import RealClock
from kubechain.upgrade import cluster_watch
api = Api(Path(sys.argv[1]), "test", Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[3] == "list":
    kept = api.list("Node").items
    assert len(kept) == 5000
else:
    with cluster_watch.watching(api, RealClock()) as watch:
        beats, ends = int(sys.argv[4]), threading.Event()
        while min(int(node.version) for node in watch.nodes.read().all("Node")) <= beats:
            ends.wait(0.5)
        assert (len(watch.nodes.log()), len(watch.system.log())) == (5000, 10000)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, flush=True)
        # The server never ends its watches.
        os._exit(0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def grown(folder: Path, url: str, what: str, beats: int = 0) -> int:
    """Return by how many MiB the memory of a process grows that lists or watches a cluster."""
    words = [sys.executable, "-c", MEASURE, str(loopback.kubeconfig(folder, url)), str(folder), what, str(beats)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_nodes_are_listed_in_pages_and_held_in_bounded_memory(tmp_path: Path) -> None:
    with large_cluster(NODES, PODS) as cluster:
        assert grown(tmp_path, cluster.url, "list") < LIST_MIB
        assert len(cluster.paths) == NODES / PAGE
        assert all(f"limit={PAGE}" in path for path in cluster.paths)


def test_watch_of_an_upgrade_keeps_one_version_of_each_node_that_only_beats(tmp_path: Path) -> None:
    with large_cluster(NODES, PODS, heartbeats=2) as cluster:
        assert grown(tmp_path, cluster.url, "watch", beats=2) < WATCH_MIB
        lists = [path for path in cluster.lists() if path != "/version"]
        assert all(f"limit={PAGE}" in path for path in lists)
        # Pods and Leases of one namespace, never of the cluster.
        assert {path.partition("?")[0] for path in lists} == {
            "/api/v1/nodes",
            "/api/v1/namespaces/kube-system/pods",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
        }


def test_number_and_cordons_of_nodes_need_no_whole_nodes(tmp_path: Path) -> None:
    with large_cluster(NODES, 0) as cluster:
        api = Api(loopback.kubeconfig(tmp_path, cluster.url), "test", tmp_path)
        assert api.count("Node") == NODES
        assert [node.name for node in api.list("Node", only="metadata.name=node-4711").items] == ["node-4711"]
        assert cluster.paths == ["/api/v1/nodes?limit=1", "/api/v1/nodes?fieldSelector=metadata.name%3Dnode-4711&limit=500"]
        assert cordons.left_by(api) == []
        api.close()


def test_version_that_differs_in_nothing_but_its_number_is_kept_only_where_every_version_is() -> None:
    node = thing("Node", "a", version="1", status={"images": []})
    beat, cordoned = (changed(node, "metadata.resourceVersion", "2"), changed(node, "spec.unschedulable", value=True))
    for every, entries in ((True, 4), (False, 3)):
        history = History("", FakeClock(), every_version=every)
        history.record("ADDED", node)
        history.record("MODIFIED", beat)
        assert history.read().one("Node", "a") == beat
        # A fresh list that shows the version shows nothing new.
        assert not history.behind("Node", [beat], "2")
        history.record("MODIFIED", changed(cordoned, "metadata.resourceVersion", "3"))
        history.record("DELETED", changed(cordoned, "metadata.resourceVersion", "4"))
        assert [entry.change for entry in history.log()][-2:] == ["MODIFIED", "DELETED"]
        assert len(history.log()) == entries


@pytest.mark.parametrize(("count", "asked"), [(1, 1), (3, 3), (50, 50), (51, 50), (300, 50), (5000, 50)])
def test_sample_of_nodes_is_bounded_and_the_same_for_a_seed(count: int, asked: int) -> None:
    nodes = [thing("Node", f"node-{number}") for number in range(count)]
    sample = node_sample.sampled(nodes, "ns")
    assert len(sample) == asked
    assert sample == node_sample.sampled(nodes, "ns")
    assert (sample == node_sample.sampled(nodes, "other")) == (count <= node_sample.SAMPLE)
    assert nodes[-1] in node_sample.sampled(nodes, "ns", [nodes[-1].name])
    assert node_sample.note(asked, count) == ("" if asked == count else f" (asked 50 of {count:,} Nodes, a sample)")


def test_message_of_a_sample_says_how_many_nodes_were_asked() -> None:
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "conditions": conditions(Ready="True")}
    nodes = tuple(thing("Node", f"n{n}", status=status) for n in range(60))
    large = dataclasses.replace(chain(), nodes=nodes)
    never = Condition[int]("an answer", lambda _: expect(ok=False, got="none"))
    assert str(large.among_nodes(never)(0)) == "expected an answer, got none (asked 50 of 60 Nodes, a sample)"


def test_nodes_are_asked_ten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def fetch(url: str) -> http.Page:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)  # noqa: TID251  # a Node that answers slowly
        with lock:
            running -= 1
        return http.Page(url, 200)

    monkeypatch.setattr(http, "fetch", fetch)
    urls = [f"http://{number}/" for number in range(50)]
    assert [page.url for page in node_reach.fetch(dataclasses.replace(chain(), probe_from="host"), *urls)] == urls
    assert 1 < most <= node_reach.AT_ONCE


@pytest.mark.parametrize("nodes", [1, 3, 10, 50])
def test_samplers_ask_the_api_server_within_the_stated_budget(nodes: int) -> None:
    requests = routes.api_server(chain())
    each = 1 / routes.plan(requests, routes.API_INTERVAL)["interval"]
    fetches = nodes / routes.scaled(5.0, nodes)
    assert len(requests) * each + fetches <= routes.MOST_REQUESTS
    assert sum(not request.route.reuse for request in requests) * each + fetches <= routes.MOST_CONNECTIONS
    assert sum(request.route.what == "write" for request in requests) * each <= routes.MOST_WRITES


def test_samplers_run_on_the_sampled_nodes_alone() -> None:
    pod = sampler_manifests.daemon_set("client", ["a", "b"])["spec"]["template"]["spec"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchFields"][0]["values"] for term in terms] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource"),
    [
        ("GET", "/api/v1/nodes?limit=500", "list", "nodes"),
        ("GET", "/api/v1/namespaces/ns/pods?watch=1&resourceVersion=7", "watch", "pods"),
        ("GET", "/api/v1/namespaces/ns/pods/a", "get", "pods"),
        ("GET", "/api/v1/namespaces/ns", "get", "namespaces"),
        ("GET", "/api/v1/namespaces", "list", "namespaces"),
        ("DELETE", "/api/v1/namespaces/ns", "delete", "namespaces"),
        ("POST", "/api/v1/namespaces/ns/pods/a/exec?command=true", "create", "pods/exec"),
        ("PATCH", "/apis/apps/v1/namespaces/ns/deployments/web/scale", "patch", "deployments/scale"),
        ("PUT", "/apis/apps/v1/namespaces/ns/deployments/web", "update", "deployments"),
        ("GET", "/version", "get", "/version"),
        ("GET", "/apis/apps/v1", "get", "/apis/apps/v1"),
    ],
)
def test_request_has_a_verb_and_a_resource(method: str, path: str, verb: str, resource: str) -> None:
    assert request_of(method, path) == (verb, resource)


def test_counts_of_processes_are_summed_and_only_what_is_stored_is_a_write() -> None:
    traffic = Traffic()
    traffic.request("POST", "/api/v1/namespaces/ns/pods")
    traffic.request("POST", "/api/v1/namespaces/ns/pods?dryRun=All")
    traffic.request("POST", "/api/v1/namespaces/ns/pods/a/exec?command=true")
    traffic.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    traffic.request("GET", "/api/v1/nodes")
    traffic.connected()
    for change in (1, 1, -1, 1, -1, -1):
        traffic.watching(change)
    traffic.sent(10)
    traffic.received(2_000_000)
    record = traffic.record()
    assert (record.total, record.writes, record.watches, record.connections) == (5, 1, 2, 1)
    both = together([record, record])
    assert (both.total, both.writes, both.watches) == (10, 2, 4)
    assert both.requests["create pods"] == 4
    assert line(both, 10) == "10 requests (1.0/s), 2 writes, 4 open watches at most, 4.0 MB received, 0.0 MB sent"
    (minute,) = traffic.minutes(time.time() - 1, time.time())
    assert (minute.requests, minute.writes, minute.bytes_sent, minute.bytes_received) == (5, 1, 10, 2_000_000)
    assert LoadRecord.model_validate(json.loads(json.dumps(record.as_json()))) == record
