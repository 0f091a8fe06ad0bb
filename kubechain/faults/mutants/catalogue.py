"""All mutants."""

from __future__ import annotations

from kubechain.faults.mutants import (
    api_server,
    controllers,
    crowds,
    endpoints,
    families,
    nearly,
    network,
    nodes,
    outages,
    ownership,
    reach,
    services,
    tools,
    typed,
)
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import Guard

ALL: tuple[Mutant, ...] = (
    *controllers.MUTANTS,
    *endpoints.MUTANTS,
    *api_server.MUTANTS,
    *nodes.MUTANTS,
    *network.MUTANTS,
    *tools.MUTANTS,
    *ownership.MUTANTS,
    *reach.MUTANTS,
    *outages.MUTANTS,
    *typed.MUTANTS,
    *families.MUTANTS,
    *crowds.MUTANTS,
    *services.MUTANTS,
    *nearly.MUTANTS,
)
# All of them are in the programs of one node image.
GUARDS: tuple[Guard, ...] = tuple(guard for mutant in ALL for guard in mutant.guards)
