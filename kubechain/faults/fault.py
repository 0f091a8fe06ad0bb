"""What a fault is, and how the suite is judged by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result
from kubechain.faults.testbed import Testbed

Kind = Literal["control plane", "admission", "node", "network", "dns", "endpoints", "workload", "upgrade", "harmless"]
# What every fault is looked at with: the claims that open the links, and one for each way to reach the Service.
SPINE = (
    "CHAIN-DEPLOYMENT-010",
    "CHAIN-REPLICASET-010",
    "CHAIN-PODS-010",
    "CHAIN-SERVICE-010",
    "CHAIN-ENDPOINTS-010",
    "CHAIN-CLUSTERIP-010",
    "CHAIN-NODEPORT-010",
    "CHAIN-API-010",
    "CHAIN-ENV-010",
    "CHAIN-DNS-010",
)
# What every fault in an upgrade is looked at with.
PASSAGE = (
    "DURING-DEPLOYMENT-010",
    "DURING-REPLICASET-010",
    "DURING-PODS-010",
    "DURING-PODS-020",
    "DURING-PODS-030",
    "DURING-SERVICE-010",
    "DURING-ENDPOINTS-010",
    "DURING-CLUSTERIP-010",
    "DURING-NODEPORT-010",
    "DURING-DNS-010",
    "DURING-API-010",
    "DURING-API-020",
    "DURING-NODES-010",
    "AFTER-DEPLOYMENT-010",
    "AFTER-REPLICASET-010",
    "AFTER-PODS-010",
    "AFTER-SERVICE-010",
    "AFTER-ENDPOINTS-010",
    "AFTER-CLUSTERIP-010",
    "AFTER-API-010",
    "AFTER-DNS-010",
    "AFTER-NODES-010",
    "AFTER-NODES-020",
)


class Injection(Protocol):
    """Something that breaks a cluster, and mends it again."""

    def inject(self, lab: Testbed) -> None:
        """Break it; wait for nothing."""
        ...

    def took(self, lab: Testbed) -> Result:
        """Say whether the cluster is broken in this way: looked at, not assumed."""
        ...

    def heal(self, lab: Testbed) -> None:
        """Mend it; called also when `inject` failed half-way."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """An injection for which something must be there that may take long to make."""

    def prepare(self, lab: Testbed) -> object:
        """Make it, before the first fault is injected."""
        ...


@dataclass(frozen=True)
class Fault:
    """One fault: `at` is the link that must be the first broken one, None if nothing must turn red.

    `at` is "unreachable" where the suite must say that it cannot tell. `claims` must be among those run, and one of
    them must fail with a message in which the regular expression `symptom` is found. `patience` is the factor on the
    deadlines of the claims; a fault that is not `lasting` is over by itself once it has struck.
    """

    id: str
    kind: Kind
    title: str
    at: Link | Literal["unreachable"] | None
    injection: Injection
    claims: tuple[str, ...] = ()
    symptom: str = ""
    patience: float = 0.25
    lasting: bool = True

    @property
    def selected(self) -> tuple[str, ...]:
        """The ids of the claims that are run under this fault."""
        return tuple(dict.fromkeys([*(PASSAGE if self.kind == "upgrade" else SPINE), *self.claims]))


@dataclass(frozen=True)
class Both:
    """Several injections as one."""

    parts: Sequence[Injection]

    def inject(self, lab: Testbed) -> None:
        """Break all."""
        for part in self.parts:
            part.inject(lab)

    def took(self, lab: Testbed) -> Result:
        """All must have taken."""
        results = [part.took(lab) for part in self.parts]
        return next((result for result in results if not result.met), results[0])

    def heal(self, lab: Testbed) -> None:
        """Mend all, the last first."""
        for part in reversed(self.parts):
            part.heal(lab)
