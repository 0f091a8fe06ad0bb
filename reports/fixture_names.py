"""The fixtures that a test uses, also through others, found without pytest: from the names of their parameters."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cache

import pytest

from fixtures import plugins


@cache
def parameters() -> dict[str, tuple[str, ...]]:
    """Return the name of each fixture of the project -> the names of its parameters."""
    kind = type(pytest.fixture(lambda: None))
    found = {
        name: value
        for module in map(importlib.import_module, plugins.kubechain_plugins)
        for name, value in vars(module).items()
        if isinstance(value, kind)
    }
    return {name: tuple(inspect.signature(value).parameters) for name, value in found.items()}


def used_by(test: Callable[..., object]) -> set[str]:
    """Return the names of all fixtures that a test function uses."""
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    todo = [*inspect.signature(test).parameters, *(name for mark in marks if mark.name == "usefixtures" for name in mark.args)]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += parameters().get(name, ())
    return found
