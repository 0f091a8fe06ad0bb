"""`kubechain clean`: removes the cluster_objects of dead runs from this machine and, with --context, from an existing cluster.

It lists everything that it removes, and removes nothing that a living run uses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm

from kubechain.claims.requirements import rights_of
from kubechain.claims.rights import CLEAN
from kubechain.cleanup import (
    cluster_objects,
    containers,
    cordons,
    marked_objects,
    namespaces,
    processes,
    run_folders,
    run_locks,
)
from kubechain.cleanup.marked_objects import Space
from kubechain.cluster import docker_engine, existing, kind
from kubechain.cluster.access import Access
from kubechain.cluster.docker_engine import Engine
from kubechain.conditions.text import counted
from kubechain.core.build_cache import BuildCache, remove
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.settings import CleanSettings
from kubechain.images.docker import Docker
from kubechain.images.resolve import store_of
from kubechain.kube.client import Api


@dataclass
class Cleaning:
    """One run of `kubechain clean`: each removal is a step of `progress`.

    `remaining` are the names of what it leaves on a cluster; `unconfirmed` counts what --kept lists and nobody confirmed.
    """

    settings: CleanSettings
    progress: Progress
    remaining: list[str] = field(default_factory=list[str])
    unconfirmed: int = 0

    @property
    def cache(self) -> Path:
        """The folder of run locks, builds and engine files."""
        return self.settings.cache

    def say(self, text: str) -> None:
        """Print a line about something that is not removed."""
        self.progress.console.print(f"  {text}", markup=False, soft_wrap=True)

    def run(self) -> None:
        """Remove everything that the settings select.

        Raises:
            SetupError: --kept would remove something, and there is neither a terminal to ask nor --yes (exit code USAGE).

        """
        processes.end(self.progress)
        self.files()
        engine = self.engine()
        if engine:
            self.clusters(engine)
        else:
            self.say("no container engine answers: clusters and containers are not checked")
        if self.settings.engine:
            self.stop_engine(engine)
        if self.settings.cache_too:
            self.builds()
        if self.settings.context:
            self.context()
        self.report_visits()
        if self.unconfirmed:
            raise SetupError(
                f"--kept: {counted(self.unconfirmed, 'thing')} listed and not removed: to remove without a terminal, add --yes",
                ExitCode.USAGE,
            )
        if not self.progress.steps:
            self.say("nothing was removed" if self.settings.kept or self.remaining else "nothing to clean")

    def engine(self) -> Engine | None:
        """Return the engine that runs use, None if none answers or the docker client cannot be used."""
        try:
            return docker_engine.find(self.cache)
        except SetupError as error:
            self.say(str(error))
            return None

    def files(self) -> None:
        """Remove incomplete builds, and the folders and lock files of dead runs."""
        for path in store_of(self.settings).sweep():
            with self.progress.step(f"removing {path}"):
                pass
        run_folders.remove_dead(self.settings.out, self.progress)
        run_locks.forget_unmarked(self.cache)

    def clusters(self, engine: Engine) -> None:
        """Remove clusters, containers, images and the network from the container engine."""
        docker = Docker(engine.docker)
        containers.remove_dead(self.cache, engine.docker, self.progress)
        # With --context, --kept is about that cluster only.
        if self.settings.kept and not self.settings.context:
            self.kept_clusters(docker)
        self.visited_clusters(docker)
        for name in containers.strange_clusters(self.cache, docker):
            self.say(f"cluster {name} remains: this cache has no record of its run; remove: kind delete cluster --name {name}")
        containers.remove_containers(docker, self.progress)
        self.images(docker)
        if engine.ours:
            containers.remove_network(docker, self.progress)

    def kept_clusters(self, docker: Docker) -> None:
        """List the kept clusters, ask, and remove them."""
        chosen = [name for name in containers.kept_clusters(self.cache, docker) if self.settings.cluster in ("", name)]
        if self.confirmed([f"cluster {name}: {containers.describe(docker, name)}" for name in chosen]):
            for name in chosen:
                with self.progress.step(f"removing the kept cluster {name}"):
                    containers.remove_cluster(self.cache, docker, name)

    def confirmed(self, lines: list[str]) -> bool:
        """List what --kept removes, and return whether it may be removed."""
        if not lines:
            return False
        for line in lines:
            self.say(line)
        if self.settings.yes:
            return True
        if sys.stdin.isatty() and sys.stdout.isatty():
            return Confirm.ask(f"  remove {counted(len(lines), 'thing')}?", default=False)
        self.unconfirmed += len(lines)
        return False

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

    def stop_engine(self, engine: Engine | None) -> None:
        """Stop the container engine that a run started, unless a container runs on it; undo the isolation of a dead one too."""
        running = containers.running_containers(Docker(engine.docker)) if engine and engine.ours else []
        if running:
            self.say(f"the container engine runs on: it has the containers {', '.join(running)} (--kept removes kept clusters)")
        elif docker_engine.is_left(self.cache):
            with self.progress.step("stopping the container engine"), unmet_as(SetupError, code=ExitCode.ENGINE):
                docker_engine.stop(self.cache)

    def visited_clusters(self, docker: Docker) -> None:
        """Remove the namespaces of dead runs from kept clusters."""
        for name in containers.kept_clusters(self.cache, docker):
            if run_locks.visitors(self.cache, kind.context(name)):
                with store_of(self.settings).scratch() as folder:
                    try:
                        self.objects(Api(*kind.kubeconfig(docker, name, folder), folder))
                    except SetupError as error:
                        self.say(f"kept cluster {name} is not cleaned: {error}")

    def context(self) -> None:
        """Remove what dead runs left on the cluster of the context; with --kept, also what others may still use."""
        with store_of(self.settings).scratch() as folder:
            kubeconfig = existing.kubeconfig(str(self.settings.kubeconfig or ""), self.settings.context, folder)
            api = existing.connect(kubeconfig, self.settings.context, folder)
            if self.settings.namespace:
                self.marked(api)
            else:
                self.objects(api, kept_too=self.settings.kept)

    def marked(self, api: Api) -> None:
        """Remove what dead runs left in one namespace, by its label; with --kept, also what others may still use."""
        try:
            name = self.settings.namespace
            space = Space(api, name, Access(api, name))
            space.access.require(rights_of([CLEAN], inside=True))
            others = marked_objects.clear(space, existing.identity(api, name), self.cache, self.progress)
            now = api.server_time()
            idle = [left for left in others if not namespaces.is_alive(left.run_id, self.cache)]
            if self.settings.kept and self.confirmed([left.line(name, now) for left in idle]):
                for left in idle:
                    marked_objects.remove_run(space, left.run_id, self.progress)
                others = [left for left in others if left not in idle]
            for left in others:
                self.remaining.append(left.run_id)
                self.say(f"{left.line(name, now)}: it remains; {cluster_objects.UNEXPIRED}")
        finally:
            api.close()

    def objects(self, api: Api, *, kept_too: bool = False) -> None:
        """Remove the namespaces that no run needs, uncordon the Nodes of dead runs, and list what remains."""
        try:
            removed = namespaces.clear(api, existing.identity(api), self.cache, self.progress)
            nodes = cordons.clear(api, self.cache, self.progress)
            found = cluster_objects.find(api, self.cache, nodes)
            mine = [each for each in found if not each.is_alive]
            if kept_too and self.confirmed([each.line for each in mine]):
                removed += cluster_objects.remove(api, mine, self.progress)
                found = [each for each in found if each.is_alive]
            if removed:
                with self.progress.step("waiting for their deletion"):
                    namespaces.await_gone(api, removed)
            for each in found:
                self.remaining.append(each.resource.name)
                self.say(f"{each.line}: it remains; {each.hint}")
        finally:
            api.close()

    def builds(self) -> None:
        """Remove the cache of builds, unless a build uses it, and the data of an engine that a run started, unless it runs."""
        store: BuildCache = store_of(self.settings)
        if store.busy():
            self.say(f"{store.root} remains: a build uses it")
        elif store.root.is_dir():
            with self.progress.step(f"removing {store.root}"):
                remove(store.root)
        data = docker_engine.data(self.cache)
        if data.is_dir() and docker_engine.is_left(self.cache):
            self.say(f"{data} remains: the container engine uses it; stop it with --engine")
        elif data.is_dir():
            with self.progress.step(f"removing {data}"):
                remove(data)

    def report_visits(self) -> None:
        """Report the existing clusters on which dead runs may have left namespaces."""
        visits = ((name, run_locks.visited(self.cache, name)) for name in run_locks.names(self.cache))
        for name, visit in visits:
            if visit and not run_locks.is_alive(self.cache, name):
                self.say(f"{name} died on the cluster of context {visit.context}; clean up: {visit.command}")


def clean(settings: CleanSettings) -> None:
    """Remove everything that the settings select.

    Raises:
        SetupError: the context does not exist (before anything is removed), its cluster cannot be reached or refuses a
            request, or the engine does not stop.

    """
    if settings.context:
        existing.require_context(str(settings.kubeconfig or ""), settings.context)
    for name in ("kubeconfig", "namespace"):
        if getattr(settings, name) and not settings.context:
            raise SetupError(f"--{name}={getattr(settings, name)}: needs a context: add --context", ExitCode.USAGE)
    Cleaning(settings, Progress(Console(highlight=False, soft_wrap=True))).run()
