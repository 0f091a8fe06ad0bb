"""All terrains."""

from __future__ import annotations

from tests.terrains import (
    records_changes,
    records_clusters,
    records_dns,
    records_more_changes,
    records_nodes,
    records_others,
    records_policies,
    records_servers,
)
from tests.terrains.terrain import Terrain

FULL, FULL_SECONDS = ("--level", "full"), 900
PLAIN = Terrain("plain", "plain", "is as kind makes it", compares=True)
MODULES = (records_policies, records_changes, records_more_changes, records_nodes, records_others)
WHOLE = (
    Terrain(
        "sidecar-full",
        "changes at admission",
        "adds a sidecar to every Pod",
        (records_changes.FIRST,),
        FULL,
        seconds=FULL_SECONDS,
        unfit=records_changes.SIDECAR_FIRST,
    ),
    Terrain(
        "policies-full",
        "policies",
        "refuses what any of the usual policies refuses",
        records_policies.USUAL_POLICIES,
        FULL,
        skips=records_policies.WITHOUT_BARE_PODS,
        seconds=FULL_SECONDS,
    ),
)
# At the end, so that the others keep their faults.
LATER = (*records_nodes.LIVING, *records_dns.TERRAINS, *records_servers.TERRAINS, *records_clusters.TERRAINS)
TERRAINS = (PLAIN, *(terrain for module in MODULES for terrain in module.TERRAINS), *WHOLE, *LATER)
