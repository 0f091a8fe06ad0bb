"""Where a run's cluster comes from: one that exists, a kind cluster that was kept, or a new one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from kubechain.cleanup import containers, namespaces, processes, run_folders, run_locks
from kubechain.cluster import binaries, docker_engine, existing
from kubechain.cluster.kind import Cluster, node_ids
from kubechain.cluster.target import Target
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.images import pins, resolve
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

SETTLED = Timeout(120, "CoreDNS starts, and the workers' network with it")


@dataclass(frozen=True)
class Choice:
    """What the command line says of the cluster; "" or None where it says nothing."""

    name: str
    kubeconfig: str
    keep: bool
    node_image: str
    kind: str | None
    kubectl: str | None


@dataclass(frozen=True)
class Provided:
    """The cluster of a run; `cluster` is its kind cluster, None if it is not one of the project's."""

    target: Target
    cluster: Cluster | None


def join(path: Path) -> Provided:
    """Take the cluster of a run under way as it is, broken or not; that run looks after it."""
    return Provided(replace(Target.read(path), temporary=True), None)


def attach(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Take the existing cluster whose context was named, after checking that the suite can run there."""
    kubeconfig = existing.kubeconfig_path(choice.kubeconfig)
    processes.end(progress)
    run_folders.remove_dead(settings.out, progress)
    with progress.step(f"cluster of context {settings.context}") as step:
        api = existing.connect(kubeconfig, settings.context, run.secrets)
        uid = existing.identity(api)
        existing.preflight(api)
        _check_secret(settings.pull_secret)
        version = existing.server_version(api)
        step.note(f"{version}, {len(api.list('Node').items)} nodes")
        target = Target(
            name=settings.context,
            kubeconfig=str(kubeconfig),
            context=settings.context,
            server=api.server,
            uid=uid,
            owned=False,
            temporary=False,
            nginx=resolve.public_nginx(settings),
            client=resolve.public_client(settings),
            pull_secret=str(settings.pull_secret or ""),
            kubectl=shutil.which("kubectl") or "",
            versions={"server": version},
        )
    run.folder.mkdir(parents=True, exist_ok=True)
    run_locks.visit(settings.cache, run.name, settings.context, uid)
    namespaces.clear(api, uid, settings.cache, progress)
    api.close()
    return Provided(target, None)


def look_at(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Take the existing cluster whose context was named for claims of one's own: nothing is asked of it but who it is."""
    kubeconfig = existing.kubeconfig_path(choice.kubeconfig)
    with progress.step(f"cluster of context {settings.context}") as step:
        api = existing.connect(kubeconfig, settings.context, run.secrets)
        uid, version = existing.identity(api), existing.server_version(api)
        step.note(version)
        target = Target(
            name=settings.context,
            kubeconfig=str(kubeconfig),
            context=settings.context,
            server=api.server,
            uid=uid,
            owned=False,
            temporary=False,
            nginx=resolve.public_nginx(settings),
            client=resolve.public_client(settings),
            kubectl=shutil.which("kubectl") or "",
            versions={"server": version},
        )
    api.close()
    return Provided(target, None)


def _check_secret(path: Path | None) -> None:
    if path is None:
        return
    try:
        json.loads(path.read_text())["auths"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"PULL_SECRET={path}: not a docker config.json with auths", ExitCode.USAGE) from error


def kind_cluster(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Take the kind cluster of the given name, or make one; the engine, the programs and the images before it."""
    pinned = pins.load().find(settings.k8s)
    processes.end(progress)
    run_folders.remove_dead(settings.out, progress)
    host = docker_engine.ensure(settings.cache, progress)
    containers.remove_dead(settings.cache, host.docker, progress)
    store = resolve.store_of(settings)
    store.sweep()
    store.require_space(4)
    kind = binaries.kind(choice.kind, store, progress)
    images = resolve.provide(host.docker, settings, choice.node_image, progress)
    docker = resolve.Docker(host.docker)
    kubectl = binaries.kubectl(choice.kubectl, pinned.minor, docker, images.node, store, progress)
    cluster = Cluster(choice.name or run.name, run.folder, images.node, kind.path, kubectl.path, host.docker)
    reused = cluster.exists()
    if reused:
        require_ours(cluster, settings.cache)
    with progress.step(f"kind cluster {cluster.name}") as step:
        if reused:
            step.note("reused")
            cluster.attach()
        else:
            step.note("created")
            run_locks.made(settings.cache, cluster.name)
            try:
                cluster.create()
            except BaseException:
                run_locks.unmark(settings.cache, cluster.name)
                raise
            run_locks.made(settings.cache, cluster.name, node_ids(docker, cluster.name))
    try:
        with progress.step("images on every node"):
            cluster.load([images.nginx, images.client], store)
        with progress.step("nodes and system Pods ready"):
            api = Api(cluster.kubeconfig_path, cluster.context, run.secrets)
            _settle(api)
        uid = existing.identity(api)
        if reused or choice.keep:
            run_locks.visit(settings.cache, run.name, cluster.context, uid)
            namespaces.clear(api, uid, settings.cache, progress)
        versions = {
            "server": existing.server_version(api),
            "etcd": pinned.etcd,
            "coredns": pinned.coredns,
            "kind": kind.version,
            "kubectl": kubectl.version,
            "engine": f"Docker {host.version}",
            "nodeImage": images.node,
            "images": images.mode,
        }
        target = Target(
            name=cluster.name,
            kubeconfig=str(cluster.kubeconfig_path),
            context=cluster.context,
            server=api.server,
            uid=uid,
            owned=True,
            temporary=not (reused or choice.keep),
            nginx=images.nginx,
            client=images.client,
            docker=str(host.docker),
            kind=str(kind.path),
            kubectl=str(kubectl.path),
            digests=images.ids,
            versions=versions,
        )
    except BaseException:
        if not reused:
            cluster.delete()
            run_locks.unmark(settings.cache, cluster.name)
        raise
    if choice.keep:
        run_locks.keep(settings.cache, cluster.name)
    return Provided(target, cluster)


def require_ours(cluster: Cluster, cache: Path) -> None:
    """Refuse a kind cluster that no run of kubechain made: its nodes are not ours to stop, break or upgrade.

    Raises:
        SetupError: there is no mark that says that a run made just these nodes (exit code USAGE).

    """
    if not run_locks.is_ours(cache, cluster.name, node_ids(cluster.docker, cluster.name)):
        what = f"a kind cluster that kubechain did not make; CONTEXT={cluster.context} checks it and leaves its nodes alone"
        raise SetupError(f"CLUSTER={cluster.name}: {what}", ExitCode.USAGE)


def _settle(api: Api) -> None:
    """Wait until every Node and every Pod of kube-system is ready."""

    def ready(objects: list[KubeObject]) -> Result:
        waiting = [each for each in objects if not each.is_true("Ready")]
        return expect(bool(objects) and not waiting, f"{some(each.name for each in waiting)} not ready")

    source = Polled("nodes and system Pods", lambda: api.list("Node").items + api.list("Pod", "kube-system").items, RealClock())
    with unmet_as(SetupError, "the new cluster does not become ready", code=ExitCode.CLUSTER):
        Waiter(RealClock()).eventually(source, Condition("every Node and system Pod ready", ready), within=SETTLED)
