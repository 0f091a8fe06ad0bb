"""The clusters that a watch is tried on: a kind cluster with faults of the catalogue, and a cluster on loopback."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from kubechain.claims.claim import Link
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from kubechain.faults import trial
from kubechain.faults.catalogue import selection
from kubechain.faults.testbed import TRIAL
from tests import kept
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import Cluster, cluster
from tests.terrains.bench import bench
from tests.terrains.ground import Ground as KindGround
from tests.watching.records import Trouble

FROZEN = "apiserver-frozen"
# Of the links that faults on loopback break, and of the first one.
CLAIMS = "CHAIN-DEPLOYMENT-010,CHAIN-ENDPOINTS-010,CHAIN-DNS-010"


class Ground(Protocol):
    """A cluster; `options` are settings of the runs on it, by their environment variables."""

    kubeconfig: Path
    context: str
    options: dict[str, str]

    def trouble(self, fault: str) -> Trouble:
        """Return a fault by its id."""
        ...

    def inject(self, fault: str) -> None:
        """Inject a fault and wait until it is in effect; HarnessError if it does not come into effect."""
        ...

    def heal(self, fault: str) -> None:
        """Heal it and wait until it is no longer in effect; HarnessError if it does not end."""
        ...


class Kind:
    """A kind cluster that a run kept."""

    def __init__(self, name: str, folder: Path) -> None:
        docker = kept.engine()
        if docker is None:
            raise SetupError(f"--cluster={name}: no container engine answers", ExitCode.ENGINE)
        found = kept.kept(docker, name, folder)
        self.kubeconfig, self.context = found.kubeconfig, found.context
        self.options = {"KUBECHAIN_NGINX_IMAGE": found.nginx, "KUBECHAIN_CLIENT_IMAGE": found.client}
        self._ground = KindGround(name, self.kubeconfig, self.context, found.nginx, found.client, folder / "keys", docker)
        self._testbed = bench(self._ground)
        self._faults = {fault.id: fault for fault in selection.ALL}

    def trouble(self, fault: str) -> Trouble:
        """Return a fault of the catalogue."""
        if fault not in self._faults or self._faults[fault].at in (None, "refused"):
            raise SetupError(f"--faults={fault}: no such fault, or one that breaks no link", ExitCode.USAGE)
        return Trouble(fault, cast("Link", self._faults[fault].at))

    def inject(self, fault: str) -> None:
        """Inject it."""
        try:
            trial.inject(self._testbed, self._faults[fault])
        except Unmet as unmet:
            raise HarnessError(f"{fault} not injected: {unmet}") from unmet

    def heal(self, fault: str) -> None:
        """Heal it; that a chain works again is what the next round says."""
        if why := trial.heal(self._testbed, self._faults[fault]):
            raise HarnessError(f"{fault} not healed: {why}")

    def tidy(self) -> None:
        """Delete what shows whether a fault is in effect."""
        self._ground.delete("Namespace", TRIAL)


@dataclass(frozen=True)
class Change:
    """A fault of the cluster on loopback."""

    at: Link | None
    inject: Callable[[Cluster], object]
    heal: Callable[[Cluster], object]


CHANGES = {
    "dns-gone": Change(Link.DNS, lambda made: made.core.unnamed.add("IPv4"), lambda made: made.core.unnamed.clear()),
    "controller-frozen": Change(
        Link.ENDPOINTS, lambda made: made.off.add("EndpointSlice"), lambda made: made.off.discard("EndpointSlice")
    ),
    FROZEN: Change(None, lambda made: made.stop(), lambda made: made.start()),
}


class Loopback:
    """A cluster on loopback, on which rounds take seconds."""

    def __init__(self, made: Cluster) -> None:
        self.kubeconfig, self.context, self._made = made.kubeconfig, CONTEXT, made
        self.options = {"KUBECHAIN_ONLY": CLAIMS, "KUBECHAIN_PATIENCE": "0.2"}

    def trouble(self, fault: str) -> Trouble:
        """Return one of CHANGES."""
        if fault not in CHANGES:
            raise SetupError(f"--faults={fault}: the cluster on loopback has {', '.join(CHANGES)}", ExitCode.USAGE)
        return Trouble(fault, CHANGES[fault].at or "unreachable")

    def inject(self, fault: str) -> None:
        """Inject it; it is in effect at once."""
        CHANGES[fault].inject(self._made)

    def heal(self, fault: str) -> None:
        """Heal it; it ends at once."""
        CHANGES[fault].heal(self._made)


@contextmanager
def ground(name: str) -> Generator[Ground]:
    """Yield the kind cluster of a name, or the cluster on loopback for ""."""
    with tempfile.TemporaryDirectory(prefix="watching-") as folder:
        if not name:
            with cluster(Path(folder), plain()) as made:
                yield Loopback(made)
            return
        (Path(folder) / "keys").mkdir(mode=0o700)
        kind = Kind(name, Path(folder))
        try:
            yield kind
        finally:
            kind.tidy()
