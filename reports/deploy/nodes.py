"""Objects with values that a user may set: rendered with the values, or as the template of a Helm chart.

A template has JSON where a value or a choice stands, and JSON is YAML; so a template needs no indentation of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

# In the place of a template expression while YAML is written; YAML needs no quotes for it.
MARK = re.compile(r"kubechainExpression(\d+)x")
# Of the values: the namespace, which Helm has from its command line.
NAMESPACE = "namespace"


@dataclass(frozen=True)
class Value:
    """A value by its path, such as "cronJob.schedule"."""

    path: str

    @property
    def expression(self) -> str:
        """What stands for the value in a template."""
        return ".Release.Namespace" if self.path == NAMESPACE else f".Values.{self.path}"

    def of(self, values: Mapping[str, Any]) -> Any:
        """Return the value."""
        found: Any = values
        for name in self.path.split("."):
            found = found[name]
        return found


@dataclass(frozen=True)
class Text:
    """A text of parts, some of which are values: numbers, or texts without characters that YAML or JSON escape."""

    parts: tuple[str | Value, ...]


@dataclass(frozen=True)
class If:
    """Whether a value is true, or `equals` a text, or is `above` a number."""

    value: Value
    equals: str | None = None
    above: int | None = None

    @property
    def expression(self) -> str:
        """The condition in a template."""
        if self.equals is not None:
            return f'eq {self.value.expression} "{self.equals}"'
        if self.above is not None:
            return f"gt (int {self.value.expression}) {self.above}"
        return self.value.expression

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds with these values."""
        found = self.value.of(values)
        if self.equals is not None:
            return found == self.equals
        return found > self.above if self.above is not None else bool(found)


@dataclass(frozen=True)
class Either:
    """One of two nodes."""

    condition: If
    yes: Any
    no: Any = None


@dataclass(frozen=True)
class Conditional:
    """An object that is there if all conditions hold."""

    body: Mapping[str, Any]
    conditions: tuple[If, ...] = ()


def rendered(node: Any, values: Mapping[str, Any]) -> Any:
    """Return a node with these values; what is None is left out of maps."""
    match node:
        case Value():
            return node.of(values)
        case Text():
            return "".join(part if isinstance(part, str) else str(part.of(values)) for part in node.parts)
        case Either():
            return rendered(node.yes if node.condition.holds(values) else node.no, values)
        case dict():
            entries = {key: rendered(each, values) for key, each in cast("dict[str, Any]", node).items()}
            return {key: each for key, each in entries.items() if each is not None}
        case list():
            return [rendered(each, values) for each in cast("list[Any]", node)]
        case _:
            return node


def present(each: Conditional, values: Mapping[str, Any]) -> bool:
    """Whether an object is there with these values."""
    return all(condition.holds(values) for condition in each.conditions)


def as_yaml(objects: list[Any]) -> str:
    """Return objects as the documents of a YAML file."""
    return "---\n".join(yaml.dump(each, sort_keys=False, default_flow_style=None, width=120, Dumper=_Plain) for each in objects)


def template(each: Conditional) -> str:
    """Return an object as a template of a Helm chart."""
    expressions = _Expressions()
    # Braces of a text, such as those of an alert, are no expression of Helm.
    plain = as_yaml([expressions.marked(each.body)]).replace("{{", '{{ "{{" }}')
    text = MARK.sub(lambda mark: expressions.found[int(mark[1])], plain)
    for condition in reversed(each.conditions):
        text = f"{{{{- if {condition.expression} }}}}\n{text}{{{{- end }}}}\n"
    return text


@dataclass
class _Expressions:
    """The template expressions of an object, in the order of their marks."""

    found: list[str] = field(default_factory=list[str])

    def marked(self, node: Any) -> Any:
        """Return a node with a mark in the place of each expression."""
        match node:
            case Value():
                return self._mark(f"{{{{ toJson {node.expression} }}}}")
            case Text():
                parts = (part if isinstance(part, str) else self._mark(f"{{{{ {part.expression} }}}}") for part in node.parts)
                return "".join(parts)
            case Either():
                branches = (self._inline(each) for each in (node.yes, node.no))
                return self._mark(f"{{{{ if {node.condition.expression} }}}}{'{{ else }}'.join(branches)}{{{{ end }}}}")
            case dict():
                return {key: self.marked(each) for key, each in cast("dict[str, Any]", node).items()}
            case list():
                return [self.marked(each) for each in cast("list[Any]", node)]
            case _:
                return node

    def _inline(self, node: Any) -> str:
        """Return a node as JSON with its expressions."""
        inner = _Expressions()
        text = json.dumps(inner.marked(node))
        # A mark that is a whole text stands for a value with quotes of its own.
        whole = re.compile(rf'"({MARK.pattern})"')
        text = whole.sub(lambda mark: inner.found[int(mark[2])], text)
        return MARK.sub(lambda mark: inner.found[int(mark[1])], text)

    def _mark(self, expression: str) -> str:
        self.found.append(expression)
        return f"kubechainExpression{len(self.found) - 1}x"


class _Plain(yaml.SafeDumper):
    """Writes a repeated object again, in place of an alias, and texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True
