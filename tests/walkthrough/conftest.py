"""The factory of a run, and a walkthrough, on a cluster on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.scenarios.walkthrough import Walkthrough
from kubechain.workload.factory import ChainFactory
from tests.hostile.cluster import Cluster
from tests.walkthrough.walking import begun, clean_cluster, factory_on


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster, of which every Pod of a run is gone in the end."""
    with clean_cluster(tmp_path) as made:
        yield made


@pytest.fixture
def factory(server: Cluster, tmp_path: Path) -> Iterator[ChainFactory]:
    """The factory of a run on the cluster."""
    with factory_on(server, tmp_path) as made:
        yield made


@pytest.fixture
def walk(factory: ChainFactory) -> Iterator[Walkthrough]:
    """A walkthrough, beside a chain that is up."""
    with begun(factory) as made:
        yield made
