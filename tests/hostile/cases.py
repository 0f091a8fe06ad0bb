"""The short form and the full form of a test: everything, and what `make hostile` adds is marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import pytest


class Declared(Protocol):
    """A record or a way: its id, and whether it belongs to the short form."""

    @property
    def id(self) -> str:
        """The id."""
        ...

    @property
    def short(self) -> bool:
        """Whether it belongs to the short form."""
        ...


def full(*values: object) -> Any:
    """Return one parameter set of a test that only the full form has."""
    return pytest.param(*values, marks=pytest.mark.hostile)


def cases(declared: Iterable[Declared]) -> list[Any]:
    """Return parameters of a test; those that are not of the short form have the mark `hostile`."""
    return [pytest.param(each, id=each.id, marks=() if each.short else pytest.mark.hostile) for each in declared]
