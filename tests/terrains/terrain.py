"""A terrain: how a cluster differs, with which options the suite runs on it, and how that must end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from kubechain.claims.claim import Outcome
from kubechain.conditions.condition import Result
from kubechain.core.errors import ExitCode
from tests.soak import way
from tests.terrains.ground import Ground
from tests.terrains.make import Make

PLAIN = Make()
Kind = Literal["plain", "policies", "changes at admission", "Nodes", "namespaces", "images", "DNS", "API server", "clusters"]


class Difference(Protocol):
    """Makes a cluster differ, and undoes it; the injections of faults at admission are such."""

    def inject(self, testbed: Ground, /) -> None:
        """Make the cluster differ; does not wait for the effect."""
        ...

    def in_effect(self, testbed: Ground, /) -> Result:
        """Return whether the cluster differs, read from the cluster itself."""
        ...

    def heal(self, testbed: Ground, /) -> None:
        """Undo it; must also succeed after an `inject` that failed at any step."""
        ...


@dataclass(frozen=True)
class Skip:
    """Claims that are skipped, and the reason, in which the regular expression `why` is found."""

    why: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Unfit:
    """Faults that are not injected on a terrain, by their ids, and the reason."""

    why: str
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Terrain:
    """A cluster that is healthy and differs.

    `differs` completes "a cluster that ...". `options` are words of the command, `overlay` is the content of the file of
    --overlay. The run must end with `code`, and the regular expression `says` must be found in its verdict, within `seconds`
    where the cluster takes no objects. `skips` are the skipped claims besides those of every cluster that this project has not
    made (`USUAL`, as far as the level has them); where the run says nothing of the chain, none is tried. `unfit` are faults that
    do not fit the terrain. With `compares`, the suite runs twice under each fault, with --fail-fast and without. `make` is the
    kind cluster that it is made on, `way` the name of the way that the requests of the suite take to the API server.
    """

    id: str
    kind: Kind
    differs: str
    differences: tuple[Difference, ...] = ()
    options: tuple[str, ...] = ()
    overlay: str = ""
    code: ExitCode = ExitCode.HOLDS
    says: str = ""
    skips: tuple[Skip, ...] = ()
    seconds: float = 300.0
    unfit: tuple[Unfit, ...] = ()
    compares: bool = False
    make: Make = PLAIN
    way: str = way.DIRECT


# A cluster that is not known to be of this project, used by someone with every right: `kubechain run --context`.
USUAL = (
    Skip(
        "a kind cluster of this project",
        (
            *("CHAIN-IMAGE-020", "CHAIN-IMAGE-030", "CHAIN-IMAGE-040", "CHAIN-PODS-050", "CHAIN-ENDPOINTS-110"),
            "WALK-NODEPORT-020",
        ),
    ),
    Skip(r"permission to disturb Nodes \(DISRUPTIVE=1\)", tuple(f"LIFE-NODES-0{number}0" for number in range(1, 10))),
)
# On a cluster whose Services have addresses of one IP family.
SINGLE = Skip(
    "a cluster that gives Services addresses of two IP families",
    (
        *("CHAIN-SERVICE-140", "CHAIN-SERVICE-150", "CHAIN-ENDPOINTS-120", "CHAIN-CLUSTERIP-100", "CHAIN-CLUSTERIP-110"),
        *("CHAIN-NODEPORT-060", "CHAIN-DNS-190", "CHAIN-DNS-200"),
    ),
)


@dataclass(frozen=True)
class Ended:
    """How a run ended: `claims` are id -> (outcome, message), `link` is the first broken link, "" if none is."""

    code: int
    verdict: str
    seconds: float
    claims: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    link: str = ""

    @property
    def skipped(self) -> dict[str, str]:
        """The skipped claims: id -> reason."""
        return {name: why for name, (outcome, why) in self.claims.items() if outcome == Outcome.SKIPPED}


@dataclass(frozen=True)
class Tried:
    """How the run under a fault ended, and what is wrong with it; `left` is why the fault is not healed, "" if it is."""

    fault: str
    ended: Ended
    wrong: list[str]
    left: str = ""

    @property
    def troubles(self) -> list[str]:
        """All that is wrong."""
        return [f"fault {self.fault}: {each}" for each in [*self.wrong, *([f"not healed: {self.left}"] if self.left else [])]]


@dataclass(frozen=True)
class Judged:
    """A terrain, how the run on it ended, what is wrong with that, the runs under faults, and what of it could not be undone."""

    terrain: Terrain
    ended: Ended
    wrong: list[str]
    tried: list[Tried] = field(default_factory=list[Tried])
    left: list[str] = field(default_factory=list[str])

    @property
    def undone(self) -> bool:
        """Whether the cluster is as before."""
        return not self.left and not any(tried.left for tried in self.tried)

    @property
    def troubles(self) -> list[str]:
        """All that is wrong."""
        under_faults = [trouble for tried in self.tried for trouble in tried.troubles]
        return [*self.wrong, *under_faults, *(f"not undone: {each}" for each in self.left)]


def usual(terrain: Terrain) -> tuple[Skip, ...]:
    """Return the skips of every terrain on the same make of cluster."""
    return USUAL if terrain.make.dual else (*USUAL, SINGLE)


def problems(terrain: Terrain, ended: Ended, everywhere: Iterable[Skip] | None = None) -> list[str]:
    """Return what is wrong with the end of a run on a terrain; `everywhere` are the skips of every terrain (None: `usual`)."""
    expected = usual(terrain) if everywhere is None else everywhere
    found: list[str] = []
    if ended.code != terrain.code:
        found.append(f"expected exit code {int(terrain.code)}, got {ended.code}")
    if not re.search(terrain.says, ended.verdict):
        found.append(f"expected {terrain.says!r} in the verdict")
    if ended.seconds > terrain.seconds:
        found.append(f"expected an end within {terrain.seconds:.0f} s, got {ended.seconds:.1f} s")
    if terrain.code == ended.code == ExitCode.HOLDS:
        tried = [Skip(skip.why, tuple(claim for claim in skip.claims if claim in ended.claims)) for skip in expected]
        found += _wrong_skips([*terrain.skips, *tried], ended)
    return found


def _wrong_skips(expected: list[Skip], ended: Ended) -> list[str]:
    found: list[str] = []
    reasons = {claim: skip.why for skip in reversed(expected) for claim in skip.claims}
    for claim in sorted(reasons.keys() - ended.skipped.keys()):
        outcome, message = ended.claims.get(claim, ("not selected", ""))
        found.append(f"expected {claim} to be skipped ({reasons[claim]}), got {outcome} {message}".rstrip())
    for claim, why in sorted(ended.skipped.items()):
        if claim not in reasons:
            found.append(f"expected no skip of {claim}, got {why!r}")
        elif not re.search(reasons[claim], why):
            found.append(f"expected the reason {reasons[claim]!r} for the skip of {claim}, got {why!r}")
    return found
