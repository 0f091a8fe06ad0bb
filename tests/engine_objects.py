"""Objects of the engine without a cluster behind them. Their classes are the real ones: whoever changes these sees it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubechain.claims.requirements import Environment
from kubechain.cluster.kind import Cluster
from kubechain.cluster.target import Target
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings, load
from kubechain.faults.testbed import Testbed
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Waiter
from kubechain.pytest.state import RunState
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper
from tests.fakes import FakeApi, FakeClock, no_answer

OWNED = Target("c", "", "c", "", "u", owned=True, temporary=False, nginx="nginx", client="client")
DOCKER = Path("docker")


class KnownNodes(Cluster):
    """A kind cluster whose nodes have these names."""

    def __init__(self, folder: Path, nodes: Sequence[str], client: Path = DOCKER) -> None:
        super().__init__("kind", folder, "image", Path("kind"), Path("kubectl"), client)
        self.known = list(nodes)

    def nodes(self) -> list[str]:
        return self.known


def chain_factory(api: Api, labels: Mapping[str, str] | None = None, nodes: Sequence[KubeObject] = ()) -> ChainFactory:
    """Return a factory of chains on a cluster of the run's own."""
    environment = Environment(OWNED, tuple(nodes), "host", disruptive=False)
    return ChainFactory(api, environment, dict(labels or {}), "kubechain-x", frozenset(), Waiter(FakeClock()), Gatekeeper())


def as_testbed(cluster: KnownNodes, factory: ChainFactory | None = None) -> Testbed:
    """Return the cluster as a testbed of faults, with its results in its folder."""
    return Testbed(cluster, factory or chain_factory(FakeApi(no_answer)), cluster.path, load())


def run_state(settings: Mapping[str, object] | None = None, **state: Any) -> RunState:
    """Return the state of a run with these settings, by the names of their fields, and these parts of the state."""
    given = settings or {}
    assert set(given) <= set(Settings.model_fields)
    run = Run("0a1b2c3d", Path("none"), datetime(2026, 1, 2, tzinfo=UTC))
    return RunState(load().model_copy(update=given), run, Progress(), **state)
