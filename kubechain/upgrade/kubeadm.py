"""The upgrade of a kind cluster in place with kubeadm: from one minor version to the next, as often as it takes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from kubechain.cluster.existing import server_version
from kubechain.cluster.kind import Cluster, split
from kubechain.conditions.condition import Condition, Result, expect, hopeless, met, unmet
from kubechain.conditions.text import some, text
from kubechain.conditions.timeouts import Timeout
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import Completed, check, run
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings
from kubechain.images import resolve
from kubechain.images.kubeadm_bundle import ARCHIVE, bundle_of
from kubechain.images.pins import Kubernetes
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable, starting_up
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

APPLY_SECONDS = 600.0
NODE_SECONDS = 300.0
COPY_SECONDS = 120.0
DRAIN_SECONDS = 180
KUBELET = Timeout(120, "the kubelet starts and reports; the API server may have to come back before it can")
SETTLED = Timeout(240, "kube-proxy and CoreDNS are replaced Pod by Pod; leases of leaders that are gone run out")
ASK_SECONDS = 0.5
# Longer than a new kubelet takes to restart the control plane, and than the lease of a leader that is gone.
STEADY_SECONDS = 20.0
RETRY_SECONDS = 2.0
AWAY = Timeout(420, "a drain may take 180 s; an API server starts, and learns within seconds which Node may read what")
# What a command says that may succeed a little later.
PASSING = ("forbidden", "refused", "Unable to connect", "EOF", "timed out", "Timeout", "TLS handshake", "etcdserver")
# The check refuses machines that kind's nodes run well on, such as those with cgroup v1.
IGNORED = "--ignore-preflight-errors=SystemVerification"
# On the control plane's node.
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
# As the node image's own are, they are kept when the disk is full: no registry has to give them again.
IMPORT_OPTIONS = ("--label=io.cri-containerd.pinned=pinned",)
PROXY = "kube-proxy"
T = TypeVar("T")


def prepare(
    cluster: Cluster, path: tuple[Kubernetes, ...], settings: Settings, store: BuildCache, progress: Progress
) -> list[Path]:
    """Return the kit of each version but the first, made if need be, with its images on every node.

    All of this is done ahead, as one pulls images before an upgrade: it loads the machine, and is no part of it.
    """
    docker, nodes = cluster.docker, cluster.nodes()
    images = [resolve.node_image(docker.client, settings, each.version, progress) for each in path[1:]]
    kits = [bundle_of(image, docker, store, progress) for image in images]
    for each, to in zip(kits, path[1:], strict=True):
        with progress.step(f"images of {to.version} on every node"), ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(partial(cluster.import_archive, archive=each / ARCHIVE, options=IMPORT_OPTIONS), nodes))
    return kits


def travel(
    cluster: Cluster,
    api: Api,
    path: tuple[Kubernetes, ...],
    kits: list[Path],
    mark: Callable[[str], None],
    progress: Progress,
    *,
    drain: bool = False,
) -> tuple[str, ...]:
    """Upgrade a cluster of the first of these versions to all others in turn; return the Nodes that were drained.

    `kits` are what `prepare` returned for the path.

    Raises:
        SetupError: the cluster cannot be upgraded (exit code CLUSTER).

    """
    for to, tools in zip(path[1:], kits, strict=True):
        Hop(cluster, api, Waiter(RealClock()), progress, mark, to.version, tools, drain=drain).run()
    return tuple(split(cluster.nodes())[1]) if drain else ()


@dataclass(frozen=True)
class Hop:
    """One hop: to the version `to`, with its kit.

    `mark` is told each step as it begins or ends; with `drain`, each worker is drained before its kubelet is replaced.
    """

    cluster: Cluster
    api: Api
    waiter: Waiter
    progress: Progress
    mark: Callable[[str], None]
    to: str
    kit: Path
    drain: bool = False

    def run(self) -> None:
        """Upgrade the control plane, then one worker after the other; wait until everything is ready again.

        Raises:
            SetupError: a step fails, or the cluster does not become ready (exit code CLUSTER).

        """
        control_plane, workers = split(self.cluster.nodes())
        title = f"upgrade to {self.to}"
        with self.progress.step(f"{title}: control plane"):
            self._control_plane(control_plane)
            # The new kubelet restarts the control plane some seconds after it is ready. What is drained before that has
            # no controller to replace it, and none to say that it is gone.
            self._stay_settled()
        for worker in workers:
            with self.progress.step(f"{title}: {worker}{', drained' if self.drain else ''}"):
                self._worker(worker, control_plane)
        with self.progress.step(f"{title}: nodes and system Pods ready"):
            self._settle()

    def _control_plane(self, node: str) -> None:
        self._replace(node, "kubeadm")
        self.mark(f"kubeadm upgrade apply v{self.to}")
        later = "--skip-phases=addon/kube-proxy"
        self._on(node, "kubeadm", "upgrade", "apply", f"v{self.to}", "--yes", IGNORED, later, seconds=APPLY_SECONDS)
        self.mark("control plane upgraded")
        self._replace(node, "kubectl")
        # One after the other: a Node whose kube-proxy is away does not learn that CoreDNS is replaced, nor does any
        # while the kubelet restarts the control plane. Names would be asked of Pods that are gone.
        self._settle(proxies=False)
        self._patiently(node, "kubeadm", "upgrade", "apply", "phase", "addon", "kube-proxy", f"v{self.to}")
        self.mark("kube-proxy upgraded")
        self._settle()
        self._kubelet(node)

    def _worker(self, node: str, control_plane: str) -> None:
        if self.drain:
            self.mark(f"draining {node}")
            options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_SECONDS}s")
            self._patiently(control_plane, *KUBECTL, "drain", node, *options)
            self.mark(f"drained {node}")
        self._replace(node, "kubeadm")
        self._patiently(node, "kubeadm", "upgrade", "node", IGNORED)
        self._kubelet(node)
        if self.drain:
            self._patiently(control_plane, *KUBECTL, "uncordon", node)
            self.mark(f"uncordoned {node}")

    def _patiently(self, node: str, *words: str) -> None:
        """Run a command on a node, again for as long as the API server is away or does not know the Node's rights yet.

        The new kubelet of the control plane restarts it some seconds after all was ready. Each command may be run again.
        """
        command = [self.cluster.docker.client, "exec", node, *words]
        source = Polled("commands", lambda: run(command, timeout=NODE_SECONDS), self.waiter.clock, RETRY_SECONDS)
        self._wait(source, Condition(f"`{' '.join(words[:3])}` on {node} done", done_or_why), AWAY)

    def _kubelet(self, node: str) -> None:
        """Replace the kubelet of a node, and wait until it reports."""
        # Only now: the flags of the old one, which the new one may not know, are gone since `kubeadm upgrade`.
        self._replace(node, "kubelet")
        self._on(node, "systemctl", "restart", "kubelet")
        self.mark(f"kubelet of {node} restarted")
        source = Polled(f"node {node}", lambda: self._node(node), self.waiter.clock, ASK_SECONDS)
        wanted = Condition[KubeObject | None](f"Node {node} ready, kubelet v{self.to}", self._upgraded)
        self._wait(source, wanted, KUBELET)

    def _upgraded(self, node: KubeObject | None) -> Result:
        """Check a Node: ready, and of the version that it is to have."""
        if node is None:
            return unmet("no such Node")
        version, ready = node.at("status.nodeInfo.kubeletVersion"), node.condition("Ready")
        state = f"Ready {ready.get('status')} ({ready.get('message')})"
        return expect(version == f"v{self.to}" and node.is_true("Ready"), f"kubelet {version}, {state}"[:200])

    def _settle(self, *, proxies: bool = True) -> None:
        """Wait until the API server is of the new version, all Nodes are ready, and the system Pods rolled out.

        With `proxies`, kube-proxy must be of the new version, too.
        """
        source = Polled("the system", self._system, self.waiter.clock, ASK_SECONDS)
        self._wait(source, Condition(f"all ready at v{self.to}", partial(self._settled, proxies=proxies)), SETTLED)

    def _stay_settled(self) -> None:
        """Wait until all has been settled without a break for STEADY_SECONDS."""
        begun: list[float] = []

        def look() -> Result:
            try:
                return self._settled(self._system(), proxies=True)
            except ApiUnavailable as error:
                return unmet(str(error))

        def check(result: Result) -> Result:
            now = self.waiter.clock.now()
            if not result.met:
                begun.clear()
                return result
            begun.append(now)
            return expect(now - begun[0] >= STEADY_SECONDS, f"{now - begun[0]:.1f} s of it")

        source = Polled("the system", look, self.waiter.clock, ASK_SECONDS)
        self._wait(source, Condition(f"all ready at v{self.to} for {STEADY_SECONDS:g} s", check), SETTLED)

    def _node(self, name: str) -> KubeObject | None:
        with starting_up():
            return self.api.get("Node", "", name)

    def _system(self) -> tuple[str, list[KubeObject]]:
        kinds = (("Node", ""), *((kind, "kube-system") for kind in ("Pod", "DaemonSet", "Deployment")))
        with starting_up():
            return server_version(self.api), [each for kind, place in kinds for each in self.api.list(kind, place).items]

    def _settled(self, state: tuple[str, list[KubeObject]], *, proxies: bool) -> Result:
        version, objects = state
        if version != f"v{self.to}":
            return unmet(f"the API server at {version}")
        return settled(objects, self.to if proxies else "")

    def _wait(self, source: Polled[T], condition: Condition[T], within: Timeout) -> None:
        with unmet_as(SetupError, f"the upgrade to {self.to} stopped", code=ExitCode.CLUSTER):
            self.waiter.eventually(source, condition, within=within)

    def _replace(self, node: str, program: str) -> None:
        """Put a program of the kit in the place of a node's own, at once: nothing finds half of it, or none."""
        path = f"/usr/bin/{program}"
        words = [self.cluster.docker.client, "cp", self.kit / program, f"{node}:{path}.new"]
        check(words, timeout=COPY_SECONDS, code=ExitCode.CLUSTER, doing=f"copying {program} to {node}")
        self._on(node, "sh", "-c", f"chmod 755 {path}.new && mv {path}.new {path}")

    def _on(self, node: str, *words: str, seconds: float = COPY_SECONDS) -> None:
        """Run a command on a node; a SetupError if it fails."""
        command = [self.cluster.docker.client, "exec", node, *words]
        doing = f"`{' '.join(words[:4])}` on {node}"
        check(command, timeout=seconds, code=ExitCode.CLUSTER, doing=doing)


def done_or_why(done: Completed) -> Result:
    """Check what a command on a node ended with: only the absence of the API server or of rights may pass by itself."""
    if done.status == 0:
        return met()
    why = f"status {done.status}: {done.last_words}"
    return unmet(why) if any(word in done.stderr + done.stdout for word in PASSING) else hopeless(why)


def settled(objects: list[KubeObject], to: str) -> Result:
    """Check the Nodes, and the Pods and their owners in kube-system: ready, rolled out, none ending.

    kube-proxy must be of version `to`, unless that is "".
    """
    waiting = [each for each in objects if each.kind in ("Node", "Pod") and not _ready(each)]
    if waiting:
        return unmet(f"{some(each.name for each in waiting)} not ready")
    ending = [each for each in objects if each.kind == "Pod" and each.deleting]
    if ending:
        return unmet(f"{some(each.name for each in ending)} still ending")
    rolling = [each for each in objects if each.kind in ("DaemonSet", "Deployment") and not rolled(each)]
    if rolling:
        return unmet(f"{some(each.name for each in rolling)} not rolled out")
    proxies = [each for each in objects if each.kind == "DaemonSet" and each.name == PROXY]
    images = [container["image"] for each in proxies for container in each.at("spec.template.spec.containers", [])]
    of_version = not to or (bool(images) and all(image.endswith(f":v{to}") for image in images))
    return expect(of_version, f"{PROXY} of {text(images)}" if images else f"no {PROXY}")


def _ready(each: KubeObject) -> bool:
    """Whether a Node or a Pod is ready; a Pod that has done its work will not be any more."""
    return each.is_true("Ready") or (each.kind == "Pod" and each.at("status.phase") == "Succeeded")


def rolled(owner: KubeObject) -> bool:
    """Whether a DaemonSet or a Deployment has replaced all its Pods by ones that are available."""
    if owner.at("status.observedGeneration", 0) < owner.at("metadata.generation"):
        return False
    if owner.kind == "DaemonSet":
        wanted = owner.at("status.desiredNumberScheduled")
        fields = ("updatedNumberScheduled", "numberAvailable")
    else:
        wanted = owner.at("spec.replicas")
        # The old ones are gone, too.
        fields = ("updatedReplicas", "availableReplicas", "replicas")
    return all(owner.at(f"status.{field}", 0) == wanted for field in fields)
