"""A cluster on loopback whose Nodes come and go: the samplers run in it as they do in Pods and beside the harness.

A Node is an address with a web server for its nodePort, and a Pod on it is a process of the sampler; only the API is fake.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kubechain.core.bundle import ROOT
from kubechain.core.process import environment
from kubechain.kube.exec import Executed
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.upgrade.sampler_manifests import HOME, SAMPLER
from kubechain.workload.chain import Chain
from kubechain.workload.reached import Reached
from tests.fakes import FakeApi, changed, conditions, owned_by, pod, service, thing
from tests.loopback import free_port
from tests.sampling import ADDRESS, Names, Site


class ClusterApi(FakeApi):
    """An API that stores nothing, and runs commands in Pods as processes in the folder of the Pod."""

    def __init__(self, folder: Path, names: str) -> None:
        super().__init__(self._answer, f"http://127.0.0.1:{free_port()}")
        self.folder, self.names, self.secrets = folder, names, folder / "secrets"
        self.created: list[KubeObject] = []
        # UIDs of Nodes whose Pods run no commands.
        self.refused: set[str] = set()
        self.deploy: Callable[[KubeObject], object] = lambda _: None

    def _answer(self, method: str, _path: str, body: Any) -> str:
        if method == "POST":
            stored = {**body, "metadata": {**body["metadata"], "uid": f"uid-{len(self.created)}"}}
            self.created.append(KubeObject(stored))
            if body["kind"] == "DaemonSet":
                self.deploy(self.created[-1])
            return json.dumps(stored)
        return "{}"

    def execute(self, namespace: str, pod: str, argv: Sequence[str], **_: Any) -> Executed:
        """Run a command of a Pod."""
        if any(pod.startswith(f"sampler-{uid}-") for uid in self.refused):
            return Executed("", "no such container", 1)
        if argv[0] == "cat":
            return Executed(f"search {namespace}.svc.cluster.local\nnameserver {self.names}\n", "", 0)
        words = [word.replace(HOME, str(self.folder / pod)) for word in argv]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
        return Executed(done.stdout, done.stderr, done.returncode)

    def for_sampler(self, folder: Path) -> Any:
        """Return no settings of TLS."""
        del folder

    def twin(self, keep: Any = None, *, patient: bool = False) -> Any:
        """Return this API."""
        del keep, patient
        return self

    def close(self) -> None:
        """Close nothing."""


@dataclass
class ChangingCluster:
    """The cluster, and its Nodes by UID."""

    folder: Path
    loop: asyncio.AbstractEventLoop
    names: str
    port: int = field(default_factory=free_port)
    nodes: History = field(default_factory=lambda: History("", RealClock()))
    objects: History = field(default_factory=lambda: History("ns", RealClock()))
    sites: dict[str, Site] = field(default_factory=dict[str, Site])
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, subprocess.Popen[bytes]])
    present: dict[str, KubeObject] = field(default_factory=dict[str, KubeObject])

    def __post_init__(self) -> None:
        self.api = ClusterApi(self.folder, self.names)
        self.owner: KubeObject | None = None
        self.api.deploy = self.deploy
        ports = [{"nodePort": self.port}]
        self.objects.record("ADDED", service(spec={"clusterIP": ADDRESS, "ports": ports}))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the thread of the web servers."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def join(self, name: str, address: str, *, uid: str = "") -> KubeObject:
        """Add a Node that is Ready, with its web server and the Pod of its sampler."""
        status = {"conditions": conditions(Ready="True"), "addresses": [{"type": "InternalIP", "address": address}]}
        node = thing("Node", name, uid=uid or f"uid-{name}", status=status)
        self.present[node.uid], site = node, Site(host=address, port=self.port)
        self.sites[node.uid] = site
        self.run(site.open())
        self.nodes.record("ADDED", node)
        if self.owner:
            self._start(node, self.owner)
        return node

    def deploy(self, owner: KubeObject) -> None:
        """Replace the Pods of the DaemonSet before by those of this one."""
        self.owner = owner
        for uid, node in self.present.items():
            self._stop(uid)
            self._start(node, owner)

    def _stop(self, uid: str) -> None:
        if uid in self.processes:
            self.processes[uid].kill()
            self.processes.pop(uid).wait()
            pods = [each for each in self.objects.read().all("Pod") if each.name.startswith(f"sampler-{uid}-")]
            self.objects.record("DELETED", pods[0])

    def _start(self, node: KubeObject, owner: KubeObject) -> None:
        name = f"sampler-{node.uid}-{owner.uid}"
        (self.folder / name).mkdir()
        plan, out = self.folder / name / "plan.json", self.folder / name / "out"
        script = f"until test -e {plan}; do sleep 0.05; done; exec {sys.executable} -m kubechain.sampler {plan} {out}"
        words = ["/bin/sh", "-c", script]
        # With the mark of its owner: of a test that is killed, the next run ends it.
        self.processes[node.uid] = subprocess.Popen(words, cwd=ROOT, env=environment(), start_new_session=True)
        created = pod(0, name=name, uid=f"uid-{name}", labels={"app": SAMPLER}, ownerReferences=owned_by(owner))
        self.objects.record("ADDED", changed(created, "spec.nodeName", node.name))

    def change(self, uid: str, path: str, value: Any) -> None:
        """Record another version of a Node."""
        node = changed(self.present[uid], path, value)
        self.present[uid] = changed(node, "metadata.resourceVersion", str(int(node.version) + 100_000))
        self.nodes.record("MODIFIED", self.present[uid])

    def remove(self, uid: str) -> None:
        """Remove a Node with its web server and its Pod, as if the machine were turned off."""
        self.close(uid)
        self._stop(uid)
        self.nodes.record("DELETED", self.present.pop(uid))

    def close(self, uid: str) -> None:
        """Let the nodePort of a Node refuse connections."""
        self.loop.call_soon_threadsafe(self.sites[uid].close)

    def open(self, uid: str) -> None:
        """Let the nodePort of a Node answer again."""
        self.run(self.sites[uid].open())

    def chain(self, probe_from: Any = "host", reached: Reached | None = None) -> Chain:
        """Return the witnesses, with the Nodes of this moment."""
        observer, waiter = cast("Any", SimpleNamespace(history=self.objects)), Waiter(RealClock())
        made = Chain(self.api, "ns", observer, waiter, tuple(self.present.values()), "host", "nginx", frozenset(), "client", 4)
        return replace(made, probe_from=probe_from, reached=reached)

    def pages(self, address: str, port: int = 0) -> str:
        """Return the URL of a Service's clusterIP, which a web server on loopback answers, or that of a nodePort."""
        return f"http://{address}:{port}/" if port else f"http://127.0.0.1:{self.sites['service'].port}/"


@contextmanager
def _loop() -> Generator[asyncio.AbstractEventLoop]:
    """Yield an event loop that runs in a thread; its tasks end with the body."""
    running, ready = list[tuple[asyncio.AbstractEventLoop, asyncio.Event]](), threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        running.append((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(10)
    loop, stop = running[0]
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@contextmanager
def changing_cluster(folder: Path) -> Generator[ChangingCluster]:
    """Yield a cluster without Nodes; its servers and processes end with the body."""
    with _loop() as loop:
        names = Names()
        cluster = ChangingCluster(folder, loop, asyncio.run_coroutine_threadsafe(names.open(), loop).result(10))
        cluster.sites["service"] = Site()
        cluster.run(cluster.sites["service"].open())
        try:
            yield cluster
        finally:
            for process in cluster.processes.values():
                process.kill()
                process.wait()
            for close in (*(site.close for site in cluster.sites.values()), names.close):
                loop.call_soon_threadsafe(close)
