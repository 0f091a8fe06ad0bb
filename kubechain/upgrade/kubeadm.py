"""The upgrade of a kind cluster in place with kubeadm, one minor version (hop) after another."""

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
from kubechain.core import redact
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
KUBELET = Timeout(120, "the kubelet starts and reports to the API server, which may be restarting")
SETTLED = Timeout(240, "kube-proxy and CoreDNS are replaced Pod by Pod; leases of previous leaders expire")
POLL_SECONDS = 0.5
# Longer than a new kubelet takes to restart the control plane, and than the lease of a previous leader lasts.
STEADY_SECONDS = 20.0
RETRY_SECONDS = 2.0
COMMAND = Timeout(420, "a drain takes up to 180 s; a starting API server forbids a Node's requests for some seconds")
# Parts of an error after which the command may succeed later.
TRANSIENT = ("forbidden", "refused", "Unable to connect", "EOF", "timed out", "Timeout", "TLS handshake", "etcdserver")
# kubeadm's check SystemVerification fails on machines that kind supports, such as those with cgroup v1.
IGNORED = "--ignore-preflight-errors=SystemVerification"
# The command on the control plane's node.
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
# Pinned, as the images of the node image are: the kubelet does not remove them when the disk is full.
IMPORT_OPTIONS = ("--label=io.cri-containerd.pinned=pinned",)
PROXY = "kube-proxy"
T = TypeVar("T")


def prepare(
    cluster: Cluster, versions: tuple[Kubernetes, ...], settings: Settings, store: BuildCache, progress: Progress
) -> list[Path]:
    """Return the folder of the kubeadm bundle of each version but the first, and import their images on every node.

    This happens before the upgrade, like pulling images in advance, because building and importing load the machine.

    Raises:
        SetupError: a bundle cannot be built, or a node does not import its images.

    """
    docker, nodes = cluster.docker, cluster.nodes()
    images = [resolve.node_image(docker.client, settings, version.version, progress) for version in versions[1:]]
    bundles = [bundle_of(image, docker, store, progress) for image in images]
    for bundle, to in zip(bundles, versions[1:], strict=True):
        with progress.step(f"images of {to.version} on every node"), ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(partial(cluster.import_archive, archive=bundle / ARCHIVE, options=IMPORT_OPTIONS), nodes))
    return bundles


def upgrade(
    cluster: Cluster,
    api: Api,
    versions: tuple[Kubernetes, ...],
    bundles: list[Path],
    record_step: Callable[[str], None],
    progress: Progress,
    *,
    drain: bool = False,
) -> tuple[str, ...]:
    """Upgrade a cluster from the first version through all others in order; return the names of the drained Nodes.

    `bundles` is the result of `prepare` for these versions; `record_step` is called as each step begins or ends.

    Raises:
        SetupError: a step of a hop fails (exit code CLUSTER).

    """
    for to, bundle in zip(versions[1:], bundles, strict=True):
        Hop(cluster, api, Waiter(RealClock()), progress, record_step, to.version, bundle, drain=drain).run()
    return tuple(split(cluster.nodes())[1]) if drain else ()


@dataclass(frozen=True)
class Hop:
    """A hop to the version `to`, with the folder `bundle` of its programs and images.

    `record_step` is called as each step begins or ends; with `drain`, each worker is drained before its kubelet is replaced.
    """

    cluster: Cluster
    api: Api
    waiter: Waiter
    progress: Progress
    record_step: Callable[[str], None]
    to: str
    bundle: Path
    drain: bool = False

    def run(self) -> None:
        """Upgrade the control plane, then the workers in order; wait until all Nodes and system Pods are ready.

        Raises:
            SetupError: a step fails, or the cluster does not become ready (exit code CLUSTER).

        """
        control_plane, workers = split(self.cluster.nodes())
        title = f"upgrade to {self.to}"
        with self.progress.step(f"{title}: control plane"):
            self._control_plane(control_plane)
            # The new kubelet restarts the control plane some seconds after it is ready. Pods that were drained before that
            # would be neither replaced nor removed from endpoints, because no controller runs.
            self._settle_steadily()
        for worker in workers:
            with self.progress.step(f"{title}: {worker}{', drained' if self.drain else ''}"):
                self._worker(worker, control_plane)
        with self.progress.step(f"{title}: nodes and system Pods ready"):
            self._settle()

    def _control_plane(self, node: str) -> None:
        self._replace(node, "kubeadm")
        self.record_step(f"kubeadm upgrade apply v{self.to}")
        skipped = "--skip-phases=addon/kube-proxy"
        self._run_on(node, "kubeadm", "upgrade", "apply", f"v{self.to}", "--yes", IGNORED, skipped, seconds=APPLY_SECONDS)
        self.record_step("control plane upgraded")
        self._replace(node, "kubectl")
        # CoreDNS, then kube-proxy, then the kubelet: a Node without a running kube-proxy, or without a control plane, does not
        # learn of new CoreDNS Pods, and would send DNS queries to deleted ones.
        self._settle(proxies=False)
        self._retry_on(node, "kubeadm", "upgrade", "apply", "phase", "addon", "kube-proxy", f"v{self.to}")
        self.record_step("kube-proxy upgraded")
        self._settle()
        self._kubelet(node)

    def _worker(self, node: str, control_plane: str) -> None:
        if self.drain:
            self.record_step(f"draining {node}")
            options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_SECONDS}s")
            self._retry_on(control_plane, *KUBECTL, "drain", node, *options)
            self.record_step(f"drained {node}")
        self._replace(node, "kubeadm")
        self._retry_on(node, "kubeadm", "upgrade", "node", IGNORED)
        self._kubelet(node)
        if self.drain:
            self._retry_on(control_plane, *KUBECTL, "uncordon", node)
            self.record_step(f"uncordoned {node}")

    def _retry_on(self, node: str, *words: str) -> None:
        """Run an idempotent command on a node, again while the API server does not answer or forbids the Node's requests.

        The new kubelet of the control plane restarts it some seconds after it was ready.
        """
        command = [self.cluster.docker.client, "exec", node, *words]
        source = Polled("commands", lambda: run(command, timeout=NODE_SECONDS), self.waiter.clock, RETRY_SECONDS)
        self._wait(source, Condition(f"`{' '.join(words[:3])}` on {node} to succeed", succeeded), COMMAND)

    def _kubelet(self, node: str) -> None:
        """Replace the kubelet of a node, and wait until it reports."""
        # After `kubeadm upgrade`, which removes flags that the new kubelet does not know.
        self._replace(node, "kubelet")
        self._run_on(node, "systemctl", "restart", "kubelet")
        self.record_step(f"kubelet of {node} restarted")
        source = Polled(f"node {node}", lambda: self._node(node), self.waiter.clock, POLL_SECONDS)
        upgraded = Condition[KubeObject | None](f"Node {node} ready, kubelet v{self.to}", self._upgraded)
        self._wait(source, upgraded, KUBELET)

    def _upgraded(self, node: KubeObject | None) -> Result:
        """Return whether a Node is ready and its kubelet has the new version."""
        if node is None:
            return unmet("no such Node")
        version, ready = node.at("status.nodeInfo.kubeletVersion"), node.condition("Ready")
        state = f"Ready {ready.get('status')} ({ready.get('message')})"
        return expect(version == f"v{self.to}" and node.is_true("Ready"), redact.beginning(f"kubelet {version}, {state}", 200))

    def _settle(self, *, proxies: bool = True) -> None:
        """Wait until the API server has the new version, all Nodes are ready, and the system Pods are rolled out.

        With `proxies`, kube-proxy must have the new version too.
        """
        source = Polled("the system", self._system, self.waiter.clock, POLL_SECONDS)
        self._wait(source, Condition(f"all ready at v{self.to}", partial(self._settled, proxies=proxies)), SETTLED)

    def _settle_steadily(self) -> None:
        """Wait until the cluster has been settled without interruption for STEADY_SECONDS."""
        settled_at: list[float] = []

        def read() -> Result:
            try:
                return self._settled(self._system(), proxies=True)
            except ApiUnavailable as error:
                return unmet(str(error))

        def check(result: Result) -> Result:
            now = self.waiter.clock.now()
            if not result.met:
                settled_at.clear()
                return result
            settled_at.append(now)
            return expect(now - settled_at[0] >= STEADY_SECONDS, f"{now - settled_at[0]:.1f} s of it")

        source = Polled("the system", read, self.waiter.clock, POLL_SECONDS)
        self._wait(source, Condition(f"all ready at v{self.to} for {STEADY_SECONDS:g} s", check), SETTLED)

    def _node(self, name: str) -> KubeObject | None:
        with starting_up():
            return self.api.get("Node", "", name)

    def _system(self) -> tuple[str, list[KubeObject]]:
        kinds = (("Node", ""), *((kind, "kube-system") for kind in ("Pod", "DaemonSet", "Deployment")))
        with starting_up():
            return server_version(self.api), [each for kind, namespace in kinds for each in self.api.list(kind, namespace).items]

    def _settled(self, state: tuple[str, list[KubeObject]], *, proxies: bool) -> Result:
        version, objects = state
        if version != f"v{self.to}":
            return unmet(f"the API server at {version}")
        return settled(objects, self.to if proxies else "")

    def _wait(self, source: Polled[T], condition: Condition[T], within: Timeout) -> None:
        with unmet_as(SetupError, f"the upgrade to {self.to} stopped", code=ExitCode.CLUSTER):
            self.waiter.eventually(source, condition, within=within)

    def _replace(self, node: str, program: str) -> None:
        """Replace a program of a node by that of the bundle, atomically."""
        path = f"/usr/bin/{program}"
        words = [self.cluster.docker.client, "cp", self.bundle / program, f"{node}:{path}.new"]
        check(words, timeout=COPY_SECONDS, code=ExitCode.CLUSTER, doing=f"copying {program} to {node}")
        self._run_on(node, "sh", "-c", f"chmod 755 {path}.new && mv {path}.new {path}")

    def _run_on(self, node: str, *words: str, seconds: float = COPY_SECONDS) -> None:
        """Run a command on a node; SetupError if it fails (exit code CLUSTER)."""
        command = [self.cluster.docker.client, "exec", node, *words]
        doing = f"`{redact.text(' '.join(words[:4]))}` on {node}"
        check(command, timeout=seconds, code=ExitCode.CLUSTER, doing=doing)


def succeeded(done: Completed) -> Result:
    """Return whether a command on a node succeeded; hopeless unless its error is TRANSIENT."""
    if done.status == 0:
        return met()
    why = f"status {done.status}: {done.last_words}"
    return unmet(why) if any(word in done.stderr + done.stdout for word in TRANSIENT) else hopeless(why)


def settled(objects: list[KubeObject], to: str) -> Result:
    """Return whether Nodes and Pods are ready, DaemonSets and Deployments are rolled out, and no Pod is being deleted.

    `objects` are all Nodes and the objects in kube-system; kube-proxy must have the version `to`, unless it is "".
    """
    unready = [each for each in objects if each.kind in ("Node", "Pod") and not each.settled]
    if unready:
        return unmet(f"{some(each.name for each in unready)} not ready")
    ending = [each for each in objects if each.kind == "Pod" and each.deleting]
    if ending:
        return unmet(f"{some(each.name for each in ending)} still ending")
    rolling = [each for each in objects if each.kind in ("DaemonSet", "Deployment") and not rolled_out(each)]
    if rolling:
        return unmet(f"{some(each.name for each in rolling)} not rolled out")
    proxies = [each for each in objects if each.kind == "DaemonSet" and each.name == PROXY]
    images = [container["image"] for each in proxies for container in each.at("spec.template.spec.containers", [])]
    of_version = not to or (bool(images) and all(image.endswith(f":v{to}") for image in images))
    return expect(of_version, f"{PROXY} of {text(images)}" if images else f"no {PROXY}")


def rolled_out(owner: KubeObject) -> bool:
    """Return whether all Pods of a DaemonSet or Deployment are updated and available."""
    if owner.at("status.observedGeneration", 0) < owner.at("metadata.generation"):
        return False
    if owner.kind == "DaemonSet":
        wanted = owner.at("status.desiredNumberScheduled")
        fields = ("updatedNumberScheduled", "numberAvailable")
    else:
        wanted = owner.at("spec.replicas")
        # `replicas` counts the Pods of previous revisions too.
        fields = ("updatedReplicas", "availableReplicas", "replicas")
    return all(owner.at(f"status.{field}", 0) == wanted for field in fields)
