"""A namespace of an API server on loopback, with objects of others, whose user has no right outside of it; and commands there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kubechain.cleanup.marked_objects import RUN
from kubechain.cluster.access import REVIEWS
from kubechain.core.bundle import ROOT
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL
from kubechain.kube.objects import Json
from kubechain.workload import manifests, service_manifests
from tests.hostile.access import CONTEXT
from tests.hostile.admission import admitted
from tests.hostile.cluster import Cluster
from tests.hostile.furniture import namespace

TEAM = "team-a"
# Of others; the variables of the Service begin as those of the Service web.
SHOP, PORTAL = "shop", "web-portal"
OFFERED = ("/version", "/api", "/apis")
FOREIGN = {
    ("ConfigMap", "settings"),
    ("Deployment", SHOP),
    ("Service", PORTAL),
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
}


def store(server: Cluster, body: Json) -> None:
    """Store an object of others in the namespace."""
    made = {**body, "metadata": {**body["metadata"], "namespace": TEAM}}
    server.store.create(admitted(server.store, server.core.addresses, made, None))


def prepare(server: Cluster) -> None:
    """Make the namespace with objects of others, and permit nothing outside of it."""
    server.store.create(namespace(TEAM))
    server.store.create(namespace("team-b"))
    store(server, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}})
    store(server, manifests.deployment("shop:1", name=SHOP))
    store(server, service_manifests.service(name=PORTAL, app=SHOP))
    server.api.only_in = TEAM


def start(server: Cluster, folder: Path, *words: str, name: str = "run") -> subprocess.Popen[str]:
    """Start a command on the namespace."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    places = ["--out", str(folder / "out"), "--cache", str(folder / "cache")]
    cluster_words = ["--context", CONTEXT, "--kubeconfig", str(server.kubeconfig)]
    argv = [sys.executable, "-m", "kubechain", name, *cluster_words, "--namespace", TEAM, *places, *words]
    return subprocess.Popen(argv, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(server: Cluster, folder: Path, *words: str, name: str = "run") -> tuple[int, str]:
    """Run a command on the namespace; return its exit code and its output."""
    process = start(server, folder, *words, name=name)
    try:
        output = process.communicate(timeout=150)[0]
    finally:
        process.kill()
    return process.returncode, output


def claims(folder: Path) -> dict[str, Any]:
    """Return the claims of a run: id -> claim."""
    return {each["id"]: each for each in json.loads((folder / "out" / "run.json").read_text(encoding="utf-8"))["claims"]}


def there(server: Cluster) -> set[tuple[str, str]]:
    """Return the objects of the namespace, without those that controllers make, and Events."""
    found = [each for each in server.store.objects.values() if each["metadata"].get("namespace") == TEAM]
    made = ("ReplicaSet", "Pod", "Endpoints", "EndpointSlice", "Event")
    return {(each["kind"], each["metadata"]["name"]) for each in found if each["kind"] not in made}


def marked(server: Cluster) -> list[str]:
    """Return the objects with the label of a run."""
    found = [each for each in server.store.objects.values() if RUN_LABEL in each["metadata"].get("labels", {})]
    return [f"{each['kind']} {each['metadata']['name']}" for each in found]


def outside(server: Cluster) -> list[str]:
    """Return the requests that were for something else than the namespace, and not for what the API server offers."""
    own = f"/namespaces/{TEAM}"
    return sorted({
        f"{each.method} {each.path}"
        for each in server.api.requests
        if own not in each.path and each.path not in OFFERED and REVIEWS not in each.path
    })  # fmt: skip


def pods_of(server: Cluster, app: str) -> set[str]:
    """Return the UIDs of the Pods with a label app."""
    return {each["metadata"]["uid"] for each in server.store.all("Pod", TEAM) if each["metadata"]["labels"].get("app") == app}


def other_run(server: Cluster, seconds: float) -> None:
    """Store what stands for a run on another machine that expires then, and a Pod of it."""
    labels = {RUN_LABEL: "0badcafe", EXPIRES_LABEL: str(int(time.time() + seconds))}
    stands = {"name": RUN, "labels": labels, "annotations": {"kubechain/owner": "ann@laptop"}}
    store(server, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": stands})
    store(server, manifests.client_pod("client", "c", {"app": "client", RUN_LABEL: "0badcafe"}))


def changes(server: Cluster) -> list[str]:
    """Return the requests that change something."""
    return [f"{each.method} {each.path}" for each in server.api.requests if each.method != "GET" and REVIEWS not in each.path]
