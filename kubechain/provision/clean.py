"""`kubechain clean`: removes the leftovers of dead runs from this machine and, with --context, from an existing cluster.

It lists everything that it removes, and removes nothing that a living run uses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from kubechain.cleanup import containers, cordons, namespaces, processes, run_folders, run_locks
from kubechain.cluster import docker_engine, existing, kind
from kubechain.core.build_cache import BuildCache, remove
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.settings import CleanSettings
from kubechain.images.docker import Docker
from kubechain.images.resolve import store_of
from kubechain.kube import kubeconfig_files
from kubechain.kube.client import Api


@dataclass(frozen=True)
class Cleaning:
    """One run of `kubechain clean`: each removal is a step of `progress`; `remaining` are namespaces that it leaves."""

    settings: CleanSettings
    progress: Progress
    remaining: list[str] = field(default_factory=list[str])

    @property
    def kept_clusters_too(self) -> bool:
        """Whether --kept applies to the kind clusters of this machine: with --context it applies to that cluster only."""
        return self.settings.kept and not self.settings.context

    @property
    def cache(self) -> Path:
        """The folder of run locks, builds and engine files."""
        return self.settings.cache

    def say(self, text: str) -> None:
        """Print a line about something that is not removed."""
        self.progress.console.print(f"  {text}", markup=False, soft_wrap=True)

    def run(self) -> None:
        """Remove everything that the settings select."""
        processes.end(self.progress)
        self.files()
        running = docker_engine.running()
        if running:
            self.engine(running[0])
        else:
            self.say("no container engine answers: clusters and containers are not checked")
        if self.settings.cache_too:
            self.builds()
        if self.settings.context:
            self.context()
        self.report_visits()
        if not self.progress.steps:
            self.say("nothing was removed" if self.settings.context and self.remaining else "nothing to clean")

    def files(self) -> None:
        """Remove incomplete builds and the folders of dead runs."""
        for path in store_of(self.settings).sweep():
            with self.progress.step(f"removing {path}"):
                pass
        run_folders.remove_dead(self.settings.out, self.progress)

    def engine(self, client: Path) -> None:
        """Remove clusters, containers, images and the network from the container engine; stop it if --engine is set."""
        docker = Docker(client)
        containers.remove_dead(self.cache, client, self.progress, kept_too=self.kept_clusters_too)
        self.kept_clusters(docker)
        for name in containers.strange_clusters(self.cache, docker):
            self.say(f"cluster {name} remains: this cache has no record of its run; remove: kind delete cluster --name {name}")
        containers.remove_containers(docker, self.progress)
        self.images(docker)
        if docker_engine.is_ours(self.cache):
            containers.remove_network(docker, self.progress)
            if self.settings.engine:
                self.stop_engine(docker)

    def images(self, docker: Docker) -> None:
        """Remove the images that kubechain built if --images-too is set, unless a living run may need them."""
        living, temporary = run_locks.living(self.cache), containers.temporary_images(docker)
        if living:
            self.say(f"images remain: runs in progress may need them: {', '.join(living)}")
        elif self.settings.images_too:
            for image in containers.remove_images(docker, self.progress):
                self.say(f"image {image} remains: a container uses it")
        elif temporary:
            self.say(f"images of a killed build remain: {', '.join(temporary)}; remove: --images-too")

    def stop_engine(self, docker: Docker) -> None:
        """Stop the container engine that a run started, unless a container runs on it."""
        running = containers.running_containers(docker)
        if running:
            self.say(f"the container engine runs on: it has the containers {', '.join(running)} (--kept removes kept clusters)")
            return
        with self.progress.step("stopping the container engine"), unmet_as(SetupError, code=ExitCode.ENGINE):
            docker_engine.stop(self.cache)

    def kept_clusters(self, docker: Docker) -> None:
        """Remove the namespaces of dead runs from kept clusters."""
        for name in kind.names(docker):
            if run_locks.is_kept(self.cache, name) and run_locks.visitors(self.cache, kind.context(name)):
                with store_of(self.settings).scratch() as folder:
                    try:
                        self.namespaces(Api(*kind.kubeconfig(docker, name, folder), folder))
                    except SetupError as error:
                        self.say(f"kept cluster {name} is not cleaned: {error}")

    def context(self) -> None:
        """Remove the namespaces of dead runs from the cluster of the context."""
        with store_of(self.settings).scratch() as folder:
            kubeconfig = existing.kubeconfig(str(self.settings.kubeconfig or ""), self.settings.context, folder)
            self.namespaces(existing.connect(kubeconfig, self.settings.context, folder), kept_too=self.settings.kept)

    def namespaces(self, api: Api, *, kept_too: bool = False) -> None:
        """Remove the namespaces that no run needs, uncordon the Nodes of dead runs, and list what remains."""
        try:
            uid = existing.identity(api)
            stay = cordons.clear(api, self.cache, self.progress, kept_too=kept_too)
            names = namespaces.clear(api, uid, self.cache, self.progress, kept_too=kept_too)
            if names:
                with self.progress.step("waiting for their deletion"):
                    namespaces.await_gone(api, names)
            for node in stay:
                self.remains("Node", node.name, "its run may be alive, and its mark has not expired; uncordon now: --kept")
            for namespace in namespaces.left_by_runs(api):
                self.remains("namespace", namespace.name, "its run may be alive, and it has not expired; remove now: --kept")
            for namespace in namespaces.witnesses(api):
                self.remains(
                    "namespace",
                    namespace.name,
                    "it holds the witnesses of an upgrade; remove: kubechain upgrade after, or --kept",
                )
        finally:
            api.close()

    def remains(self, kind: str, name: str, why: str) -> None:
        """Report a namespace that is not removed, or a Node that stays cordoned."""
        self.remaining.append(name)
        self.say(f"{kind} {name} remains: {why}")

    def builds(self) -> None:
        """Remove the cache of builds, unless a build uses it."""
        store: BuildCache = store_of(self.settings)
        if store.busy():
            self.say(f"{store.root} remains: a build uses it")
        elif store.root.is_dir():
            with self.progress.step(f"removing {store.root}"):
                remove(store.root)

    def report_visits(self) -> None:
        """Report the existing clusters on which dead runs may have left namespaces."""
        visits = ((name, run_locks.visited(self.cache, name)) for name in run_locks.names(self.cache))
        for name, visit in visits:
            if visit and not run_locks.is_alive(self.cache, name):
                self.say(f"{name} died on the cluster of context {visit[1]}; clean up: kubechain clean --context {visit[1]}")


def clean(settings: CleanSettings) -> None:
    """Remove everything that the settings select.

    Raises:
        SetupError: the context does not exist (before anything is removed), its cluster cannot be reached or refuses a
            request, or the engine does not stop.

    """
    if settings.context:
        existing.require_context(kubeconfig_files.named(str(settings.kubeconfig or "")), settings.context)
    elif settings.kubeconfig:
        raise SetupError(f"--kubeconfig={settings.kubeconfig}: needs a context: add --context", ExitCode.USAGE)
    Cleaning(settings, Progress(Console(highlight=False, soft_wrap=True))).run()
