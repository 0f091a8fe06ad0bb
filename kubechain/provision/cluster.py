"""The cluster of a run: an existing one, a kind cluster that was kept, or a new kind cluster."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from kubechain.claims.requirements import LISTED, rights_of
from kubechain.claims.rights import CORE, PULL_SECRET
from kubechain.cleanup import containers, cordons, marked_objects, namespaces, processes, run_folders, run_locks
from kubechain.cleanup.marked_objects import Space
from kubechain.cluster import binaries, docker_engine, existing, kind_config
from kubechain.cluster.access import Access
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.conditions.text import counted
from kubechain.core import registries, secret_files
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.images import load_balancer, pins, resolve
from kubechain.images.mutation import Guard
from kubechain.kube import shape
from kubechain.kube.client import Api
from kubechain.provision import inotify, kept_network, occupied, settling


@dataclass(frozen=True)
class Choice:
    """The options about the cluster, "" or None if not given.

    `config` is for kind, in place of that of the IP family; `made_as` is how the cluster is made.
    """

    name: str
    kubeconfig: str = ""
    keep: bool = False
    node_image: str = ""
    kind: str | None = None
    kubectl: str | None = None
    config: Path | None = None
    made_as: type[Cluster] = Cluster
    guards: tuple[Guard, ...] = ()  # of the mutants in the programs of a new cluster


@dataclass(frozen=True)
class Provided:
    """The cluster of a run; `cluster` is its kind cluster, None for an existing cluster."""

    target: Target
    cluster: Cluster | None


def join(path: Path) -> Provided:
    """Use the cluster of a running run, whose folder is `path`, without checks; that run cleans it up."""
    return Provided(replace(Target.read(path), temporary=True), None)


def attach(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Use the existing cluster of --context: check the rights that every claim needs, and remove namespaces of ended runs there.

    Raises:
        SetupError: the context is unusable, the cluster unreachable, or rights are missing.

    """
    kubeconfig = existing.kubeconfig(choice.kubeconfig, settings.context, run.secrets)
    processes.end(progress)
    run_folders.remove_dead(settings.out, progress)
    with progress.step(f"cluster of context {settings.context}") as step:
        api = existing.connect(kubeconfig, settings.context, run.secrets)
        access = Access(api, settings.namespace)
        stated = [CORE, *([PULL_SECRET] if settings.pull_secret else [])]
        needed = rights_of(stated, inside=bool(settings.namespace))
        try:
            uid = existing.identity(api, settings.namespace)
        except SetupError as error:
            if error.code == ExitCode.RIGHTS:
                # One refused request does not name all that is missing.
                access.require(needed)
            raise
        access.require(needed)
        if settings.pull_secret:
            registries.credentials(settings.pull_secret, [resolve.public_nginx(settings), resolve.public_client(settings)])
        version = existing.server_version(api)
        nodes = "" if access.lacking(LISTED.rights) else f", {counted(api.count('Node'), 'Node')}"
        step.note(version + nodes)
        target = replace(
            _target(api, kubeconfig, uid, version, settings),
            pull_secret=str(settings.pull_secret or ""),
            namespace=settings.namespace,
        )
    secret_files.folder(run.folder)
    run_locks.mark_visited(settings.cache, run.name, settings.context, uid, settings.namespace)
    run_locks.forget_unmarked(settings.cache)
    if settings.namespace:
        _enter(Space(api, settings.namespace, access), uid, settings, progress)
    else:
        cordons.clear(api, settings.cache, progress)
        namespaces.clear(api, uid, settings.cache, progress)
    api.close()
    return Provided(target, None)


def _enter(space: Space, uid: str, settings: Settings, progress: Progress) -> None:
    """Remove what ended runs left in a namespace; SetupError if another run uses it, or something there is in the way."""
    others = marked_objects.clear(space, uid, settings.cache, progress)
    occupied.require_no_other(space, others, settings.context)
    made = shape.of(PROJECT, settings.overlay, settings.tolerate, settings.nodes)
    occupied.require_free(space, made, secret=bool(settings.pull_secret))


def require_alone(namespace: str, context: str, processes: int, *, disruptive: bool) -> None:
    """Raise a SetupError (exit code USAGE) if a run in one namespace has no context, or several processes, or disturbs Nodes."""
    option = f"--namespace={namespace}"
    if namespace and not context:
        raise SetupError(f"{option}: needs a context: add --context", ExitCode.USAGE)
    if namespace and processes > 1:
        raise SetupError(f"{option}: chains come one after another there: omit -n {processes}", ExitCode.USAGE)
    if namespace and disruptive:
        raise SetupError(f"{option}: a run in one namespace disturbs no Nodes: omit --disruptive", ExitCode.USAGE)


def look_at(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Use the existing cluster of --kube-context for claims of another repository: read its identity and version only."""
    kubeconfig = existing.kubeconfig(choice.kubeconfig, settings.context, run.secrets)
    with progress.step(f"cluster of context {settings.context}") as step:
        api = existing.connect(kubeconfig, settings.context, run.secrets)
        uid, version = existing.identity(api), existing.server_version(api)
        step.note(version)
        target = _target(api, kubeconfig, uid, version, settings)
    api.close()
    return Provided(target, None)


def _target(api: Api, kubeconfig: Path, uid: str, version: str, settings: Settings) -> Target:
    """Return the target for an existing cluster."""
    return Target(
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


def kind_cluster(run: Run, settings: Settings, choice: Choice, progress: Progress) -> Provided:
    """Use the kind cluster of --cluster or make one, after the container engine, the programs and the images.

    Raises:
        SetupError: one of them is missing and cannot be provided; a cluster that this call made is deleted.

    """
    pinned = pins.load().find(settings.k8s)
    processes.end(progress)
    run_folders.remove_dead(settings.out, progress)
    host = docker_engine.ensure(settings.cache, progress)
    containers.remove_dead(settings.cache, host.docker, progress)
    store = resolve.store_of(settings)
    store.sweep()
    store.require_space(4)
    kind = binaries.kind(choice.kind, store, progress)
    images = resolve.provide(host.docker, settings, choice.node_image, choice.guards, progress)
    kubectl = binaries.kubectl(choice.kubectl, pinned.minor, resolve.Docker(host.docker), images.node, store, progress)
    cluster = choice.made_as(choice.name or run.name, run.folder, images.node, kind.path, kubectl.path, host.docker)
    reused = cluster.exists()
    if reused:
        require_ours(cluster, settings.cache)
    try:
        with progress.step(f"kind cluster {cluster.name}") as step:
            step.note("reused" if reused else "created")
            if reused:
                cluster.attach()
            else:
                _create(cluster, settings, choice.config, progress)
        with progress.step("images on every node"):
            cluster.load([images.nginx, images.client], store)
        with progress.step("nodes and system Pods ready"):
            api = Api(cluster.kubeconfig_path, cluster.context, run.secrets)
            settling.settle(api, cluster)
        if reused:
            kept_network.require_families(api, cluster.name, settings.ip_family)
            kept_network.require_proxy_mode(api, cluster.name, settings.proxy_mode)
        uid = existing.identity(api)
        if reused or choice.keep:
            run_locks.mark_visited(settings.cache, run.name, cluster.context, uid)
            cordons.clear(api, settings.cache, progress)
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
            docker_host=host.address,
            kind=str(kind.path),
            kubectl=str(kubectl.path),
            digests=images.ids,
            versions=versions,
        )
    except BaseException:
        if not reused:
            give_up(cluster, settings.cache, progress)
        raise
    if choice.keep:
        run_locks.mark_kept(settings.cache, cluster.name, uid)
    return Provided(target, cluster)


def _create(cluster: Cluster, settings: Settings, given: Path | None, progress: Progress) -> None:
    """Create a kind cluster; from the first node on a mark says that kubechain made it."""
    config = given or kind_config.write(
        secret_files.folder(cluster.path), settings.ip_family, settings.proxy_mode, settings.control_planes
    )
    inotify.require_room(kind_config.size(config, replaced=settings.replace))
    run_locks.mark_made(settings.cache, cluster.name, [cluster.creation])
    with ExitStack() as named:
        if kind_config.control_planes(config) > 1:
            store = resolve.store_of(settings)
            named.enter_context(load_balancer.under_the_name_of_kind(cluster.docker, cluster.creation, store, progress))
        cluster.create(config)
    run_locks.mark_made(settings.cache, cluster.name, cluster.ids)
    cluster.untag()


def give_up(cluster: Cluster, cache: Path, progress: Progress) -> None:
    """Delete a cluster that could not be made; its mark stays if that fails, so that the next run deletes it."""
    try:
        with progress.step(f"deleting the cluster {cluster.name}"):
            cluster.delete()
            # The engine may create a node after the program that requested it has ended.
            while cluster.remains():
                cluster.delete()
    except SetupError as error:
        # What is raised is why the cluster could not be made.
        progress.console.print(f"  {error}; the next run or `kubechain clean` deletes it", soft_wrap=True, markup=False)
    else:
        run_locks.unmark(cache, cluster.name)


def require_ours(cluster: Cluster, cache: Path) -> None:
    """Refuse a kind cluster that kubechain did not make, because the suite stops, breaks and upgrades nodes.

    Raises:
        SetupError: no mark of a run names all nodes of the cluster (exit code USAGE).

    """
    if not containers.is_made(cache, cluster.docker, cluster.name):
        instead = f"use --context={cluster.context}, which leaves its nodes undisturbed"
        raise SetupError(f"--cluster={cluster.name}: kubechain did not make this kind cluster; {instead}", ExitCode.USAGE)
