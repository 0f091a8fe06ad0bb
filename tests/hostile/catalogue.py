"""All records of the API's behaviour."""

from __future__ import annotations

from tests.hostile import (
    records_answers,
    records_commands,
    records_families,
    records_lists,
    records_networks,
    records_objects,
    records_policies,
    records_proxies,
    records_terrain,
    records_watches,
    records_writes,
)

MODULES = (
    records_watches, records_lists, records_writes, records_answers, records_objects, records_commands, records_policies,
    records_terrain, records_families, records_networks, records_proxies,
)  # fmt: skip
RECORDS = tuple(record for module in MODULES for record in module.RECORDS)
