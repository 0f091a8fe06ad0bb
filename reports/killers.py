"""Which faults and mutants a claim has to fail under, and the claims that nothing can make fail. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from kubechain.claims.claim import Claim
from kubechain.faults.catalogue import selection

# Claims that no fault and no mutant makes fail: id -> why.
BEYOND = {
    "BEFORE-API-010": "the Kubernetes version of the testbed serves no API that the next one removes",
    "BEFORE-CLUSTERIP-010": "the next minor version of the testbed still has every mode of kube-proxy",
    "BEFORE-NODES-040": "the Nodes of the testbed have the cgroup version of the machine",
    "BEFORE-DELETION-010": "an object counts as stuck after 300 s, and nobody can set its deletionTimestamp",
    "CHAIN-NODEPORT-090": "the Nodes of the testbed have no external addresses",
    "DURING-API-010": "a single API server may be away for 180 s, and a rehearsal takes 120 s",
    "DURING-API-020": "a single API server may be away for 180 s, and a rehearsal takes 120 s",
    "DURING-SERVICE-020": "the testbed has no load balancers",
    "DURING-UPGRADE-010": "a rehearsal has no URLs of a user",
    "AFTER-NODES-020": "a kube-proxy of another version needs its image, which only an upgrade brings",
}
HEAD = """
## Claims and what kills them

Each claim, and the faults and mutants of which it is one of those that must notice. `make lint` fails for a claim without one,
unless it is among those below.

| claim | faults | mutants |
|---|---|---|
"""
BEYOND_HEAD = """
Claims that no fault and no mutant can make fail:

"""


def of(claim: str) -> tuple[list[str], list[str]]:
    """Return the ids of the faults and of the mutants under which a claim must fail; under a harmless change none must."""
    faults = [each.id for each in selection.ALL if claim in each.claims and each.at is not None]
    return faults, [each.id for each in selection.MUTANTS if claim in each.claims]


def missing(claims: Sequence[Claim]) -> list[str]:
    """Return the ids of claims that nothing has to make fail and that are not in BEYOND, in the order of the claims."""
    return [claim.id for claim in claims if claim.id not in BEYOND and not any(of(claim.id))]


def outdated(claims: Sequence[Claim]) -> list[str]:
    """Return the ids in BEYOND that are no claims, or claims that a fault or mutant has to make fail."""
    known = {claim.id for claim in claims}
    return [claim for claim in BEYOND if claim not in known or any(of(claim))]


def markdown(claims: Sequence[Claim]) -> str:
    """Return the table of all claims with what kills them, and the list of those in BEYOND."""
    rows = [
        f"| {claim.id} | {' | '.join(', '.join(ids) or '-' for ids in of(claim.id))} |" for claim in claims if any(of(claim.id))
    ]
    beyond = [f"- {claim}: {why}." for claim, why in BEYOND.items()]
    return HEAD + "\n".join(rows) + f"\n{BEYOND_HEAD}" + "\n".join(beyond) + "\n"
