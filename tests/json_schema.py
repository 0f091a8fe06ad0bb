"""A validator for the part of JSON Schema that the published schemas use; a keyword that it does not know is an error."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from kubechain.core.bundle import ROOT

FOLDER = ROOT / "docs" / "schemas"
WORDS = {"title", "description", "default", "format", "$schema", "$defs"}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
OF_TYPES = {"type", "const", "enum", "anyOf", "$ref", "items", "properties", "required", "additionalProperties", "propertyNames"}
KNOWN = OF_TYPES | {"minimum", "maximum", "pattern"}


def published(name: str) -> dict[str, Any]:
    """Return a published schema."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def problems(value: Any, name: str) -> list[str]:
    """Return where a document is not as the published schema of that name says."""
    return problems_with(value, published(name))


def problems_with(value: Any, schema: dict[str, Any]) -> list[str]:
    """Return where a document is not as a schema says."""
    return list(_problems(value, schema, schema, "$"))


def _problems(value: Any, schema: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    unknown = set(schema) - KNOWN - WORDS
    assert not unknown, f"{at}: this validator does not know {unknown}"
    if "$ref" in schema:
        yield from _problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema and all(list(_problems(value, each, root, at)) for each in schema["anyOf"]):
        yield f"{at}: {value!r} is none of those allowed"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not in {schema['enum']}"
    yield from _out_of_bounds(value, schema, at)
    if "type" in schema and not TYPES[schema["type"]](value):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif isinstance(value, list):
        for number, each in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # JSON
            yield from _problems(each, schema.get("items", {}), root, f"{at}[{number}]")
    elif isinstance(value, dict):
        yield from _problems_of_object(value, schema, root, at)  # pyright: ignore[reportUnknownArgumentType]  # JSON


def _out_of_bounds(value: Any, schema: Any, at: str) -> Iterator[str]:
    if "minimum" in schema and not schema["minimum"] <= value <= schema.get("maximum", value):
        yield f"{at}: {value!r} is out of range"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"


def _problems_of_object(value: dict[str, Any], schema: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}.{name}: missing" for name in schema.get("required", []) if name not in value)
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, each in value.items():
        yield from _problems(name, schema.get("propertyNames", {}), root, f"{at}: name {name}")
        if name in properties:
            yield from _problems(each, properties[name], root, f"{at}.{name}")
        elif more is False:
            yield f"{at}.{name}: not in the schema"
        elif more is not True:
            yield from _problems(each, more, root, f"{at}.{name}")
