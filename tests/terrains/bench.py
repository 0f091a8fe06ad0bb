"""The testbed of the faults of the catalogue on a terrain, where the suite itself shows that the chain works again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubechain.claims.requirements import Environment
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.conditions.condition import Result
from kubechain.core import settings
from kubechain.core.run import RUN_LABEL
from kubechain.faults.fault import Injection
from kubechain.faults.testbed import Testbed
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Waiter
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper
from tests.terrains.ground import TERRAINS_RUN, Ground
from tests.terrains.make import STATE


@dataclass(frozen=True)
class Bench(Testbed):
    """A testbed whose chain must be made as a terrain demands; `works` raises Unmet unless the suite finds that one works."""

    works: Callable[[], None]

    def require_working_chain(self) -> None:
        """Run the suite."""
        self.works()


def bench(ground: Ground, works: Callable[[], None] = lambda: None) -> Bench:
    """Return the testbed of a ground; faults keep what they replace in STATE, where the next command finds it."""
    STATE.mkdir(parents=True, exist_ok=True)
    name = ground.name
    target = Target(
        name=name,
        kubeconfig=str(ground.kubeconfig),
        context=ground.context,
        server=ground.api.server,
        uid="",
        owned=True,
        temporary=False,
        nginx=ground.nginx,
        client=ground.client,
    )
    environment = Environment(target, tuple(ground.api.list("Node").items), "host", disruptive=True)
    waiter, labels = Waiter(RealClock()), {RUN_LABEL: TERRAINS_RUN}
    factory = ChainFactory(ground.api, environment, labels, "kubechain-terrains", frozenset(), waiter, Gatekeeper())
    return Bench(Cluster(name, STATE, "", Path(), Path(), ground.docker.client), factory, STATE, settings.load(), works)


@dataclass(frozen=True)
class Injected:
    """A difference that is made as a fault of the catalogue is."""

    injection: Injection

    def inject(self, ground: Ground, /) -> None:
        """Inject it."""
        self.injection.inject(bench(ground))

    def in_effect(self, ground: Ground, /) -> Result:
        """Return whether the cluster shows it."""
        return self.injection.in_effect(bench(ground))

    def heal(self, ground: Ground, /) -> None:
        """Revert it."""
        self.injection.heal(bench(ground))
