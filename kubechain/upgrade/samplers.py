"""Runs the samplers, two on the harness's machine and one in a Pod on every Node that is asked, and fetches their samples."""

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
from kubechain.core import secret_files
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, unmet_as
from kubechain.core.file_locks import unless_held
from kubechain.core.process import OWNER, identity
from kubechain.kube import handover
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import Clock
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.load import Tally
from kubechain.probes.pod import PodProbe
from kubechain.upgrade import routes, samples
from kubechain.upgrade.model import Route, RouteSamples
from kubechain.upgrade.routes import RouteRequest
from kubechain.upgrade.sampler_manifests import HOME, SAMPLER, config_map, daemon_set
from kubechain.workload import actions
from kubechain.workload.chain import Chain

# With up to FULL_RATE_NODES samplers in Pods, and longer with more: each fetch is a new connection to the API server.
FETCH_SECONDS = 5.0
CHUNK = 2_000_000
FETCHED = Timeout(60, "the API server may be restarting")
T = TypeVar("T")


@dataclass
class PodSampler:
    """A sampler in a Pod on a Node; `fetched` is the part of its file that is here, `earlier` that of an interrupted run."""

    pod: PodProbe
    node: str
    requests: list[RouteRequest]
    fetched: bytearray = field(default_factory=bytearray)
    earlier: bytes = b""

    def saved(self, folder: Path) -> Path:
        """Return the file in which an interrupted run keeps the fetched samples."""
        return folder / f"{self.node}.jsonl"

    def fetch(self) -> None:
        """Fetch the new part of the file; HarnessError if that is not possible now."""
        while True:
            words = ["sh", "-c", f"tail -c +{len(self.fetched) + 1} {HOME}/out 2>/dev/null | head -c {CHUNK}"]
            new = self.pod.must_run(*words).encode()
            self.fetched += new
            if len(new) < CHUNK // 2:
                return


@dataclass
class LocalSampler:
    """A sampler on the harness's machine, in a process of its own, so that a busy harness does not delay it."""

    out: Path
    requests: list[RouteRequest]
    process: subprocess.Popen[bytes]


@dataclass
class RunningSamplers:
    """The running samplers; `began` is when all of them had sent a sample (Unix seconds)."""

    local: list[LocalSampler]
    in_pods: list[PodSampler]
    began: float = 0.0

    def without_samples(self) -> list[str]:
        """Fetch, and return the names of the routes without a sample."""
        fetch_all(self.in_pods)
        return [route.name for route, tally in self._tallies() if not tally.samples]

    def _tallies(self) -> list[tuple[Route, Tally]]:
        """Return all samples of every route."""
        files = [
            *((each.requests, each.out.read_text(encoding="utf-8") if each.out.exists() else "") for each in self.local),
            *((each.requests, (each.earlier + each.fetched).decode()) for each in self.in_pods),
        ]
        return [
            (request.route, Tally(request.route.name, of_route))
            for requests, text in files
            for request, of_route in zip(requests, samples.read(text, len(requests)).samples, strict=True)
        ]

    def between(self, began: float, ended: float) -> tuple[RouteSamples, ...]:
        """Return the samples of every route that were sent from `began` to `ended` (Unix seconds)."""
        return tuple(RouteSamples(route, tally.between(began, ended)) for route, tally in self._tallies())


@contextmanager
def sampling(chain: Chain, folder: Path, clock: Clock) -> Generator[RunningSamplers]:
    """Run the samplers during the body, and a thread that fetches the samples of those in Pods.

    `folder` keeps the samples, so that an interrupted run can be continued.

    Raises:
        HarnessError: another process uses the folder, or a sampler does not start.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), _in_pods(chain) as in_pods:
        for sampler in in_pods:
            file = sampler.saved(folder)
            sampler.earlier = file.read_bytes() if file.exists() else b""
        if chain.probe_from != "host":
            in_pods[0].requests += routes.node_ports(chain, in_pods[0].node)
        for sampler in in_pods:
            plan = routes.plan(routes.with_source_ports(sampler.requests), routes.DATA_INTERVAL, nodes=len(in_pods))
            sampler.pod.must_run(
                "sh", "-c", f'printf %s "$1" > {HOME}/new && mv {HOME}/new {HOME}/plan.json', "sh", json.dumps(plan)
            )
        with ExitStack() as running:
            secrets = secret_files.folder(chain.api.secrets)
            requests = routes.api_server(chain)
            plan = routes.plan(requests, routes.API_INTERVAL, tls=chain.api.for_sampler(secrets))
            local = [running.enter_context(local_sampler(requests, plan, folder / "api", secrets))]
            if chain.probe_from == "host":
                requests = routes.node_ports(chain)
                plan = routes.plan(routes.with_source_ports(requests), routes.DATA_INTERVAL, nodes=len(in_pods))
                local.append(running.enter_context(local_sampler(requests, plan, folder / "data", secrets)))
            samplers = RunningSamplers(local, in_pods)
            begun = Condition[list[str]]("a sample of every route", lambda names: expect(not names, f"none of {some(names)}"))
            require(chain.waiter, Polled("samplers", samplers.without_samples, clock), begun, PODS_READY)
            samplers.began = began(folder, clock)
            running.enter_context(_fetching(in_pods, chain, secrets))
            try:
                yield samplers
            finally:
                for sampler in in_pods:
                    sampler.saved(folder).write_bytes(sampler.earlier + sampler.fetched)


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Lock a folder of samples during the body; HarnessError if another process holds the lock (exit code SNAPSHOT)."""
    lock = folder / "lock"
    lock.touch()
    with unless_held(lock) as ours:
        if not ours:
            raise HarnessError(f"{folder}: another run samples into this folder; wait for its end, or stop it", ExitCode.SNAPSHOT)
        yield


def began(folder: Path, clock: Clock) -> float:
    """Return when the first run that samples into a folder began (Unix seconds): now, unless it continues an earlier one."""
    file = folder / "began"
    if not file.exists():
        file.write_text(repr(clock.wall()), encoding="utf-8")
    return float(file.read_text(encoding="utf-8"))


@contextmanager
def _in_pods(chain: Chain) -> Generator[list[PodSampler]]:
    """Run a sampler in a Pod on every Node during the body; each waits for its plan."""
    for kind in ("DaemonSet", "ConfigMap"):
        actions.remove(chain, kind, SAMPLER)
    chain.api.create(config_map(), chain.namespace)
    try:
        nodes = [*chain.asked]
        created = chain.api.create(daemon_set(chain.client_image, nodes), chain.namespace)
        wanted = len(nodes)
        all_ready = Condition[list[KubeObject]](
            f"{wanted} ready samplers", lambda pods: expect(len(pods) == wanted, str(len(pods)))
        )
        source = Polled("samplers", lambda: ready(chain, created), chain.waiter.clock)
        pods = require(chain.waiter, source, all_ready, PODS_READY)
        domain, server = resolver(chain.inside(pods[0]))
        yield [
            PodSampler(chain.inside(pod), node := str(pod.at("spec.nodeName")), routes.from_pod(chain, node, domain, server))
            for pod in pods
        ]
    finally:
        for kind in ("DaemonSet", "ConfigMap"):
            with contextlib.suppress(HarnessError):
                actions.remove(chain, kind, SAMPLER)


def ready(chain: Chain, owner: KubeObject) -> list[KubeObject]:
    """Return the ready Pods of the DaemonSet `owner`, without those of an interrupted run that are still being deleted."""
    pods = chain.api.list("Pod", chain.namespace, f"app={SAMPLER}").items
    return [pod for pod in pods if is_ready(pod) and (pod.controller or {}).get("uid") == owner.uid]


def resolver(pod: PodProbe) -> tuple[str, str]:
    """Return the cluster's DNS domain and the address of its DNS server, from the resolv.conf of a Pod."""
    words = pod.resolver().split()
    return pod.domain(), words[words.index("nameserver") + 1]


@contextmanager
def local_sampler(requests: list[RouteRequest], plan: Json, folder: Path, secrets: Path) -> Generator[LocalSampler]:
    """Run a sampler on this machine during the body, with its samples in a folder, and its plan in that of secrets."""
    folder = secret_files.folder(folder.absolute())
    file, out = secrets / f"plan-{folder.name}.json", folder / "samples.jsonl"
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan), encoding="utf-8")
    environment = {**os.environ, OWNER: identity()}
    words = [sys.executable, "-m", "kubechain.sampler", file, out]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        yield LocalSampler(out, requests, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for secret in (file, secrets / handover.HEADERS, secrets / handover.CLIENT) if plan["tls"] else (file,):
            secret.unlink(missing_ok=True)


@contextmanager
def _fetching(in_pods: list[PodSampler], chain: Chain, secrets: Path) -> Generator[None]:
    """Fetch the samples of the samplers in Pods from time to time and at the end; renew the credentials of the local sampler."""
    twin = chain.api.twin()
    own = [
        PodSampler(PodProbe(twin, each.pod.namespace, each.pod.pod), each.node, each.requests, each.fetched) for each in in_pods
    ]

    def fetch() -> None:
        with contextlib.suppress(HarnessError):
            twin.for_sampler(secrets)
        fetch_all(own)

    try:
        with run_periodically("fetch samples", routes.scaled(FETCH_SECONDS, len(own)), fetch, chain.waiter.clock):
            yield
    finally:
        twin.close()
        source = Polled("samples", lambda: fetch_all(in_pods), chain.waiter.clock, interval=1.0)
        fetched = Condition[list[str]]("every sample fetched", lambda errors: expect(not errors, some(errors, "; ")))
        require(chain.waiter, source, fetched, FETCHED)


def fetch_all(in_pods: list[PodSampler]) -> list[str]:
    """Fetch the samples of all samplers in Pods; return "NODE: error" for each that failed."""
    errors: list[str] = []
    for sampler in in_pods:
        try:
            sampler.fetch()
        except HarnessError as error:
            errors.append(f"{sampler.node}: {error}")
    return errors


def require(waiter: Waiter, source: Polled[T], condition: Condition[T], within: Timeout) -> T:
    """Wait for a condition of the samplers; HarnessError if it is not met, because that says nothing about the chain."""
    with unmet_as(HarnessError, "the samplers do not work"):
        return waiter.eventually(source, condition, within=within).state
