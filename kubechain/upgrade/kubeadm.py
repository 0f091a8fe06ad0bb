"""The upgrade of a kind cluster in place with kubeadm, one minor version (hop) after another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kubechain.cluster.existing import server_version
from kubechain.cluster.kind import Cluster, split
from kubechain.cluster.worker_nodes import PINNED
from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some, text
from kubechain.conditions.timeouts import Timeout
from kubechain.core.build_cache import BuildCache
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
from kubechain.provision import inotify
from kubechain.upgrade.machines import Machines
from kubechain.upgrade.node_commands import NodeCommands
from kubechain.upgrade.workers import IGNORED, Way, WorkerHop

APPLY_SECONDS = 600.0
SETTLED = Timeout(240, "kube-proxy and CoreDNS are replaced Pod by Pod; leases of previous leaders expire")
POLL_SECONDS = 0.5
# Longer than a new kubelet takes to restart the control plane, and than the lease of a previous leader lasts.
STEADY_SECONDS = 20.0
PROXY = "kube-proxy"


class HopFiles(NamedTuple):
    """The folder with the programs and images of a version, and the machines for new workers of that version."""

    bundle: Path
    machines: Machines


def prepare(
    cluster: Cluster, versions: tuple[Kubernetes, ...], settings: Settings, store: BuildCache, progress: Progress
) -> list[HopFiles]:
    """Return the files of the hop to each version but the first, import their images on every node, start new machines.

    This happens before the upgrade, like pulling images in advance, because all of it loads the machine.

    Raises:
        SetupError: a bundle cannot be built, a node does not import its images, or a machine does not start.

    """
    docker, nodes = cluster.docker, cluster.nodes()
    images = [resolve.node_image(docker.client, settings, version.version, progress) for version in versions[1:]]
    bundles = [bundle_of(image, docker, store, progress) for image in images]
    for bundle, to in zip(bundles, versions[1:], strict=True):
        with progress.step(f"images of {to.version} on every node"), ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(partial(cluster.import_archive, archive=bundle / ARCHIVE, options=PINNED), nodes))
    files = [HopFiles(bundle, Machines(image, settings.cache, store)) for bundle, image in zip(bundles, images, strict=True)]
    if settings.replace:
        workers = split(nodes)[1]
        inotify.require_room(len(workers) * len(files))
        for to, of_hop in zip(versions[1:], files, strict=True):
            with progress.step(f"machines for new workers of {to.version}"):
                for worker in workers:
                    of_hop.machines.start(cluster, worker, Waiter(RealClock()))
    return files


def upgrade(
    cluster: Cluster,
    api: Api,
    versions: tuple[Kubernetes, ...],
    files: list[HopFiles],
    record_step: Callable[[str], None],
    progress: Progress,
    way: Way = "in place",
) -> tuple[str, ...]:
    """Upgrade a cluster from the first version through all others in order; return the names of the drained Nodes.

    `files` is the result of `prepare` for these versions; `record_step` is called as each step begins or ends; `way` is what is
    done to each worker.

    Raises:
        SetupError: a step of a hop fails (exit code CLUSTER).

    """
    drained: dict[str, None] = {}
    for to, of_hop in zip(versions[1:], files, strict=True):
        drained |= dict.fromkeys(split(cluster.nodes())[1] if way != "in place" else ())
        waiter = Waiter(RealClock())
        Hop(cluster, api, waiter, progress, record_step, to.version, of_hop.bundle, way, of_hop.machines).run()
    return tuple(drained)


@dataclass(frozen=True)
class Hop:
    """A hop to the version `to`, with the folder `bundle` of its programs and images.

    `record_step` is called as each step begins or ends; `way` is what is done to each worker, `machines` are those of new
    workers.
    """

    cluster: Cluster
    api: Api
    waiter: Waiter
    progress: Progress
    record_step: Callable[[str], None]
    to: str
    bundle: Path
    way: Way = "in place"
    machines: Machines | None = None

    def run(self) -> None:
        """Upgrade the control planes, then the workers in order; wait until all Nodes and system Pods are ready.

        The first control plane is upgraded by `upgrade apply`, others by `upgrade node`.

        Raises:
            SetupError: a step fails, or the cluster does not become ready (exit code CLUSTER).

        """
        control_planes, workers = split(self.cluster.nodes())
        title = f"upgrade to {self.to}"
        with self.progress.step(f"{title}: control plane"):
            self._control_plane(*control_planes)
            # The new kubelet restarts the control plane some seconds after it is ready. Pods that were drained before that
            # would be neither replaced nor removed from endpoints, because no controller runs.
            self._settle_steadily()
        for worker in workers:
            with self.progress.step(f"{title}: {worker}{'' if self.way == 'in place' else f', {self.way}'}"):
                self._workers(control_planes[0]).run(worker)
        with self.progress.step(f"{title}: nodes and system Pods ready"):
            self._settle()

    def _control_plane(self, node: str, *others: str) -> None:
        self._commands.replace(node, "kubeadm")
        self.record_step(f"kubeadm upgrade apply v{self.to}")
        skipped = "--skip-phases=addon/kube-proxy"
        self._commands.run(node, "kubeadm", "upgrade", "apply", f"v{self.to}", "--yes", IGNORED, skipped, seconds=APPLY_SECONDS)
        self.record_step("control plane upgraded")
        self._commands.replace(node, "kubectl")
        for other in others:
            # A member of etcd that is not back yet, and one more, would be two of three.
            self._await_members()
            self._commands.replace(other, "kubeadm")
            self.record_step(f"kubeadm upgrade node on {other}")
            self._commands.run(other, "kubeadm", "upgrade", "node", IGNORED, skipped, seconds=APPLY_SECONDS)
            self._commands.replace(other, "kubectl")
        # CoreDNS, then kube-proxy, then the kubelet: a Node without a running kube-proxy, or without a control plane, does not
        # learn of new CoreDNS Pods, and would send DNS queries to deleted ones.
        self._settle(proxies=False)
        self._commands.retry(node, "kubeadm", "upgrade", "apply", "phase", "addon", "kube-proxy", f"v{self.to}")
        self.record_step("kube-proxy upgraded")
        self._settle()
        self._workers(node).kubelet(node)
        for other in others:
            # The kubelet restarts the API server and etcd beside it.
            self._settle_steadily()
            self._workers(node).kubelet(other)

    def _workers(self, control_plane: str) -> WorkerHop:
        return WorkerHop(self._commands, self.api, self.record_step, control_plane, self.way, self.machines)

    @property
    def _commands(self) -> NodeCommands:
        return NodeCommands(self.cluster, self.waiter, self.to, self.bundle)

    def _await_members(self) -> None:
        """Wait until all Nodes and system Pods are ready, whatever version the API server has that answers."""
        source = Polled("the system", self._system, self.waiter.clock, POLL_SECONDS)
        ready = Condition[tuple[str, list[KubeObject]]]("every control plane ready", lambda state: settled(state[1], ""))
        self._commands.wait(source, ready, SETTLED)

    def _settle(self, *, proxies: bool = True) -> None:
        """Wait until the API server has the new version, all Nodes are ready, and the system Pods are rolled out.

        With `proxies`, kube-proxy must have the new version too.
        """
        source = Polled("the system", self._system, self.waiter.clock, POLL_SECONDS)
        self._commands.wait(source, Condition(f"all ready at v{self.to}", partial(self._settled, proxies=proxies)), SETTLED)

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
        self._commands.wait(source, Condition(f"all ready at v{self.to} for {STEADY_SECONDS:g} s", check), SETTLED)

    def _system(self) -> tuple[str, list[KubeObject]]:
        kinds = (("Node", ""), *((kind, "kube-system") for kind in ("Pod", "DaemonSet", "Deployment")))
        with starting_up():
            return server_version(self.api), [each for kind, namespace in kinds for each in self.api.list(kind, namespace).items]

    def _settled(self, state: tuple[str, list[KubeObject]], *, proxies: bool) -> Result:
        version, objects = state
        if version != f"v{self.to}":
            return unmet(f"the API server at {version}")
        return settled(objects, self.to if proxies else "")


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
