"""`kubechain clean`: removes what runs left behind on this machine and, with --context, on an existing cluster.

What a run that is alive uses is never touched. Everything that is removed is listed.
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
from kubechain.kube.client import Api


@dataclass(frozen=True)
class Cleaning:
    """One run of `kubechain clean`; what is removed is listed as steps of `progress`."""

    settings: CleanSettings
    progress: Progress
    stays: list[str] = field(default_factory=list[str])

    @property
    def kept_clusters_too(self) -> bool:
        """Whether kept clusters of this machine are to go: not where the words are about another cluster."""
        return self.settings.kept and not self.settings.context

    @property
    def cache(self) -> Path:
        """Where signs of life, builds and the engine's files are."""
        return self.settings.cache

    def say(self, text: str) -> None:
        """Print a line about what is left, and why."""
        self.progress.console.print(f"  {text}", markup=False, soft_wrap=True)

    def run(self) -> None:
        """Remove everything that was asked for."""
        processes.end(self.progress)
        self.files()
        found = docker_engine.running()
        if found:
            self.engine(found[0])
        else:
            self.say("no container engine answers, and none is started: what runs may have left on one is not looked for")
        if self.settings.cache_too:
            self.builds()
        if self.settings.context:
            self.context()
        self.tell_visitors()
        if not self.progress.steps:
            self.say("nothing was removed" if self.settings.context and self.stays else "nothing to clean")

    def files(self) -> None:
        """Remove half-made artifacts, and the folders of runs that died."""
        for path in store_of(self.settings).sweep():
            with self.progress.step(f"removing {path}"):
                pass
        run_folders.remove_dead(self.settings.out, self.progress)

    def engine(self, client: Path) -> None:
        """Remove what is on the container engine, and stop it if asked to."""
        docker = Docker(client)
        containers.remove_dead(self.cache, client, self.progress, kept_too=self.kept_clusters_too)
        self.kept_clusters(docker)
        for name in containers.strange_clusters(self.cache, docker):
            self.say(f"cluster {name} stays: its run is not known here; `kind delete cluster --name {name}` removes it")
        containers.remove_containers(docker, self.progress)
        self.images(docker)
        if docker_engine.is_ours(self.cache):
            containers.remove_network(docker, self.progress)
            if self.settings.engine:
                self.stop_engine(docker)

    def images(self, docker: Docker) -> None:
        """Remove the images that the project built, if asked to, and unless a run may need them."""
        living, temporary = run_locks.living(self.cache), containers.temporary_images(docker)
        if living:
            self.say(f"alive: {', '.join(living)}")
        elif self.settings.images_too:
            for image in containers.remove_images(docker, self.progress):
                self.say(f"image {image} is in use by a container and stays")
        elif temporary:
            self.say(f"images of a build that was killed stay: {', '.join(temporary)}; --images-too removes them")

    def stop_engine(self, docker: Docker) -> None:
        """Stop the container engine that a run started, unless something runs on it."""
        running = containers.running_containers(docker)
        if running:
            self.say(f"the container engine stays: {', '.join(running)} run on it (--kept removes kept clusters)")
            return
        with self.progress.step("stopping the container engine"), unmet_as(SetupError, code=ExitCode.ENGINE):
            docker_engine.stop(self.cache)

    def kept_clusters(self, docker: Docker) -> None:
        """Remove what runs that died left on clusters that are kept."""
        for name in kind.names(docker):
            if run_locks.is_kept(self.cache, name) and run_locks.visitors(self.cache, kind.context(name)):
                with store_of(self.settings).scratch() as folder:
                    try:
                        self.namespaces(Api(*kind.kubeconfig(docker, name, folder), folder))
                    except SetupError as error:
                        self.say(f"kept cluster {name} is not cleaned: {error}")

    def context(self) -> None:
        """Remove what runs left on the existing cluster that was named."""
        kubeconfig = existing.kubeconfig_path(str(self.settings.kubeconfig or ""))
        with store_of(self.settings).scratch() as folder:
            self.namespaces(existing.connect(kubeconfig, self.settings.context, folder), kept_too=self.settings.kept)

    def namespaces(self, api: Api, *, kept_too: bool = False) -> None:
        """Remove the namespaces on a cluster that no run needs, uncordon its Nodes, and list those that a run may need."""
        try:
            uid = existing.identity(api)
            stay = cordons.clear(api, self.cache, self.progress, kept_too=kept_too)
            names = namespaces.clear(api, uid, self.cache, self.progress, kept_too=kept_too)
            if names:
                with self.progress.step("waiting until they are gone"):
                    namespaces.await_gone(api, names)
            for node in stay:
                self.stay("Node", node.name, "stays cordoned until its run ends or its mark expires; --kept uncordons it now")
            for namespace in namespaces.left_by_runs(api):
                self.stay("namespace", namespace.name, "stays until its run ends or it expires; --kept removes it now")
            for namespace in namespaces.witnesses(api):
                self.stay(
                    "namespace",
                    namespace.name,
                    "holds the witnesses of an upgrade; `kubechain upgrade after` or --kept removes it",
                )
        finally:
            api.close()

    def stay(self, kind: str, name: str, why: str) -> None:
        """Say of a namespace or a Node that it is left, and why."""
        self.stays.append(name)
        self.say(f"{kind} {name} {why}")

    def builds(self) -> None:
        """Remove the cache of builds, unless something is being built."""
        store: BuildCache = store_of(self.settings)
        if store.busy():
            self.say(f"{store.root} is in use by a build and stays")
        elif store.root.is_dir():
            with self.progress.step(f"removing {store.root}"):
                remove(store.root)

    def tell_visitors(self) -> None:
        """Say on which clusters runs died that may have left namespaces there."""
        found = ((name, run_locks.visited(self.cache, name)) for name in run_locks.names(self.cache))
        for name, where in found:
            if where and not run_locks.is_alive(self.cache, name):
                self.say(
                    f"{name} died on the cluster of context {where[1]}: `kubechain clean --context {where[1]}` cleans up there"
                )


def clean(settings: CleanSettings) -> None:
    """Remove what the settings say.

    Raises:
        SetupError: the context does not exist (before anything is removed), its cluster cannot be reached or refuses,
            or the engine does not stop.

    """
    if settings.context:
        existing.require_context(existing.kubeconfig_path(str(settings.kubeconfig or "")), settings.context)
    elif settings.kubeconfig:
        what = f"--kubeconfig={settings.kubeconfig}: used only with a context; name one with --context"
        raise SetupError(what, ExitCode.USAGE)
    Cleaning(settings, Progress(Console(highlight=False, soft_wrap=True))).run()
