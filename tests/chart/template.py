"""Renders the templates of the chart: the few expressions that reports/deploy writes; any other is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ACTION = re.compile(r"(\{\{-?) (.*?) \}\}\n?")
PATH = r"\.(?:Values\.[A-Za-z.]+|Release\.Namespace)"


def objects(folder: Path, values: Mapping[str, Any], namespace: str) -> list[Any]:
    """Return the objects of all templates in a folder."""
    texts = [render(path.read_text(), values, namespace) for path in sorted(folder.glob("*.yaml"))]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def render(text: str, values: Mapping[str, Any], namespace: str) -> str:
    """Return the text of a template."""
    out: list[str] = []
    # Whether each open branch is shown.
    shown, at = [True], 0
    for action in ACTION.finditer(text):
        # A line break after the action belongs to the text.
        kept, end = text[at : action.start()], action.end() - action[0].endswith("\n")
        out += [kept.rstrip() if action[1] == "{{-" else kept] if all(shown) else []
        at = end
        _act(action[2], values, namespace, shown, out)
    assert shown == [True], "an action if without an end"
    return "".join([*out, text[at:]])


def _act(action: str, values: Mapping[str, Any], namespace: str, shown: list[bool], out: list[str]) -> None:
    match action.split(maxsplit=1):
        case ["end"]:
            shown.pop()
        case ["else"]:
            shown[-1] = not shown[-1]
        case ["if", condition]:
            shown.append(_holds(condition, values, namespace))
        case [quoted] if quoted.startswith('"'):
            out += [json.loads(quoted)] if all(shown) else []
        case ["toJson", path]:
            out += [json.dumps(_value(path, values, namespace))] if all(shown) else []
        case [path]:
            out += [str(_value(path, values, namespace))] if all(shown) else []
        case _:
            raise AssertionError(action)


def _holds(condition: str, values: Mapping[str, Any], namespace: str) -> bool:
    if found := re.fullmatch(rf'eq ({PATH}) "(\w+)"', condition):
        return _value(found[1], values, namespace) == found[2]
    if found := re.fullmatch(rf"gt \(int ({PATH})\) (\d+)", condition):
        return _value(found[1], values, namespace) > int(found[2])
    return bool(_value(condition, values, namespace))


def _value(path: str, values: Mapping[str, Any], namespace: str) -> Any:
    assert re.fullmatch(PATH, path), path
    if path == ".Release.Namespace":
        return namespace
    found: Any = values
    for name in path.removeprefix(".Values.").split("."):
        found = found[name]
    return found
