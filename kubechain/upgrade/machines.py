"""Machines for new workers: node containers that are started before the change, hold their images, and join during it.

To start one and to copy images to it takes the processor from the Nodes that stay, and from the samplers on them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.cleanup import run_locks
from kubechain.cluster import worker_nodes
from kubechain.cluster.kind import Cluster
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import NODE_BACK
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import Completed
from kubechain.observe.wait import Polled, Waiter


@dataclass(frozen=True)
class Machines:
    """Machines for the new workers of a hop: what they are made of, and the names of those that have not joined.

    `image` is the node image of the new version, `cache` has the marks of runs, `store` the builds.
    """

    image: str
    cache: Path
    store: BuildCache
    idle: deque[str] = field(default_factory=deque[str])

    def start(self, cluster: Cluster, like: str, waiter: Waiter) -> None:
        """Start a machine with the images of the node `like`; no Node is made.

        Raises:
            SetupError: it does not start, or its container runtime does not run (exit codes IMAGES, CLUSTER).

        """
        name = worker_nodes.free_name(cluster.name, {*cluster.nodes(), *cluster.idle})
        # Before it exists: it must never be taken for a worker.
        cluster.idle |= {name}
        self._run(cluster, name, like)
        runs = Condition[Completed](
            f"the container runtime of {name} to run", lambda done: expect(done.status == 0, done.last_words)
        )
        with unmet_as(SetupError, f"no machine for a new worker: {name}", code=ExitCode.CLUSTER):
            waiter.eventually(
                Polled("runtime", lambda: worker_nodes.runtime(cluster, name), waiter.clock), runs, within=NODE_BACK
            )
        worker_nodes.copy_images(cluster, like, name, self.store)
        self.idle.append(name)

    def take(self, cluster: Cluster) -> str:
        """Return the name of a machine that joins next; SetupError if none is left (exit code CLUSTER)."""
        if not self.idle:
            raise SetupError("no machine is left for a new worker", ExitCode.CLUSTER)
        name = self.idle.popleft()
        cluster.idle -= {name}
        return name

    def _run(self, cluster: Cluster, name: str, like: str) -> None:
        """Run a node container that the next run removes if this one is killed: a mark names it before there is one."""
        made = run_locks.made(self.cache, cluster.name)
        cluster.docker.call("tag", self.image, cluster.creation)
        run_locks.mark_made(self.cache, cluster.name, made | {cluster.creation})
        identity = worker_nodes.start(cluster, name, cluster.creation, like)
        cluster.ids |= {identity}
        run_locks.mark_made(self.cache, cluster.name, made | {identity})
        cluster.untag()
