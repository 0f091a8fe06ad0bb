"""Ways in which the Nodes of a cluster come and go: not ready, joining while the suite runs, removed while it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from kubechain.conditions.condition import Result, expect
from kubechain.core.run import RUN_LABEL
from kubechain.faults.catalogue.dns import LABEL, SYSTEM
from kubechain.observe.background import run_periodically
from kubechain.observe.clock import RealClock
from tests.terrains.bench import bench
from tests.terrains.ground import TERRAINS_RUN, Ground

POLL_SECONDS = 1.0


def last_worker(ground: Ground) -> str:
    """Return the name of the last worker, whose node container may be stopped."""
    return bench(ground).workers[-1]


def clear(ground: Ground, name: str) -> None:
    """Cordon a Node, and move the servers of the DNS away from it, as a drain does."""
    ground.api.patch("Node", "", name, {"spec": {"unschedulable": True}})
    for pod in _servers(ground, name):
        ground.api.delete("Pod", SYSTEM, pod)
    ground.until(f"Pods of {name}", lambda own: expect(not _servers(own, name), "servers of the DNS"))
    ground.require_settled()


def _servers(ground: Ground, name: str) -> list[str]:
    return [pod.name for pod in ground.api.list("Pod", SYSTEM, LABEL, only=f"spec.nodeName={name}").items]


def remove(ground: Ground, name: str) -> None:
    """Delete a Node, and kill its machine."""
    ground.delete("Node", name)
    bench(ground).cluster.kill_node(name)


def start(ground: Ground, name: str) -> None:
    """Start the machine of a Node if it does not run; its kubelet makes the Node again. One that is there takes Pods again."""
    bench(ground).cluster.start_node(name)
    if ground.api.get("Node", "", name):
        ground.api.patch("Node", "", name, {"spec": {"unschedulable": None}})


class KubeletStopped:
    """The Node of the last worker is not ready, because its kubelet is stopped; its Pods still run."""

    def inject(self, ground: Ground, /) -> None:
        """Stop the kubelet."""
        bench(ground).run_on(last_worker(ground), "systemctl stop kubelet")

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the Node is not ready."""
        return expect(not ground.ready(last_worker(ground)), "a Node that is ready")

    def heal(self, ground: Ground, /) -> None:
        """Start the kubelet."""
        bench(ground).run_on(last_worker(ground), "systemctl start kubelet")


@dataclass
class WhileRunning:
    """Does something once, some seconds after a run of the suite has begun to make its objects."""

    seconds: float
    act: Callable[[Ground], None]
    _running: ExitStack = field(default_factory=ExitStack)

    def begin(self, ground: Ground) -> None:
        """Look for a run in a thread."""
        # With a client of its own, since a client belongs to one thread.
        own, clock, since, done = replace(ground), RealClock(), list[float](), list[bool]()
        self._running.callback(own.api.close)

        def poll() -> None:
            runs = {space.labels[RUN_LABEL] for space in own.api.list("Namespace", selector=RUN_LABEL).items} - {TERRAINS_RUN}
            if runs and not since:
                since.append(clock.now())
            if since and not done and clock.now() - since[0] >= self.seconds:
                done.append(True)
                self.act(own)

        self._running.enter_context(run_periodically("while running", POLL_SECONDS, poll, clock))

    def end(self) -> None:
        """Stop looking."""
        self._running.close()


@dataclass
class Joining:
    """The last worker is no Node at first, and joins while the suite runs."""

    _later: WhileRunning = field(default_factory=lambda: WhileRunning(0.0, lambda ground: start(ground, last_worker(ground))))

    def inject(self, ground: Ground, /) -> None:
        """Remove the Node; look for a run."""
        clear(ground, last_worker(ground))
        remove(ground, last_worker(ground))
        self._later.begin(ground)

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the Node is not there, or not ready."""
        return expect(not ground.ready(last_worker(ground)), "a Node that is ready")

    def heal(self, ground: Ground, /) -> None:
        """Start its machine."""
        self._later.end()
        start(ground, last_worker(ground))


@dataclass
class Leaving:
    """The last worker is cordoned and has no Pod but those of each Node; it is removed while the suite runs."""

    _later: WhileRunning = field(default_factory=lambda: WhileRunning(10.0, lambda ground: remove(ground, last_worker(ground))))

    def inject(self, ground: Ground, /) -> None:
        """Cordon the Node, and move what runs there; look for a run."""
        clear(ground, last_worker(ground))
        self._later.begin(ground)

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the Node is cordoned, or not ready."""
        node = ground.api.get("Node", "", last_worker(ground))
        usable = node is not None and node.is_true("Ready") and not node.at("spec.unschedulable", default=False)
        return expect(not usable, "a Node that takes Pods")

    def heal(self, ground: Ground, /) -> None:
        """Start its machine."""
        self._later.end()
        start(ground, last_worker(ground))
