"""The base of the typed records in files for programs, from which their JSON Schemas are made."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


class JsonRecord(BaseModel):
    """A part of a file for programs: names are camelCase in JSON, and unknown names are an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        # At its first use: most commands use a few of the records.
        defer_build=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with its camelCase names."""
        return self.model_dump(mode="json", by_alias=True)


def rounded(digits: int) -> PlainSerializer:
    """Return the annotation of a number that is rounded to `digits` decimals in JSON."""
    return PlainSerializer(lambda value: round(value, digits), return_type=float)
