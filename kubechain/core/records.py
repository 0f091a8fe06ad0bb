"""What every file for programs is made of: typed records with a JSON Schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


class JsonRecord(BaseModel):
    """A part of a file for programs: its names are camelCase in JSON, and unknown names are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON-able values, by its names in JSON."""
        return self.model_dump(mode="json", by_alias=True)


def rounded(digits: int) -> PlainSerializer:
    """Return the annotation of a number that has at most so many decimals in JSON."""
    return PlainSerializer(lambda value: round(value, digits), return_type=float)
