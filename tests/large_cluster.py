"""An API server on loopback with thousands of Nodes and foreign Pods, made on the fly, so that it needs no memory for them."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubechain.kube.objects import Json
from kubechain.kube.paths import PLURALS

KINDS = {plural: kind for kind, (_, plural) in PLURALS.items()}
# As of a kubelet: up to 50 images with two names each.
IMAGES = [{"names": [f"registry.example/{n}@sha256:{'0' * 64}", f"registry.example/{n}:v1"], "sizeBytes": 1} for n in range(50)]
MANAGED: list[Json] = [
    {"manager": "kubelet", "operation": "Update", "fieldsV1": {f"f:{n}": {"f:status": "x"} for n in range(100)}}
]
CONDITIONS = [{"type": t, "status": "False", "message": "x" * 60} for t in ("MemoryPressure", "DiskPressure", "PIDPressure")]

READY = {"type": "Ready", "status": "True", "lastHeartbeatTime": "VERSION"}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
TEMPLATES = {
    "Node": json.dumps(
        {
            "kind": "Node",
            "metadata": {
                "name": "node-NUMBER",
                "uid": "node-NUMBER",
                "resourceVersion": "VERSION",
                "labels": {"kubernetes.io/hostname": "node-NUMBER"},
                "managedFields": MANAGED,
            },
            "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "allocatable": {"pods": "110"},
                "conditions": [*CONDITIONS, READY],
                "images": IMAGES,
                "nodeInfo": {"kubeletVersion": "v1.37.2"},
            },
        }
    ),
    "Pod": json.dumps(
        {
            "kind": "Pod",
            "metadata": {
                "name": "kube-proxy-NUMBER",
                "uid": "kube-proxy-NUMBER",
                "resourceVersion": "VERSION",
                "labels": {"k8s-app": "kube-proxy"},
                "managedFields": MANAGED,
            },
            "spec": {"nodeName": "node-NUMBER", "containers": [{"image": "p:v1.37.2", "command": ["x" * 2000]}]},
            "status": {
                "containerStatuses": [
                    {"name": "kube-proxy", "containerID": "NUMBER", "restartCount": 0, "state": RUNNING, "image": "p:v1.37.2"}
                ]
            },
        }
    ),
}


@dataclass
class LargeCluster:
    """What the server has, and the paths that it was asked for."""

    url: str
    nodes: int
    pods: int
    paths: list[str] = field(default_factory=list[str])
    heartbeats: int = 0
    """Versions of each Node that a watch delivers, which differ in a heartbeat alone."""

    def page(self, path: str) -> str:
        """Return a page of a list, or an empty list."""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        kind = KINDS.get(url.path.rpartition("/")[2], "")
        total = {"Node": self.nodes, "Pod": self.pods}.get(kind, 0)
        if url.path.startswith("/api/v1/namespaces/") and "kube-system" not in url.path:
            total = 0
        start = int(query.get("continue", 0))
        end = min(total, start + int(query.get("limit", total)))
        if "fieldSelector" in query:
            start = int(query["fieldSelector"].rpartition("-")[2])
            total = end = start + 1
        metadata: Json = {"resourceVersion": "1"}
        if end < total:
            metadata |= {"continue": str(end), "remainingItemCount": total - end}
        items = ", ".join(self.item(kind, number) for number in range(start, end))
        return f'{{"kind": "{kind}List", "metadata": {json.dumps(metadata)}, "items": [{items}]}}'

    def item(self, kind: str, number: int, version: int = 1) -> str:
        """Return a Node, or a Pod of kube-system, as text."""
        return TEMPLATES[kind].replace("NUMBER", str(number)).replace("VERSION", str(version))

    def lists(self) -> list[str]:
        """Return the paths that were asked for, without the watches."""
        return [path for path in self.paths if "watch=1" not in path]


@contextmanager
def large_cluster(nodes: int, pods: int, heartbeats: int = 0) -> Generator[LargeCluster]:
    """Serve on a free port of loopback; a watch of Nodes delivers `heartbeats` versions of each, then stays open."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            cluster.paths.append(self.path)
            if "watch=1" in self.path:
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                beats = cluster.heartbeats if "/nodes" in self.path else 0
                # No Node beats before everything is listed.
                while beats and not ended.is_set() and not any("/leases" in path for path in cluster.paths):
                    ended.wait(0.1)
                for version in range(2, beats + 2):
                    for number in range(cluster.nodes):
                        body = cluster.item("Node", number, version)
                        self.wfile.write(f'{{"type": "MODIFIED", "object": {body}}}\n'.encode())
                self.close_connection = True
                ended.wait(60)
                return
            body = ('{"gitVersion": "v1.37.2"}' if self.path == "/version" else cluster.page(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        cluster = LargeCluster(f"http://127.0.0.1:{server.server_address[1]}", nodes, pods, heartbeats=heartbeats)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield cluster
        finally:
            ended.set()
            server.shutdown()
            thread.join()
