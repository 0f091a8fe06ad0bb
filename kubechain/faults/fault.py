"""A fault: how it is injected and healed, and what the suite must find under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result
from kubechain.faults.testbed import Testbed

FaultKind = Literal["control plane", "admission", "node", "network", "dns", "endpoints", "workload", "upgrade", "harmless"]
# The programs that have mutants.
Component = Literal["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "CoreDNS", "kubectl"]
Kind = FaultKind | Component
Expectation = Literal["unreachable", "refused", "anywhere"]
# The claims that run under every fault during an upgrade.
UPGRADE_CLAIMS = (
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
    """Breaks a cluster, and repairs it."""

    def inject(self, testbed: Testbed) -> None:
        """Break the cluster; does not wait for the effect."""
        ...

    def in_effect(self, testbed: Testbed) -> Result:
        """Return whether the cluster shows the fault, read from the cluster itself."""
        ...

    def heal(self, testbed: Testbed) -> None:
        """Repair the cluster; must also succeed after an `inject` that failed at any step."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """An injection that needs something that takes long to build."""

    def prepare(self, testbed: Testbed) -> object:
        """Build it; called before the first fault is injected."""
        ...


@dataclass(frozen=True)
class Fault:
    """A fault: `at` is the link that must be the first broken one, None for a harmless change.

    `at` is "unreachable" if the suite must give no verdict, "refused" if it must say what keeps the cluster from taking its
    objects, in words in which `symptom` is found: then it calls no link broken, whatever else is. It is "anywhere" if nobody
    knows what is broken, as where a change is drawn by rule; `equivalent` says why no claim can notice it, if that is known.
    Else at least one of `claims` must fail with a message in which the regular expression `symptom` is found; those of the level
    full run besides the quick ones. Without `claims`, no claim states what is broken: then one that is blocked by `at` must name
    the symptom. `breaks` are further links that the fault breaks by itself; those of `also` do not need `at`, so that the verdict
    must call them broken, too. With `midway` the fault is injected in the middle of a run: when the first claim of that link has
    ended. A fault that is not `lasting` ends by itself. The `short` ones, each of another kind or component, are the short form
    of `kubechain faults`. Those that are `dual` are tried on a cluster with two IP families alone. One that comes `ahead` is
    there before an upgrade, and is looked for by its claims alone. `given` are settings of the run under the fault, as
    environment variables.
    """

    id: str
    kind: Kind
    title: str
    at: Link | Expectation | None
    injection: Injection
    claims: tuple[str, ...] = ()
    symptom: str = ""
    breaks: tuple[Link, ...] = ()
    also: tuple[Link, ...] = ()
    midway: Link | None = None
    lasting: bool = True
    short: bool = False
    dual: bool = False
    ahead: bool = False
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    equivalent: str = ""

    @property
    def upgrade_claims(self) -> tuple[str, ...]:
        """The ids of the claims that run under this fault during an upgrade."""
        return tuple(dict.fromkeys([*UPGRADE_CLAIMS, *self.claims]))


@dataclass(frozen=True)
class Combined:
    """Several injections that make up one fault."""

    parts: Sequence[Injection]

    def inject(self, testbed: Testbed) -> None:
        """Inject all, in order."""
        for part in self.parts:
            part.inject(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        """Return the first unmet result, met if all are in effect."""
        results = [part.in_effect(testbed) for part in self.parts]
        return next((result for result in results if not result.met), results[0])

    def heal(self, testbed: Testbed) -> None:
        """Heal all, in reverse order."""
        for part in reversed(self.parts):
            part.heal(testbed)
