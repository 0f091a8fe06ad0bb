"""The JSON Schemas of the JSON files, generated from their records."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic.json_schema import GenerateJsonSchema

from kubechain.claims.records import RunRecord
from kubechain.core.records import JsonRecord
from kubechain.faults.records import FaultsRecord
from kubechain.results.fleet import FleetRecord
from kubechain.results.outcome import ResultRecord
from kubechain.upgrade.documents import UpgradeDocument
from kubechain.upgrade.snapshot import SnapshotFile

SCHEMAS: Mapping[str, type[JsonRecord]] = {
    "faults": FaultsRecord,
    "fleet": FleetRecord,
    "result": ResultRecord,
    "run": RunRecord,
    "snapshot": SnapshotFile,
    "upgrade": UpgradeDocument,
}


class _WithoutFieldTitles(GenerateJsonSchema):
    """A generator without titles of fields, which would only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False


def document(model: type[JsonRecord]) -> str:
    """Return the JSON Schema of a record's file."""
    schema = model.model_json_schema(mode="serialization", schema_generator=_WithoutFieldTitles)
    return json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **schema}, indent=2, sort_keys=True) + "\n"
