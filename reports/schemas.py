"""The JSON Schemas of the JSON files, generated from their records."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Mapping
from itertools import pairwise

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema

from kubechain.bench.records import BenchRecord
from kubechain.claims.records import RunRecord
from kubechain.core.records import JsonRecord
from kubechain.faults.records import FaultsRecord
from kubechain.results.fleet import FleetRecord
from kubechain.results.outcome import ResultRecord
from kubechain.upgrade.documents import UpgradeDocument
from kubechain.upgrade.snapshot import SnapshotFile

SCHEMAS: Mapping[str, type[JsonRecord]] = {
    "bench": BenchRecord,
    "faults": FaultsRecord,
    "fleet": FleetRecord,
    "result": ResultRecord,
    "run": RunRecord,
    "snapshot": SnapshotFile,
    "upgrade": UpgradeDocument,
}


class _Generator(GenerateJsonSchema):
    """A generator without titles of fields, which would only repeat the names, and with the texts below the fields.

    Pydantic can read these texts too, but from the source of each record, at each start of a command.
    """

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        explained = {
            name: text for base in reversed(model.__mro__) if issubclass(base, JsonRecord) for name, text in texts(base).items()
        }
        for name, text in explained.items():
            written = model.model_fields[name].serialization_alias or name
            # A field that is not written has no schema.
            if written in made["properties"]:
                made["properties"][written]["description"] = text
        return made


def texts(model: type) -> dict[str, str]:
    """Return the name of each field that a record itself declares and explains -> the text below it."""
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for declared in ast.parse(inspect.getsource(model)).body
        if isinstance(declared, ast.ClassDef)
        for field, text in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def document(model: type[JsonRecord]) -> str:
    """Return the JSON Schema of a record's file."""
    schema = model.model_json_schema(mode="serialization", schema_generator=_Generator)
    return json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **schema}, indent=2, sort_keys=True) + "\n"
