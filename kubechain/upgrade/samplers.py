"""The samplers at work: two beside the harness, one in a Pod on every Node; what they saw is fetched as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.pods import is_ready
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import PODS_READY, Timeout
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, unmet_as
from kubechain.core.file_locks import unless_held
from kubechain.core.process import OWNER, identity
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.background import repeating
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.load import Tally
from kubechain.probes.pod import PodProbe
from kubechain.upgrade import routes, samples
from kubechain.upgrade.model import Route, RouteSamples
from kubechain.upgrade.routes import RouteRequest
from kubechain.workload import actions, manifests
from kubechain.workload.chain import Chain

PACKAGE = Path(__file__).parents[1] / "sampler"
SAMPLER = "sampler"
FETCH_SECONDS = 5.0
CHUNK = 2_000_000
FETCHED = Timeout(60, "the API server may be on its way back")
T = TypeVar("T")
MOUNT, HOME = "/opt/kubechain/sampler", "/samples"
# The plan comes by exec when the Pod's own resolv.conf has been read.
SCRIPT = (
    f"until test -e {HOME}/plan.json; do sleep 0.2; done; "
    f"cd /opt/kubechain && exec python3 -m sampler {HOME}/plan.json {HOME}/out"
)


def daemon_set(image: str) -> Json:
    """Return the DaemonSet of samplers, on every Node whatever its taints: a drain leaves them where they are."""
    pod = manifests.running(manifests.client_pod(SAMPLER, image, {"app": SAMPLER}), SCRIPT)
    spec = pod["spec"]
    spec["tolerations"] = [{"operator": "Exists"}]
    spec["volumes"] = [{"name": "program", "configMap": {"name": SAMPLER}}, {"name": "samples", "emptyDir": {}}]
    mounts = [{"name": "program", "mountPath": MOUNT}, {"name": "samples", "mountPath": HOME}]
    spec["containers"] = [{**spec["containers"][0], "volumeMounts": mounts}]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": SAMPLER},
        "spec": {
            "selector": {"matchLabels": {"app": SAMPLER}},
            "template": {"metadata": {"labels": {"app": SAMPLER}}, "spec": spec},
        },
    }


def config_map() -> Json:
    """Return the ConfigMap with the sampler's program."""
    files = {file.name: file.read_text(encoding="utf-8") for file in sorted(PACKAGE.glob("*.py"))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SAMPLER}, "data": files}


@dataclass
class Remote:
    """A sampler in a Pod on a Node, and what was fetched of its samples."""

    place: PodProbe
    node: str
    asked: list[RouteRequest]
    text: bytearray = field(default_factory=bytearray)
    before: bytes = b""

    def saved(self, folder: Path) -> Path:
        """Return the file with what an interrupted run has fetched from that Node."""
        return folder / f"{self.node}.jsonl"

    def fetch(self) -> None:
        """Fetch what is new; ApiUnavailable or HarnessError if that cannot be done just now."""
        while True:
            words = ["sh", "-c", f"tail -c +{len(self.text) + 1} {HOME}/out 2>/dev/null | head -c {CHUNK}"]
            new = self.place.must_run(*words).encode()
            self.text += new
            if len(new) < CHUNK // 2:
                return


@dataclass
class Local:
    """A sampler beside the harness, in a process of its own: what holds the harness up does not hold it up."""

    out: Path
    asked: list[RouteRequest]
    process: subprocess.Popen[bytes]


@dataclass
class Probing:
    """Samplers at work."""

    locals: list[Local]
    remotes: list[Remote]
    # Unix seconds; when every sampler was at work.
    began: float = 0.0

    def silent(self) -> list[str]:
        """Fetch what there is, and return the paths of which there is no sample yet."""
        unfetched(self.remotes)
        always = [path for path, tally in self._tallies() if not tally.samples]
        return [path.name for path in always]

    def _tallies(self) -> list[tuple[Route, Tally]]:
        """Return all samples of every path."""
        sources = [
            *((each.asked, each.out.read_text(encoding="utf-8") if each.out.exists() else "") for each in self.locals),
            *((each.asked, (each.before + each.text).decode()) for each in self.remotes),
        ]
        return [
            (each.route, Tally(each.route.name, taken))
            for asked, text in sources
            for each, taken in zip(asked, samples.read(text, len(asked)).samples, strict=True)
        ]

    def seen(self, began: float, ended: float) -> tuple[RouteSamples, ...]:
        """Return what was seen of every path from `began` to `ended` (Unix seconds)."""
        return tuple(RouteSamples(path, tally.between(began, ended)) for path, tally in self._tallies())


@contextmanager
def probing(chain: Chain, folder: Path, clock: Clock) -> Generator[Probing]:
    """Run the samplers for the time of the body, and a thread that fetches what those in Pods have seen.

    Raises:
        HarnessError: another process does so for the same folder, and would take the samplers away when it ends.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder), _in_pods(chain) as remotes:
        for remote in remotes:
            file = remote.saved(folder)
            remote.before = file.read_bytes() if file.exists() else b""
        if chain.probe_from != "host":
            remotes[0].asked += routes.node_ports(chain, remotes[0].node)
        for remote in remotes:
            plan = routes.plan(routes.from_ports(remote.asked), routes.DATA_INTERVAL, nodes=len(remotes))
            remote.place.must_run(
                "sh", "-c", f'printf %s "$1" > {HOME}/new && mv {HOME}/new {HOME}/plan.json', "sh", json.dumps(plan)
            )
        with ExitStack() as running:
            secrets = folder / "api"
            secrets.mkdir(exist_ok=True)
            tls = chain.api.credentials(secrets)
            asked = routes.api_server(chain)
            beside = [running.enter_context(_beside(asked, routes.plan(asked, routes.API_INTERVAL, tls=tls), secrets))]
            if chain.probe_from == "host":
                asked = routes.node_ports(chain)
                plan = routes.plan(routes.from_ports(asked), routes.DATA_INTERVAL)
                beside.append(running.enter_context(_beside(asked, plan, folder / "data")))
            found = Probing(beside, remotes)
            begun = Condition[list[str]]("a sample of every route", lambda silent: expect(not silent, f"none of {some(silent)}"))
            must(chain.waiter, Polled("samplers", found.silent, clock), begun, PODS_READY)
            found.began = began(folder, clock)
            running.enter_context(_fetching(remotes, chain, secrets))
            try:
                yield found
            finally:
                for remote in remotes:
                    remote.saved(folder).write_bytes(remote.before + remote.text)


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Hold a folder of samples for the time of the body; HarnessError if another process does."""
    lock = folder / "lock"
    lock.touch()
    with unless_held(lock) as ours:
        if not ours:
            raise HarnessError(f"{folder}: another run still asks for it; wait until it has ended, or end it", ExitCode.SNAPSHOT)
        yield


def began(folder: Path, clock: Clock) -> float:
    """Return when the samplers whose samples are in a folder began (Unix seconds): now, unless they were interrupted."""
    file = folder / "began"
    if not file.exists():
        file.write_text(repr(clock.wall()), encoding="utf-8")
    return float(file.read_text(encoding="utf-8"))


@contextmanager
def _in_pods(chain: Chain) -> Generator[list[Remote]]:
    """Run a sampler in a Pod on every Node; each waits for its plan."""
    for kind in ("DaemonSet", "ConfigMap"):
        actions.remove(chain, kind, SAMPLER)
    chain.api.create(config_map(), chain.namespace)
    try:
        made = chain.api.create(daemon_set(chain.client_image), chain.namespace)
        wanted = len(chain.nodes)
        all_ready = Condition[list[KubeObject]](
            f"{wanted} ready samplers", lambda found: expect(len(found) == wanted, str(len(found)))
        )
        source = Polled("samplers", lambda: ready(chain, made), chain.waiter.clock)
        found = must(chain.waiter, source, all_ready, PODS_READY)
        domain, server = resolver(chain.inside(found[0]))
        yield [
            Remote(chain.inside(pod), node := str(pod.at("spec.nodeName")), routes.from_pod(chain, node, domain, server))
            for pod in found
        ]
    finally:
        for kind in ("DaemonSet", "ConfigMap"):
            with contextlib.suppress(HarnessError):
                actions.remove(chain, kind, SAMPLER)


def ready(chain: Chain, owner: KubeObject) -> list[KubeObject]:
    """Return the samplers' Pods that are ready, not those that an interrupted phase has left and that are about to go."""
    found = chain.api.list("Pod", chain.namespace, f"app={SAMPLER}").items
    return [pod for pod in found if is_ready(pod) and (pod.controller or {}).get("uid") == owner.uid]


def resolver(place: PodProbe) -> tuple[str, str]:
    """Return the cluster's DNS domain and the address of the server that a Pod asks."""
    words = place.resolver().split()
    return place.domain(), words[words.index("nameserver") + 1]


@contextmanager
def _beside(asked: list[RouteRequest], plan: Json, folder: Path) -> Generator[Local]:
    """Run a sampler that asks from here."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    file, out = folder / "plan.json", folder / "samples.jsonl"
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan), encoding="utf-8")
    environment = {**os.environ, OWNER: identity()}
    words = [sys.executable, "-m", "kubechain.sampler", file, out]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        yield Local(out, asked, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for secret in (file, folder / "token"):
            secret.unlink(missing_ok=True)


@contextmanager
def _fetching(remotes: list[Remote], chain: Chain, secrets: Path) -> Generator[None]:
    """Fetch every FETCH_SECONDS what the samplers in Pods have seen, and once more at the end; keep the token fresh."""
    twin = chain.api.twin()
    own = [Remote(PodProbe(twin, each.place.namespace, each.place.pod), each.node, each.asked, each.text) for each in remotes]

    def fetch() -> None:
        with contextlib.suppress(HarnessError):
            twin.credentials(secrets)
        unfetched(own)

    try:
        with repeating("fetch samples", FETCH_SECONDS, fetch, chain.waiter.clock):
            yield
    finally:
        twin.close()
        source = Polled("samples", lambda: unfetched(remotes), chain.waiter.clock, interval=1.0)
        must(chain.waiter, source, Condition("every sample fetched", lambda left: expect(not left, some(left, "; "))), FETCHED)


def unfetched(remotes: list[Remote]) -> list[str]:
    """Fetch what there is; return why that was not possible, where it was not."""
    failed: list[str] = []
    for each in remotes:
        try:
            each.fetch()
        except HarnessError as error:
            failed.append(f"{each.node}: {error}")
    return failed


def must(waiter: Waiter, source: Polled[T], condition: Condition[T], within: Timeout) -> T:
    """Wait for what the samplers need; HarnessError if it does not come, which says nothing of the chain."""
    with unmet_as(HarnessError, "the samplers do not work"):
        return waiter.eventually(source, condition, within=within).state
