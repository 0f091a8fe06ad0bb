"""YAML files that users write, with the line of each entry for messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from kubechain.core import files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.near_misses import suggestion
from kubechain.core.setting_values import in_our_words, shown

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]


class Loader(yaml.SafeLoader):
    """A loader that leaves dates as text, so that a wrong date is an error of its field and not of the whole file."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the library declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file; `option` names the file in messages; `lines` is place -> line, from 1."""

    option: str
    content: Any
    lines: dict[Place, int]

    def line(self, place: Sequence[int | str]) -> int:
        """Return the line of an entry, or of the closest entry around it."""
        known = (tuple(place[:length]) for length in range(len(place), -1, -1))
        return next((self.lines[part] for part in known if part in self.lines), 1)

    def refuse(self, place: Sequence[int | str], why: str) -> NoReturn:
        """Raise SetupError (exit code USAGE) that names the file and the line of a place."""
        raise SetupError(f"{self.option}, line {self.line(place)}: {why}", ExitCode.USAGE)

    def validated(self, model: type[Model], content: object, place: Sequence[int | str] = ()) -> Model:
        """Return a part of the file as a model; SetupError (exit code USAGE) with the first thing that is wrong."""
        try:
            return model.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            why = in_our_words(first["msg"])
            if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
                why += suggestion(str(first["loc"][0]), model.model_fields)
            has_value = first["type"] not in ("value_error", "extra_forbidden", "missing")
            name = ".".join(str(part) for part in first["loc"] if part != "[key]")
            got = f", got {shown(first['input'])}" if has_value else ""
            self.refuse((*place, *first["loc"]), f"{name}{': ' if name else ''}{why}{got}")


def read(option: str, path: Path) -> YamlFile:
    """Read the YAML file of an option such as --waivers.

    Raises:
        SetupError: the file cannot be read, is not YAML, or has a key twice (exit code USAGE).

    """
    where = f"{option}={path}"
    try:
        text = files.regular(path).read_text(encoding="utf-8")
        root = Loader(text).get_single_node()
        content = yaml.load(text, Loader)  # noqa: S506  # nosec B506  # a safe loader without dates
    except OSError as error:
        raise SetupError(f"{where}: cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SetupError(f"{where}, line {line}: not YAML: {error.problem}", ExitCode.USAGE) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SetupError(f"{where}: not YAML: {' '.join(str(error).split())}", ExitCode.USAGE) from error
    file = YamlFile(where, content, {})
    if root is not None:
        _note_lines(file, root, ())
    return file


# Deeper entries have the line of the entry around them.
DEPTH = 4


def _note_lines(file: YamlFile, node: yaml.Node, place: Place) -> None:
    """Note the lines of a node's entries; refuse a key that a map has twice."""
    file.lines.setdefault(place, node.start_mark.line + 1)
    if len(place) >= DEPTH:
        return
    if isinstance(node, yaml.SequenceNode):
        for number, entry in enumerate(node.value):
            _note_lines(file, entry, (*place, number))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in file.lines:
                file.lines[inner] = key.start_mark.line + 1
                file.refuse(inner, f"{key.value}: given twice; remove one")
            file.lines[inner] = key.start_mark.line + 1
            _note_lines(file, value, inner)
